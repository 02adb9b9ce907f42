"""A head trained again on cached features, its loss with a penalty on how far apart groups are.

The penalty is on the head's scores. Of each label, the mean score that a group's samples give it is
compared between groups: of the samples that have the label (equal opportunity), of those that lack
it as well (equalized odds), or of all (demographic parity). It is the variance of these means,
every group counting the same, summed over the labels: 0 where groups are treated alike.

Only the head is trained: features of a pretrained network hold what is needed beside a shortcut,
and the last layer chooses. All samples are one batch as long as they fit, so that the means are
those of the groups and not of the few samples that a small batch has of each.

Source:
    Zafar et al. 2017, https://arxiv.org/abs/1507.05259, constrain the covariance of group and
    score; Beutel et al. 2019, https://arxiv.org/abs/1901.04562, put the correlation, over the
    samples of one label, into the loss of a network. That it is the variance of means, which takes
    several groups, is ours. Kirichenko et al. 2023, https://arxiv.org/abs/2204.02937: training the
    last layer again is enough against shortcuts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.frontier.cut import make_suffix
from tfxfer.stages import get_info, set_trainable

__all__ = ["FairHead", "GroupGapLoss", "Part"]

Part = str
"""Which samples' scores are compared: `positives`, `negatives` or `all`."""

_LARGEST_BATCH = 8192  # rows of features; of 1,280 channels 42 MB
# An epoch is one step as a rule, and a step of a few milliseconds: it may be a long one.
_MOST_EPOCHS = 80
_PATIENCE = 10
_LEARNING_RATE = 1e-2


class GroupGapLoss(keras.losses.Loss):
    """The loss of a head, plus how far apart groups are in its scores.

    Args:
        loss: the head's, of Keras: an object, or a function of each sample.
        outputs: how many columns of the targets are the head's; the others are one-hot groups.
        parts: which samples' scores are compared.
        strength: what the penalty is multiplied by.

    Shapes: targets (batch, outputs + groups), scores (batch, outputs).
    """

    def __init__(self, loss: Any, *, outputs: int, parts: Sequence[Part], strength: float) -> None:
        super().__init__(name="group_gap_loss")
        self.loss, self.outputs = loss, outputs
        self.parts, self.strength = tuple(parts), strength

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the head's loss of each sample, to each of which the penalty is added."""
        ops = keras.ops
        targets, groups = y_true[:, : self.outputs], y_true[:, self.outputs :]
        is_object = isinstance(self.loss, keras.losses.Loss)
        own = (self.loss.call if is_object else self.loss)(targets, y_pred)
        masks = {"positives": targets, "negatives": 1 - targets, "all": ops.ones_like(targets)}
        penalty = sum(_spread(groups, masks[part], y_pred) for part in self.parts)
        return own + self.strength * penalty


def _spread(groups: Any, mask: Any, scores: Any) -> Any:
    """Returns the variance of the groups' mean scores, summed over the outputs."""
    ops = keras.ops
    counts = ops.matmul(ops.transpose(groups), mask)
    means = ops.matmul(ops.transpose(groups), mask * scores) / ops.maximum(counts, 1)
    present = ops.cast(counts > 0, means.dtype)
    known = ops.maximum(ops.sum(present, axis=0, keepdims=True), 1)
    centre = ops.sum(present * means, axis=0, keepdims=True) / known
    return ops.sum(present * ops.square(means - centre) / known)


@dataclass(frozen=True, eq=False)
class FairHead:
    """The head of a model, trained again and again on the same features.

    Args:
        model: from `build_model`, trained; its head's weights change.
        train: features, targets, and one-hot groups; all zeros of a sample in no group.
        val: the same of validation.
        parts: which samples' scores are compared.
        sample_weights: of the training samples; None for equal ones.
        seed: of the order of samples and of dropout.

    Shapes: features (samples, channels), targets (samples, outputs), groups (samples, groups).
    """

    model: Any
    train: tuple[np.ndarray, np.ndarray, np.ndarray]
    val: tuple[np.ndarray, np.ndarray, np.ndarray]
    parts: tuple[Part, ...]
    sample_weights: np.ndarray | None = None
    seed: int = 0

    def read_weights(self) -> list[np.ndarray]:
        """Returns the head's weights."""
        return [np.array(weight) for weight in self._head.get_weights()]

    def write_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Gives the head these weights."""
        self._head.set_weights(list(weights))

    def score(self, features: np.ndarray) -> np.ndarray:
        """Returns the head's scores of features, float32 (samples, outputs)."""
        # Not `predict`, which would be traced anew after each training.
        parts = [
            np.asarray(keras.ops.convert_to_numpy(self._head(features[i : i + 1024])))
            for i in range(0, len(features), 1024)
        ]
        return np.concatenate(parts)

    def fit(self, strength: float) -> None:
        """Trains the head from where it is; the epoch of the lowest validation loss remains.

        Args:
            strength: of the penalty, which is in the validation loss, too.
        """
        keras.utils.set_random_seed(self.seed)
        info = get_info(self.model)
        set_trainable(self.model, BACKBONE_END)
        head, loss = self._head, keras.losses.get(info.head.loss())
        outputs = self.train[1].shape[1]
        head.compile(
            optimizer=keras.optimizers.Adam(_LEARNING_RATE),
            loss=GroupGapLoss(loss, outputs=outputs, parts=self.parts, strength=strength),
        )
        callbacks: list[Any] = [
            keras.callbacks.EarlyStopping(
                monitor="val_loss", mode="min", patience=_PATIENCE, restore_best_weights=True
            )
        ]
        (x, *y), (val_x, *val_y) = self.train, self.val
        head.fit(
            x,
            np.concatenate(y, axis=1),
            sample_weight=self.sample_weights,
            batch_size=min(len(x), _LARGEST_BATCH),
            validation_data=(val_x, np.concatenate(val_y, axis=1)),
            # The mean of several batches' variances is another number.
            validation_batch_size=len(val_x),
            epochs=_MOST_EPOCHS,
            verbose=0,
            callbacks=callbacks,
        )

    @functools.cached_property
    def _head(self) -> Any:
        return make_suffix(self.model, BACKBONE_END)
