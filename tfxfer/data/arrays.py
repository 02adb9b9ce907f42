"""One array, or several by input name: what a network takes for some samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

__all__ = ["Arrays", "count_rows", "list_arrays", "map_arrays"]

Arrays: TypeAlias = np.ndarray | dict[str, np.ndarray]
"""A modality with one input gives an array, one with several a dict of them by name."""


def map_arrays(function: Callable[..., np.ndarray], first: Arrays, *rest: Arrays) -> Arrays:
    """Returns what a function makes of each array, or of those of one name.

    Example:
        >>> map_arrays(np.add, {"ids": np.ones(2)}, {"ids": np.ones(2)})
        {'ids': array([2., 2.])}
    """
    if isinstance(first, dict):
        return {name: function(*(each[name] for each in (first, *rest))) for name in first}
    return function(first, *rest)


def list_arrays(arrays: Arrays) -> list[np.ndarray]:
    """Returns the arrays in the order of the inputs."""
    return list(arrays.values()) if isinstance(arrays, dict) else [arrays]


def count_rows(arrays: Arrays) -> int:
    """Returns how many samples there are."""
    return len(list_arrays(arrays)[0])
