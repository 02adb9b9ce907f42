"""Backbones with one fault each, on top of the good double. `FAULTS` says which check finds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from double_good_backbone import Tiny

from tfxfer import Stage, Weights

FAULTS: dict[str, list[type[Tiny]]] = {}


def fault(check: str) -> Any:
    def note(double: type[Tiny]) -> type[Tiny]:
        double.name = f"double_{double.__name__.lower()}"
        FAULTS.setdefault(check, []).append(double)
        return double

    return note


@fault("metadata")
class NoFamily(Tiny):
    family = " "


@fault("provenance")
class NobodysWeights(Tiny):
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(licence="", url="https://example.org/tiny.h5", md5="0" * 32)
    }


@fault("provenance")
class NoPlace(Tiny):
    weights: ClassVar[Mapping[str, Weights]] = {"imagenet": Weights(licence="MIT")}


@fault("weights_sha256")
class ExchangedWeights(Tiny):
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="MIT", package="numpy", member="numpy/__init__.py", sha256="0" * 64
        )
    }


@fault("builds")
class OneSize(Tiny):
    """Reshapes to what fits at one size only."""

    output = "tokens"

    def build(self, inputs: Any) -> Any:
        from keras import layers

        return layers.Reshape((4, 8), name="tokens")(super().build(inputs))


@fault("builds")
class Nonsense(Tiny):
    def build(self, inputs: Any) -> Any:
        return "features"


@fault("flat")
class Nested(Tiny):
    def build(self, inputs: Any) -> Any:
        import keras

        inner = keras.Input(inputs.shape[1:])
        return keras.Model(inner, super().build(inner), name="inner")(inputs)


@fault("stages")
class CutInsideBlock(Tiny):
    """A shortcut crosses the end of its second stage."""

    def build(self, inputs: Any) -> Any:
        from keras import layers

        x = super().build(inputs)
        y = layers.Conv2D(8, 3, padding="same", name="block_4_conv")(x)
        return layers.Add(name="block_4_add")([x, y])

    stages = (*Tiny.stages, Stage("block_4", "block_4_conv"))


@fault("stages")
class WrongOrder(Tiny):
    stages = tuple(reversed(Tiny.stages))


@fault("stages")
class NoSuchLayer(Tiny):
    stages = (*Tiny.stages[:-1], Stage("block_3", "block_3_reul"))


@fault("model")
class NotANumber(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import initializers, layers

        nan = initializers.Constant(float("nan"))
        return layers.Conv2D(8, 1, kernel_initializer=nan, name="nan")(super().build(inputs))


@fault("preprocessing")
class RescalesItself(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import layers

        return super().build(layers.Rescaling(1 / 127.5, -1.0, name="again")(inputs))


@fault("preprocessing")
class RescalesByHand(Tiny):
    def build(self, inputs: Any) -> Any:
        return super().build(inputs / 2.0)


@fault("preprocessing")
class RescalesInALayer(Tiny):
    def build(self, inputs: Any) -> Any:
        from double_broken_layers import HiddenRescale

        return super().build(HiddenRescale(name="stem_magic")(inputs))


@fault("flat")
class GraphOfItsOwn(Tiny):
    """Ignores the inputs that it gets, and the preprocessing with them."""

    def build(self, inputs: Any) -> Any:
        import keras

        return super().build(keras.Input(inputs.shape[1:], name="own"))


@fault("deterministic")
class Unseeded(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import initializers, layers

        values = np.random.default_rng().normal(size=(1, 1, 8, 8)).tolist()
        kernel = initializers.Constant(values)
        return layers.Conv2D(8, 1, kernel_initializer=kernel, name="drawn")(super().build(inputs))


@fault("deterministic")
class Unnamed(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import layers

        return layers.Conv2D(8, 1)(super().build(inputs))


@fault("no_randomness")
class Drops(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import layers

        return layers.Dropout(0.2, name="drop")(super().build(inputs))


@fault("no_randomness")
class TrainsBrighter(Tiny):
    def build(self, inputs: Any) -> Any:
        from double_broken_layers import BrightTraining

        return BrightTraining(name="bright")(super().build(inputs))


@fault("freezing")
class Stuck(Tiny):
    stages = (Stage("block_0", "block_0"), *Tiny.stages)

    def build(self, inputs: Any) -> Any:
        from double_broken_layers import StuckFrozen

        return super().build(StuckFrozen(3, name="block_0")(inputs))


@fault("phase_head")
class Counts(Tiny):
    """Its counter lies behind the second phase's frontier, where it may change."""

    stages = (*Tiny.stages, Stage("block_4", "block_4_count"))

    def build(self, inputs: Any) -> Any:
        from double_broken_layers import Counter
        from keras import layers

        x = layers.Conv2D(8, 1, name="block_4_conv")(super().build(inputs))
        return Counter(name="block_4_count")(x)


@fault("phase_fine_tune")
class HidesNorm(Tiny):
    stages = (*Tiny.stages, Stage("block_4", "block_4"))

    def build(self, inputs: Any) -> Any:
        from double_broken_layers import HiddenNorm

        return HiddenNorm(8, name="block_4")(super().build(inputs))


@fault("cached")
class LooksAtTheBatch(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import ops

        x = super().build(inputs)
        return x - 0.5 * ops.mean(x, axis=0, keepdims=True)


@fault("reload")
class NeedsTfxfer(Tiny):
    """A layer of this module, which imports tfxfer."""

    def build(self, inputs: Any) -> Any:
        return _own_layer()(name="own")(super().build(inputs))


@fault("reload")
class Forgets(Tiny):
    def build(self, inputs: Any) -> Any:
        from double_broken_layers import Forgetful

        return Forgetful(3.0, name="forgetful")(super().build(inputs))


@fault("export_float")
class NoBuiltin(Tiny):
    def build(self, inputs: Any) -> Any:
        from keras import ops

        return ops.erfinv(0.5 * ops.tanh(super().build(inputs)))


@fault("export_int8")
class FarFromZero(Tiny):
    """One step of 8 bits from 0 to 1000 is as wide as all that it computes."""

    def build(self, inputs: Any) -> Any:
        from keras import layers, ops

        x = ops.tanh(super().build(inputs)) + 1000.0
        return layers.AveragePooling2D(1, name="keep_apart")(x) - 1000.0


@fault("wrong_size")
class FixedSize(Tiny):
    def build(self, inputs: Any) -> Any:
        if inputs.shape[1] > self.default_image_size:
            raise ValueError("too large")
        return super().build(inputs)


@fault("unknown_weights")
class ReadsAnything(Tiny):
    def load_weights(self, model: Any, path: Path) -> None:
        np.load(path)


@fault("unknown_weights")
class ReadsNothing(Tiny):
    def load_weights(self, model: Any, path: Path) -> None:
        pass


def _own_layer() -> Any:
    import keras

    class Own(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs + 1.0

    Own.__module__ = __name__
    return keras.saving.register_keras_serializable(package="double_broken")(Own)
