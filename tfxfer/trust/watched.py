"""What a watch is given: refused before a training, and not in its first epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfxfer.data.samples import SampleSplit
from tfxfer.errors import UsageError
from tfxfer.system.arguments import check_texts, describe_value

__all__ = ["check_groups", "check_tell", "check_validation"]


def check_validation(validation: Any) -> int:
    """Returns how many validation samples there are.

    Args:
        validation: None; a split of `load_images`; or arrays (inputs, targets), of which the
            inputs may be a dict of arrays by input name.

    Raises:
        UsageError: something else, or arrays of other lengths.
    """
    if validation is None:
        return 0
    if isinstance(validation, SampleSplit):
        return len(validation)
    expected = (
        "Watch: expected validation samples as load_images(…).val or arrays (inputs, targets)"
    )
    if not (isinstance(validation, tuple) and len(validation) == 2):
        raise UsageError(f"{expected}. Received: {describe_value(validation)}.")
    inputs, targets = validation
    named = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    counts = {}
    for name, values in (*named.items(), ("targets", targets)):
        count = _count_rows(values)
        if count is None:
            raise UsageError(f"{expected}. Received: {name}={describe_value(values)}.")
        counts[name] = count
    if len(set(counts.values())) != 1:
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise UsageError(f"{expected}, as many of each. Received: {found}.")
    return counts["targets"]


def check_groups(groups: Sequence[str] | None, count: int) -> np.ndarray | None:
    """Returns the slice of each validation sample.

    Args:
        groups: their names, or None.
        count: of the samples.

    Raises:
        UsageError: no texts, or not one for each sample.
    """
    if groups is None:
        return None
    expected = "one group for each validation sample, such as day or night,"
    names = check_texts(groups, where="Watch", name="groups", expected=expected)
    if len(names) != count:
        raise UsageError(
            "Watch: expected one group for each validation sample. Received: "
            f"{len(names)} groups, {count} samples."
        )
    return np.asarray(names, str)


def check_tell(tell: Any) -> None:
    """Refuses what cannot be called with a line.

    Raises:
        UsageError: it is no function.
    """
    if not callable(tell):
        raise UsageError(
            "Watch: expected a function that takes a line of text as tell. "
            f"Received: tell={describe_value(tell)}."
        )


def _count_rows(values: Any) -> int | None:
    """Returns how many samples an array has; None for what is no array."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of other lengths
        return None
    return len(array) if array.ndim and array.dtype.kind != "O" else None
