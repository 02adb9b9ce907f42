"""What an accelerator would refuse of a file, by its published list and no more than that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfxfer_edge.inspection.operators import Operator
from tfxfer_edge.inspection.published import PublishedList, read_lists

__all__ = ["describe_refusals"]

_NOT_LISTED = "not listed"
_ACCELERATORS = ("gpu", "nnapi", "edge_tpu", "micro")


def describe_refusals(operators: Sequence[Operator], *, is_fixed: bool) -> list[dict[str, Any]]:
    """Returns a document for each accelerator.

    Each says how many operators its list takes, which it refuses for their type or a condition
    that the file shows, which it does not name, and what it asks of others that is not checked.

    Args:
        operators: of the main graph.
        is_fixed: whether no size is free.
    """
    return [_judge(key, operators, is_fixed=is_fixed) for key in _ACCELERATORS]


def _judge(key: str, operators: Sequence[Operator], *, is_fixed: bool) -> dict[str, Any]:
    known = read_lists()[key]
    refused: Counter[tuple[str, str]] = Counter()
    unnamed: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for operator in operators:
        reason = _find_reason(key, known, operator)
        if reason == _NOT_LISTED:
            unnamed[operator.kind] += 1
        elif reason:
            refused[operator.kind, reason] += 1
        else:
            taken[operator.kind] += 1
    notes = list(known.notes)
    if key == "edge_tpu" and not is_fixed:
        notes.append("this file has sizes that are free: it is refused")
    return {
        "name": known.name,
        "source": known.source,
        "read": known.read,
        "takes": taken.total(),
        "refused": [
            {"operator": kind, "count": count, "reason": reason}
            for (kind, reason), count in refused.most_common()
        ],
        "not_listed": [{"operator": kind, "count": n} for kind, n in unnamed.most_common()],
        "unchecked": [
            {"operator": kind, "condition": known.conditions[kind]}
            for kind in sorted(taken)
            if kind in known.conditions and (key, kind) not in _CHECKS
        ],
        "notes": notes,
    }


def _find_reason(key: str, known: PublishedList, operator: Operator) -> str:
    if operator.kind not in known.operators:
        return _NOT_LISTED
    types = known.operators[operator.kind]
    # A split has its axis first, a transposed convolution its size.
    first = {"SPLIT": 1, "TRANSPOSE_CONV": 2}.get(operator.kind, 0)
    read = operator.input(first)
    found = {x.dtype for x in (read, *operator.outputs[:1]) if x is not None}
    if operator.kind in ("QUANTIZE", "DEQUANTIZE", "CAST"):
        found = {read.dtype} if read is not None else set()
    strange = sorted(found - set(types))
    if types and strange:
        return f"in {', '.join(strange)}"
    check = _CHECKS.get((key, operator.kind))
    return "" if check is None or check(operator) else f"expected {known.conditions[operator.kind]}"


def _has_no_activation(operator: Operator) -> bool:
    return not getattr(operator.options, "fusedActivationFunction", 0)


def _has_even_dilation(operator: Operator) -> bool:
    factors = [getattr(operator.options, f"dilation{x}Factor", 1) for x in "HW"]
    return factors[0] == factors[1]


def _has_bias(operator: Operator) -> bool:
    return operator.input(2) is not None


def _has_few_dimensions(operator: Operator) -> bool:
    source = operator.input(0)
    return source is None or len(source.shape) <= 4


def _is_short(operator: Operator) -> bool:
    source = operator.input(0)
    sizes = [] if source is None else [size for size in source.shape if size != 1]
    return len(sizes) <= 1 and all(size <= 16_000 for size in sizes)


def _has_plain_strides(operator: Operator) -> bool:
    strides = operator.input(3)
    return (
        strides is not None
        and strides.values is not None
        and bool((np.frombuffer(strides.values.tobytes(), "<i4") == 1).all())
        and not getattr(operator.options, "ellipsisMask", 0)
        and not getattr(operator.options, "newAxisMask", 0)
    )


_CHECKS: Mapping[tuple[str, str], Callable[[Operator], bool]] = {
    ("nnapi", "CONV_2D"): _has_bias,
    ("nnapi", "SOFTMAX"): _has_few_dimensions,
    ("edge_tpu", "AVERAGE_POOL_2D"): _has_no_activation,
    ("edge_tpu", "CONCATENATION"): _has_no_activation,
    ("edge_tpu", "MAX_POOL_2D"): _has_no_activation,
    ("edge_tpu", "CONV_2D"): _has_even_dilation,
    ("edge_tpu", "DEPTHWISE_CONV_2D"): _has_even_dilation,
    ("edge_tpu", "SOFTMAX"): _is_short,
    ("edge_tpu", "STRIDED_SLICE"): _has_plain_strides,
}
