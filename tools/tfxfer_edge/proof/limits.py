"""How much a file may lose: points of the metric, or a share of what the float model has."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfxfer.errors import UsageError
from tfxfer.system.arguments import describe_value

__all__ = ["Limit", "parse_limit"]


@dataclass(frozen=True)
class Limit:
    """How much may be lost.

    Args:
        value: points of the metric, or percent of the float model's value of it.
        is_share: whether it is the latter.

    Example:
        >>> Limit(2.0, is_share=True).to_points(80.0)
        1.6
    """

    value: float
    is_share: bool = False

    def to_points(self, reference: float) -> float:
        """Returns the limit in points.

        Args:
            reference: the float model's value, in points: 0 to 100 of a share.
        """
        return self.value * abs(reference) / 100 if self.is_share else self.value

    def __str__(self) -> str:
        unit = "%" if self.is_share else "point" if self.value == 1 else "points"
        return f"{self.value:g} {unit}"


def parse_limit(limit: float | str | None) -> Limit | None:
    """Returns what a person means by a number, or a number and a percent sign.

    Args:
        limit: points, such as 1.0 or `1.0`; or percent of the float model's value, such as `2%`;
            None is no limit.

    Raises:
        UsageError: neither, or less than none.

    Example:
        >>> parse_limit("2%")
        Limit(value=2.0, is_share=True)
    """
    if limit is None:
        return None
    is_share = isinstance(limit, str) and limit.strip().endswith("%")
    try:
        if isinstance(limit, bool) or not isinstance(limit, (int, float, str)):
            raise ValueError
        value = float(limit.strip().rstrip("%")) if isinstance(limit, str) else float(limit)
        if not 0 <= value < math.inf:
            raise ValueError
    except ValueError:
        raise UsageError(
            "max_drop: expected points of the metric, such as 1.0, or percent of the float "
            f"model's value, such as 2%, and not less than 0. Received: {describe_value(limit)}."
        ) from None
    return Limit(value, is_share)
