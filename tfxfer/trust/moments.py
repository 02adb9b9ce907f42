"""What samples produce where a backbone normalizes, beside what its layers remember of others.

The moving statistics of a BatchNormalization are the mean and variance, channel by channel, of what
the pretrained network was trained on: all that is left of data that nobody has at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.arrays import Arrays
from tfxfer.errors import DataError, ModelError
from tfxfer.frontier.cut import list_ancestors
from tfxfer.frontier.litert import KerasRunner
from tfxfer.keras_private import find_calls
from tfxfer.progress import Progress
from tfxfer.stages import get_info, layers_up_to, map_layers_to_stages, stage_tensor
from tfxfer.surgery import find_inputs

__all__ = ["BATCH_SAMPLES", "LayerMoments", "Moments", "collect_moments", "explain_missing"]

BATCH_SAMPLES = 16
"""Samples at once: 16 images of 224 px take 420 MB in EfficientNet-Lite0, TensorFlow aside (m)."""

_RANDOM = "none"  # what `ResolvedWeights.source` says of random weights


@dataclass(frozen=True, eq=False)
class LayerMoments:
    """The input of one BatchNormalization.

    Args:
        name: of the layer.
        stage: that it belongs to.
        means: of each sample, over its positions.
        variances: the same.
        moving_mean: what the layer remembers.
        moving_variance: the same.
        epsilon: that the layer adds to a variance before it divides by its root.

    Shapes: means and variances float32 (samples, channels); moving statistics float64 (channels,).
    """

    name: str
    stage: str
    means: np.ndarray
    variances: np.ndarray
    moving_mean: np.ndarray
    moving_variance: np.ndarray
    epsilon: float

    def pool(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and variance over the positions of all samples together.

        A resample is a row of weights, so that no resample asks for another pass.

        Args:
            weights: how often each sample counts; None counts each once.

        Shapes: weights (resamples, samples); returns float64 (resamples, channels) twice, with one
            row where there are no weights.
        """
        means = self.means.astype(np.float64)
        shares = np.ones((1, len(means))) if weights is None else weights.astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        # About a point near all means: squares of large numbers would leave nothing of small ones.
        centred = means - (centre := means.mean(axis=0))
        shift = shares @ centred
        return centre + shift, shares @ (self.variances + centred**2) - shift**2


@dataclass(frozen=True, eq=False)
class Moments:
    """What one pass over some samples has left.

    Args:
        layers: the BatchNormalizations of the backbone, from the input on.
        features: what the whole backbone makes of each sample, pooled.

    Shapes: features float32 (samples, features).
    """

    layers: tuple[LayerMoments, ...]
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


def explain_missing(model: keras.Model) -> str:
    """Returns why a model's layers remember nothing of what it was trained on; empty if they do.

    Raises:
        ModelError: a model whose stages are not known.
    """
    info = get_info(model)
    layers = [layer for layer, _ in _find_normalizations(model)]
    if not layers:
        return (
            f"{info.backbone} has no BatchNormalization layer, and nothing else of a network "
            f"remembers the {info.modality.plural} that it was trained on"
        )
    if info.weights.source == _RANDOM or all(_is_fresh(layer) for layer in layers):
        return f"the weights of {info.backbone} are random: they know no {info.modality.plural} yet"
    return ""


def collect_moments(
    model: keras.Model,
    batches: Iterable[Arrays],
    *,
    total: int | None = None,
    progress: Progress | None = None,
) -> Moments:
    """Sends samples through the backbone once and keeps what is small of every layer.

    Args:
        model: from `build_model`, with its pretrained weights.
        batches: inputs of samples (n, …), pixels 0..255 where they are images.
        total: how many samples there are, where known.
        progress: told of samples done.

    Raises:
        DataError: no sample.
        ModelError: a model whose stages are not known, or activations that are not finite.
    """
    info = get_info(model)
    found = _find_normalizations(model)
    stages = map_layers_to_stages(model)
    summary, sizes = _make_summary(model, found)
    runner = KerasRunner(summary, batch_size=BATCH_SAMPLES)
    words, done = f"measuring {info.modality.plural}", 0
    parts: list[list[np.ndarray]] = []
    for batch in batches:
        parts.append(runner(_choose_inputs(batch, [x.name for x in summary.inputs])))
        done += len(parts[-1][0])
        if progress is not None:
            progress(words, done, total or 0)
    if not parts:
        raise DataError(f"domain gap: expected at least one {info.modality.noun}. Received: none.")
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if not all(np.isfinite(column).all() for column in columns):
        raise ModelError(
            f"model {model.name!r}: expected finite activations. Received: NaN or infinity. "
            "Are the weights whole?"
        )
    features, cuts = columns[0], np.cumsum(sizes)[:-1]
    halves = [np.split(column, cuts, axis=1) for column in columns[1:]] or [[], []]
    layers = tuple(
        LayerMoments(
            name=layer.name,
            stage=str(stages[layer.name]),
            means=means,
            variances=variances,
            moving_mean=np.asarray(layer.moving_mean, np.float64),
            moving_variance=np.asarray(layer.moving_variance, np.float64),
            epsilon=float(layer.epsilon),
        )
        for (layer, _), means, variances in zip(found, *halves, strict=True)
    )
    return Moments(layers, features)


def _find_normalizations(model: keras.Model) -> list[tuple[Any, Any]]:
    """Returns the backbone's BatchNormalizations with the tensor that each normalizes."""
    before = list_ancestors(stage_tensor(model, BACKBONE_END))
    return [
        (layer, node.input_tensors[0])
        for layer in layers_up_to(model, BACKBONE_END)
        if isinstance(layer, keras.layers.BatchNormalization)
        # A layer that was called in another graph, too, has a call that is none of this one's.
        for node in find_calls(layer)
        if id(node.output_tensors[0]) in before
    ]


def _make_summary(model: keras.Model, found: list[tuple[Any, Any]]) -> tuple[Any, list[int]]:
    """Returns a model of the pooled features and of the moments of all layers side by side.

    The maps themselves stay inside: at 224 px those of one image are some 30 MB.
    """
    outputs = [stage_tensor(model, BACKBONE_END)]
    pairs = list(_iter_moments(found))
    if pairs:
        outputs += [keras.ops.concatenate(column, axis=-1) for column in zip(*pairs, strict=True)]
    inputs = find_inputs(outputs[0])
    # In the model's own order, which a dict of arrays need not have.
    ordered = [tensor for tensor in model.inputs if any(tensor is x for x in inputs)]
    summary = keras.Model(ordered if len(ordered) > 1 else ordered[0], outputs)
    return summary, [int(mean.shape[-1]) for mean, _ in pairs]


def _iter_moments(found: list[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    ops = keras.ops
    for layer, tensor in found:
        rank = len(tensor.shape)
        channel = layer.axis % rank
        positions = [axis for axis in range(1, rank) if axis != channel]
        values = ops.cast(tensor, "float32")
        if not positions:
            yield values, ops.zeros_like(values)
            continue
        mean = ops.mean(values, axis=positions, keepdims=True)
        variance = ops.mean(ops.square(values - mean), axis=positions)
        yield ops.reshape(mean, (-1, int(tensor.shape[channel]))), variance


def _choose_inputs(batch: Arrays, names: list[str]) -> list[np.ndarray]:
    return [batch[name] for name in names] if isinstance(batch, dict) else [batch]


def _is_fresh(layer: Any) -> bool:
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    return bool((mean == 0).all() and (variance == 1).all())
