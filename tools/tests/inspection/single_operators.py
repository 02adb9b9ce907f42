"""Files of one operator each, in several types: LiteRT itself says what XNNPACK takes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .built_files import BuiltFile

__all__ = ["TYPES", "make_files"]

TYPES = ("float32", "int8", "uint8", "int16")

_UNARY = (
    "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "LOGISTIC", "NEG",
    "RELU", "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "TANH",
    "L2_NORMALIZATION", "LOG_SOFTMAX",
)  # fmt: skip
_BINARY = ("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "SQUARED_DIFFERENCE", "SUB")
_REDUCING = ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")
_SAME_SCALE = 0.05


def make_files(dtype: str) -> Iterator[tuple[str, bytes]]:
    """Yields names and files; the name begins with the operator."""
    for kind in _UNARY:
        yield kind, _build(dtype, kind, [(1, 4, 4, 8)], (1, 4, 4, 8), _unary_options(kind))
    for kind in _BINARY:
        yield kind, _build(dtype, kind, [(1, 4, 4, 8)] * 2, (1, 4, 4, 8), _binary_options(kind))
    for kind in _REDUCING:
        yield kind, _build(dtype, kind, [(1, 4, 4, 8)], (1, 8), _reducer(), axes=[1, 2])
    yield from _make_shapes(dtype)
    yield from _make_weighted(dtype)


def _make_shapes(dtype: str) -> Iterator[tuple[str, bytes]]:
    image = (1, 4, 4, 8)
    pool = schema.Pool2DOptionsT()
    pool.filterHeight = pool.filterWidth = pool.strideH = pool.strideW = 2
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        yield kind, _build(dtype, kind, [image], (1, 2, 2, 8), pool)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    yield "SOFTMAX", _build(dtype, "SOFTMAX", [(1, 8)], (1, 8), softmax, scale=1 / 256)
    for count in (2, 5, 6):
        joined = schema.ConcatenationOptionsT()
        joined.axis = 3
        name = f"CONCATENATION of {count}"
        yield name, _build(dtype, "CONCATENATION", [image] * count, (1, 4, 4, 8 * count), joined)
    yield (
        "RESHAPE",
        _build(dtype, "RESHAPE", [image], (1, 128), schema.ReshapeOptionsT(), axes=[1, 128]),
    )
    yield "PAD", _build(
        dtype, "PAD", [image], (1, 6, 6, 8), schema.PadOptionsT(),
        axes=[[0, 0], [1, 1], [1, 1], [0, 0]],
    )  # fmt: skip
    yield (
        "TRANSPOSE",
        _build(
            dtype, "TRANSPOSE", [image], (1, 8, 4, 4), schema.TransposeOptionsT(), axes=[0, 3, 1, 2]
        ),
    )
    for kind, made in (("DEPTH_TO_SPACE", (1, 8, 8, 2)), ("SPACE_TO_DEPTH", (1, 2, 2, 32))):
        named = "DepthToSpace" if kind == "DEPTH_TO_SPACE" else "SpaceToDepth"
        options = getattr(schema, f"{named}OptionsT")()
        options.blockSize = 2
        yield kind, _build(dtype, kind, [image], made, options)
    yield "RESIZE_BILINEAR", _build(
        dtype, "RESIZE_BILINEAR", [image], (1, 8, 8, 8), schema.ResizeBilinearOptionsT(),
        axes=[8, 8],
    )  # fmt: skip
    yield "RESIZE_NEAREST_NEIGHBOR", _build(
        dtype, "RESIZE_NEAREST_NEIGHBOR", [image], (1, 8, 8, 8),
        schema.ResizeNearestNeighborOptionsT(), axes=[8, 8],
    )  # fmt: skip
    yield (
        "EXPAND_DIMS",
        _build(dtype, "EXPAND_DIMS", [(4, 8)], (1, 4, 8), schema.ExpandDimsOptionsT(), axes=[0]),
    )
    yield "SQUEEZE", _build(dtype, "SQUEEZE", [(1, 4, 8)], (4, 8), schema.SqueezeOptionsT())
    leaky = schema.LeakyReluOptionsT()
    leaky.alpha = 0.1
    yield "LEAKY_RELU", _build(dtype, "LEAKY_RELU", [image], image, leaky)
    yield "SLICE", _slice(dtype)
    for stride in (1, 2):
        yield f"STRIDED_SLICE by {stride}", _strided_slice(dtype, stride)
    for count in (2, 8):
        yield f"SPLIT in {count}", _split(dtype, count)


def _make_weighted(dtype: str) -> Iterator[tuple[str, bytes]]:
    for weights in {dtype, "int8"} if dtype == "float32" else {dtype}:
        for has_bias in (True, False):
            note = f" with {weights} weights{'' if has_bias else ', no bias'}"
            for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                yield kind + note, _weighted(kind, dtype, weights, has_bias=has_bias)


def _build(
    dtype: str,
    kind: str,
    sources: Sequence[tuple[int, ...]],
    made: tuple[int, ...],
    options: Any,
    *,
    axes: Any = None,
    scale: float = _SAME_SCALE,
) -> bytes:
    file = BuiltFile()
    inputs = [file.add_tensor(*shape, dtype=dtype, **_quantize(dtype)) for shape in sources]
    extra = []
    if axes is not None:
        values = np.array(axes, np.int32)
        extra = [file.add_tensor(*values.shape, dtype="int32", values=values)]
    zero = {"int8": -128, "uint8": 0}.get(dtype, 0) if scale != _SAME_SCALE else 0
    output = file.add_tensor(*made, dtype=dtype, **_quantize(dtype, scale, zero))
    file.add_operator(kind, [*inputs, *extra], [output], options)
    return file.to_bytes(inputs, [output])


def _quantize(dtype: str, scale: float = _SAME_SCALE, zero: int = 0) -> dict[str, Any]:
    return {} if dtype == "float32" else {"scale": [scale], "zero_point": [zero]}


def _unary_options(kind: str) -> Any:
    names = {
        "ABS": "Abs", "COS": "Cos", "EXP": "Exp", "GELU": "Gelu", "HARD_SWISH": "HardSwish",
        "NEG": "Neg", "SQUARE": "Square", "L2_NORMALIZATION": "L2Norm",
        "LOG_SOFTMAX": "LogSoftmax",
    }  # fmt: skip
    return getattr(schema, f"{names[kind]}OptionsT")() if kind in names else None


def _binary_options(kind: str) -> Any:
    names = {"MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum",
             "SQUARED_DIFFERENCE": "SquaredDifference"}  # fmt: skip
    return getattr(schema, f"{names.get(kind, kind.capitalize())}OptionsT")()


def _reducer() -> Any:
    return schema.ReducerOptionsT()


def _with_arguments(
    dtype: str, kind: str, arguments: Sequence[Sequence[int]], made: tuple[int, ...], options: Any
) -> bytes:
    file = BuiltFile()
    source = file.add_tensor(1, 4, 4, 8, dtype=dtype, **_quantize(dtype))
    extra = [
        file.add_tensor(len(x), dtype="int32", values=np.array(x, np.int32)) for x in arguments
    ]
    output = file.add_tensor(*made, dtype=dtype, **_quantize(dtype))
    file.add_operator(kind, [source, *extra], [output], options)
    return file.to_bytes([source], [output])


def _slice(dtype: str) -> bytes:
    sizes = [1, 2, 2, 8]
    options = schema.SliceOptionsT()
    return _with_arguments(dtype, "SLICE", [[0, 1, 1, 0], sizes], (1, 2, 2, 8), options)


def _strided_slice(dtype: str, stride: int) -> bytes:
    arguments = [[0, 0, 0, 0], [1, 4, 4, 8], [1, stride, stride, 1]]
    made = (1, 4 // stride, 4 // stride, 8)
    return _with_arguments(dtype, "STRIDED_SLICE", arguments, made, schema.StridedSliceOptionsT())


def _split(dtype: str, count: int) -> bytes:
    file = BuiltFile()
    axis = file.add_tensor(1, dtype="int32", values=np.array([3], np.int32))
    source = file.add_tensor(1, 4, 4, 8, dtype=dtype, **_quantize(dtype))
    outputs = [
        file.add_tensor(1, 4, 4, 8 // count, dtype=dtype, **_quantize(dtype)) for _ in range(count)
    ]
    options = schema.SplitOptionsT()
    options.numSplits = count
    file.add_operator("SPLIT", [axis, source], outputs, options)
    return file.to_bytes([source], outputs)


def _weighted(kind: str, dtype: str, weights: str, *, has_bias: bool) -> bytes:
    file = BuiltFile()
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "CONV_2D": ((1, 4, 4, 8), (6, 1, 1, 8), (1, 4, 4, 6)),
        "DEPTHWISE_CONV_2D": ((1, 4, 4, 8), (1, 3, 3, 8), (1, 4, 4, 8)),
        "FULLY_CONNECTED": ((1, 8), (6, 8), (1, 6)),
    }
    makers: dict[str, Callable[[], Any]] = {
        "CONV_2D": schema.Conv2DOptionsT,
        "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
        "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    }
    reads, kernel, made = shapes[kind]
    options = makers[kind]()
    if kind != "FULLY_CONNECTED":
        options.strideH = options.strideW = 1
    if kind == "DEPTHWISE_CONV_2D":
        options.depthMultiplier = 1
    source = file.add_tensor(*reads, dtype=dtype, **_quantize(dtype))
    values = np.ones(kernel, weights)
    held = file.add_tensor(*kernel, dtype=weights, values=values, **_quantize(weights))
    inputs = [source, held]
    if has_bias:
        outputs = made[-1]
        kind_of_bias = "float32" if dtype == "float32" else "int32"
        inputs.append(
            file.add_tensor(
                outputs,
                dtype=kind_of_bias,
                values=np.zeros(outputs, kind_of_bias),
                **_quantize(kind_of_bias, _SAME_SCALE**2),
            )
        )
    output = file.add_tensor(*made, dtype=dtype, **_quantize(dtype))
    file.add_operator(kind, inputs, [output], options)
    return file.to_bytes([source], [output])
