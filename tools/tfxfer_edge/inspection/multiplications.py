"""How many multiplications one run of an operator takes, each with the addition that follows it.

Counted is what grows with the weights: convolutions, dense layers, products of matrices. What takes
one operation a value or none, such as an activation or a copy, is left out, as papers do it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.operators import GraphTensor, Operator

__all__ = ["count_multiplications"]

_RECURRENT = (
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "LSTM",
    "RNN",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)
_CALLING = ("CALL", "CALL_ONCE", "IF", "WHILE")
"""They run other graphs, as often as the data says."""


def count_multiplications(operator: Operator) -> int | None:
    """Returns the multiply-accumulates of one run; None where they cannot be told from the file.

    A free size counts as 1. The border of a convolution counts like its inside, though some of what
    is multiplied there is 0.

    Raises:
        ModelError: tensors that are missing, or of too few dimensions.

    Source:
        The shapes of weights are those of the TFLite schema: CONV_2D (out, height, width, in /
        groups), DEPTHWISE_CONV_2D (1, height, width, out), FULLY_CONNECTED (out, in),
        TRANSPOSE_CONV (out, height, width, in), CONV_3D (depth, height, width, in / groups, out),
        CONV_3D_TRANSPOSE (depth, height, width, out, in).
    """
    kind = operator.kind
    if kind.startswith(("CUSTOM:", "STABLEHLO_", "BUILTIN_")) or kind in _CALLING:
        return None
    if kind in _RECURRENT:
        return _count_recurrent(operator)
    count = _COUNTS.get(kind)
    return 0 if count is None else count(operator)


def _count_convolution(operator: Operator) -> int:
    return _count_places(operator, _made(operator)) * math.prod(_weights(operator))


def _count_transposed(operator: Operator) -> int:
    # Its inputs are the size of what it makes, the weights, and what it reads.
    return _count_places(operator, operator.input(2)) * math.prod(_weights(operator))


def _count_dense(operator: Operator) -> int:
    made = math.prod(_shape(operator, _made(operator), 0))
    return made * _shape(operator, operator.input(1), 2)[-1]


def _count_product(operator: Operator) -> int:
    left = _shape(operator, operator.input(0), 2)
    is_turned = bool(getattr(operator.options, "adjX", False))
    return math.prod(_shape(operator, _made(operator), 2)) * left[-2 if is_turned else -1]


def _count_recurrent(operator: Operator) -> int:
    steps = math.prod(_shape(operator, operator.input(0), 1)[:-1])
    matrices = (x for x in operator.inputs[1:] if x is not None and len(x.shape) == 2)
    return steps * sum(math.prod(x.shape) for x in matrices if x.is_constant)


_COUNTS: Mapping[str, Callable[[Operator], int]] = {
    "BATCH_MATMUL": _count_product,
    "CONV_2D": _count_convolution,
    "CONV_3D": _count_convolution,
    "CONV_3D_TRANSPOSE": _count_transposed,
    "DEPTHWISE_CONV_2D": _count_convolution,
    "FULLY_CONNECTED": _count_dense,
    "TRANSPOSE_CONV": _count_transposed,
}


def _made(operator: Operator) -> GraphTensor | None:
    return operator.outputs[0] if operator.outputs else None


def _weights(operator: Operator) -> tuple[int, ...]:
    return _shape(operator, operator.input(1), 4)


def _count_places(operator: Operator, tensor: GraphTensor | None) -> int:
    """Returns over how many places a kernel moves: all sizes of an image but its channels."""
    return math.prod(_shape(operator, tensor, 4)[:-1])


def _shape(operator: Operator, tensor: GraphTensor | None, least: int) -> tuple[int, ...]:
    if tensor is None or len(tensor.shape) < least:
        found = "none" if tensor is None else f"shape={tensor.shape}"
        raise ModelError(
            f"model: expected tensors of at least {least} dimensions at operator {operator.index}, "
            f"{operator.kind}. Received: {found}. The file is damaged: copy or export it again."
        )
    return tensor.shape
