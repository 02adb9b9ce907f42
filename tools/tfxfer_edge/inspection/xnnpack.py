"""Where XNNPACK's graph is cut: LiteRT runs what its delegate does not take itself, in between.

XNNPACK computes several times faster than LiteRT's own kernels, and each cut costs a change of
hands besides. HARD_SWISH in 8 bits is one that it does not take: MobileNetV3-Small in int8 is in 20
pieces, and takes twice the time of its float file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tfxfer_edge.inspection.operators import GraphTensor, Operator, describe_types
from tfxfer_edge.inspection.published import read_lists

__all__ = ["cut_graph", "describe_partitions", "find_left"]

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_MIXED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CONV_2D": (("float32", "int8"),),
    "FULLY_CONNECTED": (("float32", "int8"), ("float32", "int4"), ("int8", "int4")),
    "TRANSPOSE_CONV": (("float32", "int8"),),
}
"""Types of activations and weights that differ and are taken; DEPTHWISE_CONV_2D has none."""
_TAKEN_ACTIVATIONS = (0, 1, 2, 3)  # none, RELU, RELU_N1_TO_1, RELU6 of the schema
_EIGHT = ("int8", "uint8")
_READS_ALL = (
    "ADD", "CONCATENATION", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"
)  # fmt: skip
_SCALES: Mapping[str, tuple[float, float]] = {
    "ADD": (1 / 1024, 256),
    "SUB": (1 / 1024, 256),
    "MUL": (1 / 65536, 256),
}
"""Ratios of the inputs' scales to the output's; of MUL that of their product."""
_STATIC: Mapping[str, tuple[int, ...]] = {
    "MEAN": (1,),
    "PAD": (1,),
    "PRELU": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "SLICE": (1, 2),
    "SPLIT": (0,),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}
"""Inputs that the file must hold, beside weights."""


def describe_partitions(operators: Sequence[Operator]) -> dict[str, Any]:
    """Returns how many pieces XNNPACK computes, what is left to LiteRT, and what cuts.

    Args:
        operators: of the main graph, in order of execution.
    """
    left = find_left(operators)
    pieces = cut_graph(operators, left)
    taken = [number for number, (is_taken, _) in enumerate(pieces) if is_taken]
    between = pieces[taken[0] : taken[-1]] if taken else []
    cutting = Counter(
        operators[index].kind for is_taken, piece in between if not is_taken for index in piece
    )
    reasons = Counter((operators[index].kind, reason) for index, reason in left.items())
    known = read_lists()["xnnpack"]
    return {
        "source": known.source,
        "read": known.read,
        "partitions": len(taken),
        "taken": len(operators) - len(left),
        "left": [
            {"operator": kind, "count": count, "reason": reason}
            for (kind, reason), count in reasons.most_common()
        ],
        "cuts": [{"operator": kind, "count": count} for kind, count in cutting.most_common()],
    }


def find_left(operators: Sequence[Operator]) -> dict[int, str]:
    """Returns the operators that XNNPACK does not take, by index, and why not."""
    unpacked = {
        operator.outputs[0].index: operator.index
        for operator in operators
        if _is_unpacking(operator)
    }
    left: dict[int, str] = {}
    for operator in operators:
        if operator.index in unpacked.values():
            continue
        reason = _find_reason(operator, unpacked)
        if reason:
            left[operator.index] = reason
            # What is unpacked for LiteRT, LiteRT unpacks.
            for tensor in operator.inputs:
                if tensor is not None and tensor.index in unpacked:
                    left[unpacked[tensor.index]] = "unpacks weights of an operator that is left"
    return dict(sorted(left.items()))


def cut_graph(operators: Sequence[Operator], left: Collection[int]) -> list[tuple[bool, list[int]]]:
    """Returns the pieces in which a graph is run, in order: whether XNNPACK's, and operators.

    As LiteRT does it: each piece takes all operators of its kind that can run by then, also from
    behind those of the other kind.

    Args:
        operators: of the graph, in order of execution.
        left: indices of those that XNNPACK does not take.
    """
    made = {tensor.index for operator in operators for tensor in operator.outputs}
    waiting, pieces = list(operators), []
    while waiting:
        piece: list[int] = []
        is_taken: bool | None = None
        moved = True
        while moved:
            moved, later = False, []
            for operator in waiting:
                needs = {tensor.index for tensor in operator.inputs if tensor is not None}
                kind = operator.index not in left
                if needs & made or is_taken not in (None, kind):
                    later.append(operator)
                    continue
                is_taken, moved = kind, True
                piece.append(operator.index)
                made -= {tensor.index for tensor in operator.outputs}
            waiting = later
        assert is_taken is not None  # a sound graph has an operator that can run
        pieces.append((is_taken, piece))
    return pieces


def _is_unpacking(operator: Operator) -> bool:
    """Whether it makes float32 weights of smaller ones that the file holds."""
    source = operator.input(0)
    return (
        operator.kind == "DEQUANTIZE"
        and source is not None
        and bool(operator.outputs)
        and source.is_constant
        and source.dtype in ("float16", "int8")
        and operator.outputs[0].dtype == "float32"
    )


def _find_reason(operator: Operator, unpacked: Collection[int]) -> str:
    """Returns why XNNPACK does not take an operator; empty where it does."""
    kinds = read_lists()["xnnpack"].operators.get(operator.kind)
    if kinds is None:
        return "not listed"
    if not operator.outputs:
        return "no output"
    # A split has its axis first.
    data = operator.inputs[1:] if operator.kind == "SPLIT" else operator.inputs[:1]
    reads = [tensor for tensor in data if tensor is not None][:1]
    made = list(operator.outputs)
    if operator.kind in _READS_ALL:
        reads = [tensor for tensor in operator.inputs if tensor is not None]
    if operator.kind in ("QUANTIZE", "DEQUANTIZE"):
        return _check_conversion(operator)
    for tensor in (*reads, *made):
        if tensor.dtype not in kinds:
            return f"in {tensor.dtype}"
        # Not `<= 0`: a NaN would pass.
        if tensor.dtype in _EIGHT and not (len(tensor.scale) == 1 and tensor.scale[0] > 0):
            return f"{tensor.dtype} without a scale, or with several"
    if len({tensor.dtype for tensor in (*reads, *made)}) > 1:
        return "mixed types"
    activation = getattr(operator.options, "fusedActivationFunction", 0)
    if activation not in _TAKEN_ACTIVATIONS:
        return "a fused activation other than ReLU"
    for number in _STATIC.get(operator.kind, ()):
        given = operator.input(number)
        if given is not None and not given.is_constant and given.index not in unpacked:
            return "an argument that is computed"
    check = _CHECKS.get(operator.kind)
    if check is not None and (reason := check(operator)):
        return reason
    if operator.kind in _WEIGHTED:
        return _check_weights(operator, unpacked)
    return ""


def _check_conversion(operator: Operator) -> str:
    source, made = operator.input(0), operator.outputs[0]
    if source is None or len(source.scale) > 1 or len(made.scale) > 1:
        return "a scale for each channel"
    if operator.kind == "DEQUANTIZE":
        return (
            "" if source.dtype in _EIGHT and made.dtype == "float32" else describe_types(operator)
        )
    if made.dtype not in _EIGHT:
        return describe_types(operator)
    if source.dtype == "float32":
        return ""
    if source.dtype != made.dtype:
        return describe_types(operator)
    is_known = bool(source.scale and made.scale and made.scale[0])
    ratio = source.scale[0] / made.scale[0] if is_known else 0.0
    return "" if 1 / 256 <= ratio <= 128 else "scales that are too far apart"


def _check_weights(operator: Operator, unpacked: Collection[int]) -> str:
    source = operator.input(2 if operator.kind == "TRANSPOSE_CONV" else 0)
    weights = operator.input(1)
    bias = operator.input(3 if operator.kind == "TRANSPOSE_CONV" else 2)
    if source is None or weights is None:
        return "no weights"
    if bias is None and operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return "no bias"
    for tensor in (weights, bias):
        if tensor is not None and not tensor.is_constant and tensor.index not in unpacked:
            return "weights that are computed"
    is_mixed = (source.dtype, weights.dtype) in _MIXED.get(operator.kind, ())
    if weights.dtype != source.dtype and not is_mixed:
        return f"{source.dtype}, {weights.dtype} weights"
    return ""


def _check_ratio(operator: Operator) -> str:
    first, second = operator.input(0), operator.input(1)
    made = operator.outputs[0]
    if first is None or second is None or made.dtype not in _EIGHT:
        return ""
    low, high = _SCALES[operator.kind]
    scales = [first.scale[0], second.scale[0]]
    ratios = [scales[0] * scales[1]] if operator.kind == "MUL" else scales
    is_near = all(low <= ratio / made.scale[0] < high for ratio in ratios)
    return "" if is_near else "scales that are too far apart"


def _check_reshape(operator: Operator) -> str:
    source, made = operator.input(0), operator.outputs[0]
    if source is not None and made.dtype in _EIGHT:
        is_same = source.scale == made.scale and source.zero_point == made.zero_point
        return "" if is_same else "an output with another scale"
    return ""


def _check_concatenation(operator: Operator) -> str:
    if not 2 <= len(operator.inputs) <= 5:
        return f"{len(operator.inputs)} inputs"
    made = operator.outputs[0]
    scales = {(x.scale, x.zero_point) for x in operator.inputs if x is not None}
    if made.dtype == "uint8" and scales != {(made.scale, made.zero_point)}:
        return "an input with another scale"
    return ""


def _check_split(operator: Operator) -> str:
    return "" if 2 <= len(operator.outputs) <= 4 else f"{len(operator.outputs)} outputs"


def _check_softmax(operator: Operator) -> str:
    return "" if getattr(operator.options, "beta", 1.0) == 1.0 else "a beta other than 1"


def _check_pad(operator: Operator) -> str:
    paddings = _integers(operator.input(1))
    return "" if paddings is None or (paddings >= 0).all() else "paddings below 0"


def _check_block(operator: Operator) -> str:
    return "" if getattr(operator.options, "blockSize", 2) > 1 else "blocks of 1"


def _check_slice(operator: Operator) -> str:
    options = operator.options
    if any(getattr(options, f"{x}Mask", 0) for x in ("ellipsis", "newAxis", "shrinkAxis")):
        return "a mask of an axis"
    strides = _integers(operator.input(3))
    return "" if strides is None or (strides == 1).all() else "strides other than 1"


def _integers(tensor: GraphTensor | None) -> np.ndarray | None:
    if tensor is None or tensor.values is None or tensor.dtype not in ("int32", "int64"):
        return None
    return np.frombuffer(np.asarray(tensor.values).tobytes(), tensor.dtype)


_CHECKS: Mapping[str, Callable[[Operator], str]] = {
    "ADD": _check_ratio,
    "CONCATENATION": _check_concatenation,
    "DEPTH_TO_SPACE": _check_block,
    "LEAKY_RELU": lambda x: "" if getattr(x.options, "alpha", 1.0) else "an alpha of 0",
    "MUL": _check_ratio,
    "PAD": _check_pad,
    "RESHAPE": _check_reshape,
    "SOFTMAX": _check_softmax,
    "SPACE_TO_DEPTH": _check_block,
    "SPLIT": _check_split,
    "STRIDED_SLICE": _check_slice,
    "SUB": _check_ratio,
}
