"""What the loss hears of the target in each training step: a Keras layer for each method.

They stand beside the network while it trains, and are no part of what is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfxfer.adaptation.losses import coral_distance, mmd, ramp, reverse_gradient
from tfxfer.training.companion import Pairing

__all__ = ["Adversary", "Alignment", "Lesson", "make_penalty"]

_UNITS = 100
"""Of the discriminator's hidden layer, as Ganin et al. 2016 have on digits, section 5.2.2."""

_LEAST = 1e-7  # a probability of 0 has no logarithm


class _Penalty(keras.layers.Layer):
    """Base of the penalties: computes in float32 whatever the network computes in.

    Args:
        strength: what it is multiplied by.
    """

    def __init__(self, strength: float) -> None:
        super().__init__(dtype="float32", autocast=False)
        self._strength = strength
        self.built = True

    def call(self, pairing: Pairing) -> Any:
        """Returns what is added to the loss."""
        return self._strength * self.measure(
            Pairing(*(keras.ops.cast(part, "float32") for part in pairing))
        )

    def measure(self, pairing: Pairing) -> Any:
        """Returns the penalty at strength 1."""
        raise NotImplementedError


class Alignment(_Penalty):
    """A distance between the features of both looks.

    The last batch of an epoch, which has fewer samples than there are companions, counts for as
    much less: what few say of a covariance is mostly chance.

    Args:
        distance: of two sets of features, such as `coral_distance`.
        strength: what it is multiplied by.
    """

    def __init__(self, distance: Callable[[Any, Any], Any], *, strength: float) -> None:
        super().__init__(strength)
        self._distance = distance

    def measure(self, pairing: Pairing) -> Any:
        """Returns the distance."""
        ops = keras.ops
        own, other = scale_features(pairing.own, pairing.other)
        counts = [ops.cast(ops.shape(x)[0], "float32") for x in (own, other)]
        return ops.minimum(counts[0] / counts[1], 1.0) * self._distance(own, other)


class Adversary(_Penalty):
    """A discriminator that learns to tell the looks apart, and a network that learns to stop it.

    What it adds is the discriminator's own loss, cross-entropy; on its way back into the features
    the gradient is turned around.

    Args:
        features: how many there are.
        strength: the share of the discriminator's gradient that is turned around in the end; it
            learns at its full one.
        seed: of its weights.
    """

    def __init__(self, features: int, *, strength: float, seed: int = 0) -> None:
        super().__init__(1.0)
        self._reversed = strength
        first, last = (keras.initializers.GlorotUniform(seed + number) for number in (0, 1))
        layers = keras.layers
        self.hidden = layers.Dense(_UNITS, "relu", kernel_initializer=first, dtype="float32")
        self.logit = layers.Dense(1, kernel_initializer=last, dtype="float32")
        self.hidden.build((None, features))
        self.logit.build((None, _UNITS))

    def measure(self, pairing: Pairing) -> Any:
        """Returns the cross-entropy of telling the looks apart; both count the same."""
        ops = keras.ops
        strength = self._reversed * ramp(pairing.progress[0])
        own, other = (
            self.logit(self.hidden(reverse_gradient(features, strength)))
            for features in scale_features(pairing.own, pairing.other)
        )
        return 0.5 * (ops.mean(ops.softplus(own)) + ops.mean(ops.softplus(-other)))


class Lesson(_Penalty):
    """Cross-entropy of what the head says of companions with the labels that they came with.

    It rises as `ramp` does: at first the network is not yet what it will be, and labels that it
    repeats too soon would be all that it learns.
    """

    def measure(self, pairing: Pairing) -> Any:
        """Returns the mean over companions, those that count nothing included."""
        ops = keras.ops
        said = ops.log(ops.clip(pairing.answers, _LEAST, 1.0))
        each = -ops.sum(pairing.targets * said, axis=-1)
        return ramp(pairing.progress[0]) * ops.mean(pairing.weights * each)


def make_penalty(method: str, features: int, *, strength: float, seed: int = 0) -> keras.Layer:
    """Returns the penalty of a method, built.

    Args:
        method: a word of `methods.TRAINED`.
        features: how many there are.
        strength: what it is multiplied by.
        seed: of its weights, if it has some.
    """
    if method == "dann":
        return Adversary(features, strength=strength, seed=seed)
    if method == "pseudo_labels":
        return Lesson(strength)
    return Alignment({"deep_coral": coral_distance, "mmd": mmd}[method], strength=strength)


def scale_features(own: Any, other: Any) -> tuple[Any, Any]:
    """Returns the features of both looks less their mean, times one number: variance 1 on average.

    Networks differ in the scale of what they pool, and a strength would mean another thing with
    each; what all features have in common would drown a discriminator. No gradient comes of mean
    and number: features must not align by shrinking.

    Shapes: (samples, features), each.
    """
    ops = keras.ops
    both = ops.stop_gradient(ops.concatenate([own, other]))
    centre, variance = ops.mean(both, axis=0), ops.mean(ops.var(both, axis=0))
    size = ops.sqrt(ops.maximum(variance, keras.config.epsilon()))
    return (own - centre) / size, (other - centre) / size
