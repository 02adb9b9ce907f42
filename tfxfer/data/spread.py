"""A few rows for all of them: samples mostly lie one class after the other."""

from __future__ import annotations

__all__ = ["spread_rows"]


def spread_rows(count: int, most: int) -> list[int]:
    """Returns rows that lie as far from each other as from the ends.

    Args:
        count: how many rows there are.
        most: how many are wanted.

    Example:
        >>> spread_rows(100, 4)
        [12, 37, 62, 87]
        >>> spread_rows(3, 8)
        [0, 1, 2]
    """
    if count <= most:
        return list(range(count))
    return [(2 * number + 1) * count // (2 * most) for number in range(most)]
