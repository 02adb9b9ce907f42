"""How many multiplications a layer of a `.keras` file takes, told from its config alone.

A layer says its sizes, and Keras stores the shape of what each call of it was given. What a class
of somebody's own does is not known, nor what a layer of Keras does that has no formula here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["count_layer_multiplications"]

_OURS = ("keras.layers", "keras.src.layers", "keras.src.models", "keras.src.ops", "keras")
_UNKNOWN = frozenset(
    [
        "AdditiveAttention",
        "Attention",
        "Bidirectional",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "Dot",
        "Einsum",
        "EinsumDense",
        "GroupedQueryAttention",
        "Inner",
        "Lambda",
        "Matmul",
        "MultiHeadAttention",
        "Outer",
        "RNN",
        "StackedRNNCells",
        "TFSMLayer",
        "Tensordot",
        "TimeDistributed",
        "Vdot",
    ]
)
_GATES = {"GRU": 3, "LSTM": 4, "SimpleRNN": 1}


def count_layer_multiplications(layer: Mapping[str, Any]) -> int | None:
    """Returns the multiply-accumulates of all calls of a layer; None where they cannot be told.

    A free size counts as 1, other than which the counting is that of TFLite operators, see
    `count_multiplications`.

    Args:
        layer: its entry in the config of a model.
    """
    name, module = layer.get("class_name"), layer.get("module")
    if name in _UNKNOWN or not isinstance(module, str) or not _is_keras(module):
        return None
    count = _COUNTS.get(str(name))
    if count is None:
        return 0
    try:
        found = [count(layer["config"], shape) for shape in _list_shapes(layer)]
    # An edited or newer config lacks sizes, or has them in another form.
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
        return None
    return sum(found) if found else None


def _is_keras(module: str) -> bool:
    return module in _OURS or module.startswith("keras.src.ops.")


def _list_shapes(layer: Mapping[str, Any]) -> Iterator[tuple[int, ...]]:
    """Yields the shape of the first tensor of each call, else the one that it was built for."""
    nodes = layer.get("inbound_nodes") or []
    given = [node["args"][0]["config"]["shape"] for node in nodes]
    for shape in given or [layer["build_config"]["input_shape"]]:
        # Only the number of samples may be free: another free size would make the figure a guess.
        yield (1 if shape[0] is None else int(shape[0]), *map(int, shape[1:]))


def _split(config: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[list[int], int]:
    """Returns the sizes of an image and its channels."""
    if config["data_format"] == "channels_first":
        return list(shape[2:]), shape[1]
    return list(shape[1:-1]), shape[-1]


def _count_places(config: Mapping[str, Any], sizes: list[int]) -> int:
    """Returns over how many places a kernel moves."""
    strides = _spread(config["strides"], sizes)
    if config["padding"] == "valid":
        kernel = _spread(config["kernel_size"], sizes)
        dilation = _spread(config["dilation_rate"], sizes)
        reach = [rate * (side - 1) for side, rate in zip(kernel, dilation, strict=True)]
        sizes = [size - extra for size, extra in zip(sizes, reach, strict=True)]
    return math.prod(-(-size // stride) for size, stride in zip(sizes, strides, strict=True))


def _spread(value: Any, sizes: list[int]) -> list[int]:
    return [value] * len(sizes) if isinstance(value, int) else [int(item) for item in value]


def _number(config: Mapping[str, Any], key: str) -> int:
    if not isinstance(config[key], int):
        raise TypeError(key)
    return int(config[key])


def _kernel(config: Mapping[str, Any], sizes: list[int]) -> int:
    return math.prod(_spread(config["kernel_size"], sizes))


def _convolution(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    sizes, channels = _split(config, shape)
    each = channels // _number(config, "groups") * _number(config, "filters")
    return shape[0] * _count_places(config, sizes) * _kernel(config, sizes) * each


def _transposed(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    sizes, channels = _split(config, shape)
    each = _kernel(config, sizes) * channels * _number(config, "filters")
    return shape[0] * math.prod(sizes) * each


def _depthwise(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    sizes, channels = _split(config, shape)
    each = _kernel(config, sizes) * channels * _number(config, "depth_multiplier")
    return shape[0] * _count_places(config, sizes) * each


def _separable(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    sizes, channels = _split(config, shape)
    mixing = channels * _number(config, "depth_multiplier") * _number(config, "filters")
    return _depthwise(config, shape) + shape[0] * _count_places(config, sizes) * mixing


def _dense(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    return math.prod(shape) * _number(config, "units")


def _recurrence(gates: int) -> Callable[[Mapping[str, Any], tuple[int, ...]], int]:
    def count(config: Mapping[str, Any], shape: tuple[int, ...]) -> int:
        units = _number(config, "units")
        return math.prod(shape[:-1]) * gates * units * (shape[-1] + units)

    return count


_COUNTS: Mapping[str, Callable[[Mapping[str, Any], tuple[int, ...]], int]] = {
    **{f"Conv{n}D": _convolution for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _transposed for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    "Dense": _dense,
    **{name: _recurrence(gates) for name, gates in _GATES.items()},
}
