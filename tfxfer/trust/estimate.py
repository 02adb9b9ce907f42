"""A measured figure with its 95 % interval, as records keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A measured figure.

    Args:
        value: what was measured.
        low: lower end of its interval.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, figure: Mapping[str, float]) -> Estimate:
        """Returns what `tfxfer.evaluation` measured."""
        return cls(*(float(figure[end]) for end in ("value", "low", "high")))

    def to_dict(self) -> dict[str, float]:
        """Returns it as `tfxfer.evaluation` writes it."""
        return {"value": self.value, "low": self.low, "high": self.high}
