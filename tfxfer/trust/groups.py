"""Which samples belong together: those of which a column says the same, or nearly the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.errors import DataError

__all__ = ["FEWEST_SAMPLES", "MOST_VALUES", "Grouping", "choose_groupings", "group_samples"]

FEWEST_SAMPLES = 20
"""A group of fewer is called small: Wilson's 95 % interval of 18 right in 20 is 27 points wide."""

MOST_VALUES = 20
"""A column of more values is no slice unless it is asked for; one of numbers is cut then."""

_BINS = 4


@dataclass(frozen=True, eq=False)
class Grouping:
    """What a column says of some samples.

    Args:
        column: its name.
        names: of the groups.
        numbers: each sample's group, -1 where nothing is known, int64 (samples,).
        is_binned: whether groups are ranges of numbers.
    """

    column: str
    names: tuple[str, ...]
    numbers: np.ndarray
    is_binned: bool = False

    @property
    def unknown(self) -> int:
        """Of how many samples nothing is known."""
        return int((self.numbers < 0).sum())

    def list_sizes(self) -> list[int]:
        """Returns how many samples each group has."""
        return [int((self.numbers == number).sum()) for number in range(len(self.names))]


def group_samples(column: str, cells: Sequence[str]) -> Grouping:
    """Returns the groups of a column: one for each value; of many numbers, their quarters.

    Args:
        column: its name.
        cells: what it says of each sample; empty text where it says nothing.

    Raises:
        DataError: it says nothing at all, or many things that are no numbers.

    Example:
        >>> group_samples("camera", ["x", "", "y", "x"]).numbers
        array([ 0, -1,  1,  0])
        >>> group_samples("age", [str(age) for age in range(100)]).names
        ('below 24.75', '24.75 to 49.5', '49.5 to 74.25', '74.25 or more')
    """
    names = sorted({cell for cell in cells if cell}, key=_sort_key)
    if not names:
        raise DataError(
            f"slice {column!r}: expected a column that says something of these samples. "
            "Received: empty cells alone."
        )
    if len(names) > MOST_VALUES:
        values = [_read_number(name) for name in names]
        if any(value is None for value in values):
            raise DataError(
                f"slice {column!r}: expected numbers, or at most {MOST_VALUES} different values. "
                f"Received: {len(names):,}, such as {names[0]!r}. Group them in a further column."
            )
        return _bin_numbers(column, cells)
    index = {name: number for number, name in enumerate(names)}
    numbers = np.array([index.get(cell, -1) for cell in cells], np.int64)
    return Grouping(column, tuple(names), numbers)


def choose_groupings(
    slices: Mapping[str, Sequence[str]],
    columns: Sequence[str] | None = None,
    also: Sequence[str] = (),
) -> tuple[list[Grouping], dict[str, str]]:
    """Returns the groups of some columns, and why the others are left out.

    Args:
        slices: what each column says of each sample.
        columns: those that are wanted; None is all of 2 to 20 values.
        also: further ones, whatever the default is.

    Raises:
        DataError: a column that was asked for and cannot be grouped.
    """
    if columns is not None:
        wanted = dict.fromkeys((*columns, *also))
        return [group_samples(column, slices.get(column, ())) for column in wanted], {}
    groupings, left_out = [], {}
    for column, cells in slices.items():
        if column in also:
            groupings.append(group_samples(column, cells))
            continue
        known = [cell for cell in cells if cell]
        count = len(set(known))
        if count < 2:
            left_out[column] = "it says the same of all samples" if count else "it is empty"
        elif 2 * count > len(known):
            left_out[column] = "nearly every sample has a value of its own"
        elif count > MOST_VALUES:
            left_out[column] = f"{count:,} values, more than {MOST_VALUES}"
        else:
            groupings.append(group_samples(column, cells))
    return groupings, left_out


def _bin_numbers(column: str, cells: Sequence[str]) -> Grouping:
    known = np.array([float(cell) if cell else math.nan for cell in cells])
    is_known = ~np.isnan(known)
    cuts = np.quantile(known[is_known], np.linspace(0, 1, _BINS + 1)[1:-1])
    # A value that a quarter of the samples share is one cut, not two.
    cuts = np.unique(cuts)
    shown = _show_apart(cuts)
    middle = [f"{low} to {high}" for low, high in itertools.pairwise(shown)]
    numbers = np.where(is_known, np.searchsorted(cuts, known, side="right"), -1)
    names = [f"below {shown[0]}", *middle, f"{shown[-1]} or more"]
    used = np.unique(numbers[numbers >= 0])
    place = np.full(len(names), -1)
    place[used] = np.arange(len(used))
    numbers = np.where(numbers >= 0, place[numbers], -1).astype(np.int64)
    return Grouping(column, tuple(names[k] for k in used), numbers, is_binned=True)


def _show_apart(cuts: np.ndarray) -> list[str]:
    """Returns numbers in six digits, or in as many as tell them apart."""
    # Not more of the digits with an exponent: of 1.70000002e+09 nobody reads the second.
    decimals = range(16) if np.abs(cuts).max() < 1e16 else ()
    for shape in (".6g", *(f".{count}f" for count in decimals)):
        shown = [f"{cut:{shape}}" for cut in cuts]
        if len(set(shown)) == len(shown):
            return shown
    return [repr(float(cut)) for cut in cuts]


def _read_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _sort_key(text: str) -> tuple[float, str]:
    number = _read_number(text)
    return (math.inf if number is None else number, text)
