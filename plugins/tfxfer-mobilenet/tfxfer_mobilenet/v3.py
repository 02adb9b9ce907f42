"""MobileNetV3: hard-swish and squeeze-excite on the blocks of MobileNetV2.

Source:
    Howard et al. 2019, https://arxiv.org/abs/1905.02244. Weights: Keras Applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone
from tfxfer.backbone import Stage, Weights
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import find_inputs, replace_layers

__all__ = ["MobileNetV3Large", "MobileNetV3Small"]

_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v3/"
    "weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
)


def _stages(blocks: int, residual: frozenset[int]) -> tuple[Stage, ...]:
    def end(block: int) -> str:
        prefix = f"expanded_conv_{block}" if block else "expanded_conv"
        return f"{prefix}_{'add' if block in residual else 'project_bn'}"

    return (
        Stage("stem", end(0)),
        *(Stage(f"block_{i}", end(i)) for i in range(1, blocks)),
        Stage("top", "conv_1_bn_act"),
    )


class _MobileNetV3(ApplicationBackbone):
    """What the two sizes share."""

    family = "mobilenet_v3"
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    options: ClassVar[Mapping[str, Any]] = {
        "alpha": 1.0,
        "minimalistic": False,
        "include_preprocessing": False,
    }
    quantization = ("hard-swish", "squeeze-excite")

    def build(self, inputs: Any) -> Any:
        """Returns the last map of already preprocessed images, with random weights.

        Shapes: inputs (batch, size, size, 3); returns (batch, size / 32, size / 32, channels).
        """
        return _name_after_producers(super().build(inputs), inputs)


class MobileNetV3Small(_MobileNetV3):
    """MobileNetV3-Small: 0.9 million parameters, 576 features."""

    name = "mobilenet_v3_small"
    application = "MobileNetV3Small"
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="Apache-2.0",
            url=_URL.format(size="small"),
            md5="d3e8ec802a04aa4fc771ee12a9a9b836",
        )
    }
    stages = _stages(11, frozenset({2, 4, 5, 7, 9, 10}))


class MobileNetV3Large(_MobileNetV3):
    """MobileNetV3-Large: 3.0 million parameters, 960 features."""

    name = "mobilenet_v3_large"
    application = "MobileNetV3Large"
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="Apache-2.0",
            url=_URL.format(size="large"),
            md5="07fb09a5933dd0c8eaafa16978110389",
        )
    }
    stages = _stages(15, frozenset({0, 2, 4, 5, 7, 8, 9, 11, 13, 14}))


_SUFFIXES = {"ReLU": "act", "Activation": "act", "Add": "shift", "Multiply": "scale"}


def _name_after_producers(output: Any, inputs: Any) -> Any:
    """Returns `output` with activations and arithmetic named after the layer they follow.

    Keras numbers them (`re_lu_3`) through the whole process, so that a second build would have
    other names than the run that was saved.
    """
    import keras

    sources = find_inputs(output)
    before = {id(op) for op in keras.Model(sources, inputs).operations}
    names: dict[int, str] = {}
    producers: dict[int, str] = {}
    for op in keras.Model(sources, output).operations:
        name = op.name
        suffix = _SUFFIXES.get(type(op).__name__)
        is_named = name.startswith(("conv", "expanded_conv"))
        if suffix is not None and not is_named and id(op) not in before:
            first = op.input[0] if isinstance(op.input, list | tuple) else op.input
            name = f"{producers[id(first)]}_{suffix}"
            names[id(op)] = name
        producers[id(op.output)] = name

    def rename(op: Any) -> Any | None:
        name = names.get(id(op))
        return name and type(op).from_config({**op.get_config(), "name": name})

    return replace_layers(output, rename)
