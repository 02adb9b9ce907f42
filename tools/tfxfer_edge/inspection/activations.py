"""What a run holds at once, and which tensors are the largest: from sizes and lifetimes alone.

It is an estimate. A runtime may compute in place, which takes less, or hold weights in another
order and room to work in beside its tensors, which takes more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["LARGEST", "Step", "count_bytes", "describe_largest", "estimate_peak"]

_SIZED = re.compile(r"(?:bfloat|complex|float|u?int)(\d+)")

LARGEST = 10
"""So many tensors are listed."""


_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Step(Generic[_Key]):
    """One operator, as far as memory goes.

    Args:
        kind: what it is.
        reads: keys of the tensors that it reads.
        makes: keys of those that it makes.
    """

    kind: str
    reads: tuple[_Key, ...]
    makes: tuple[_Key, ...]


def count_bytes(dtype: str, shape: Iterable[int]) -> int | None:
    """Returns what the values of a tensor take, a free size (-1) as 1; None for no fixed size.

    Example:
        >>> count_bytes("float32", (-1, 2, 3)), count_bytes("int4", (3,)), count_bytes("string", ())
        (24, 2, None)
    """
    found = _SIZED.fullmatch(dtype)
    bits = 8 if dtype == "bool" else int(found.group(1)) if found else 0
    if not bits:
        return None
    return -(-math.prod(max(size, 1) if size < 0 else size for size in shape) * bits // 8)


def estimate_peak(
    steps: Sequence[Step[_Key]],
    sizes: Mapping[_Key, int],
    *,
    inputs: Iterable[_Key],
    outputs: Iterable[_Key],
) -> dict[str, Any] | None:
    """Returns the most bytes that are alive at one operator, and which that is; None without any.

    A tensor lives from the operator that makes it to the last one that reads it, an input from the
    start, an output to the end.

    Args:
        steps: in order of execution.
        sizes: bytes of each tensor that is computed; constants are not among them.
        inputs: of the graph.
        outputs: of the graph.
    """
    first: dict[_Key, int] = dict.fromkeys(inputs, 0)
    last: dict[_Key, int] = {}
    for number, step in enumerate(steps):
        for key in step.makes:
            first.setdefault(key, number)
        last.update(dict.fromkeys((*step.reads, *step.makes), number))
    last.update(dict.fromkeys(outputs, len(steps) - 1))
    changes = [0] * (len(steps) + 1)
    for key, start in first.items():
        if key in sizes:
            changes[start] += sizes[key]
            changes[last.get(key, start) + 1] -= sizes[key]
    alive = peak = at = 0
    for number in range(len(steps)):
        alive += changes[number]
        if alive > peak:
            peak, at = alive, number
    if not peak:
        return None
    return {"peak_bytes": peak, "operator": steps[at].kind, "index": at}


def describe_largest(tensors: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the largest of some tensors, each with `bytes`, the largest first."""
    found = sorted(tensors, key=lambda x: (-x["bytes"], x["name"]))
    return [item for item in found[:LARGEST] if item["bytes"]]
