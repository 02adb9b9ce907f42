"""Whether two sets of samples are of one kind, as a backbone sees them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfxfer.system.files import to_plain
from tfxfer.trust.distances import FrechetSpace, measure_mmd

__all__ = ["SIGNIFICANT", "SetGap", "make_set_gap"]

SIGNIFICANT = 0.05
"""A p-value below this says that two sets differ: of pairs that do not, it says so of one in 20."""

_SHUFFLES = 8  # ways to share all samples out, for what chance alone comes to


@dataclass(frozen=True)
class SetGap:
    """How far two sets of samples are apart.

    Args:
        backbone: whose features they are compared by.
        images_a: how many samples of the first set were measured.
        images_b: and of the second.
        frechet: squared Fréchet distance of the features, in their own units: it can be compared
            with others of the same backbone and numbers of samples, and with `frechet_chance`.
        frechet_chance: what sets of these sizes come to that are drawn from both at random.
        mmd: squared maximum mean discrepancy, between 0 and 2; may be a little below 0.
        p_value: how often chance alone gives such an MMD.
    """

    backbone: str
    images_a: int
    images_b: int
    frechet: float
    frechet_chance: float
    mmd: float
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Whether chance alone is an unlikely cause."""
        return self.p_value < SIGNIFICANT

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        document: dict[str, Any] = to_plain(asdict(self))
        return document

    def describe(self, a: str = "A", b: str = "B") -> str:
        """Returns the verdict in a sentence.

        Args:
            a: what the first set is called.
            b: and the second.

        Example:
            >>> print(SetGap("net", 96, 80, 31.0, 9.8, 0.05, 0.001).describe("ward", "clinic"))
            ward and clinic differ (p = 0.001): Fréchet distance 31, by chance it would be 9.8
            >>> print(SetGap("net", 96, 80, 9.9, 9.8, 0.0, 0.43).describe())
            no difference between A and B can be seen with 96 and 80 samples (p = 0.430)
        """
        p = f"p = {self.p_value:.3f}"
        if not self.is_significant:
            counts = f"{self.images_a:,} and {self.images_b:,} samples"
            return f"no difference between {a} and {b} can be seen with {counts} ({p})"
        return (
            f"{a} and {b} differ ({p}): Fréchet distance {self.frechet:.3g}, "
            f"by chance it would be {self.frechet_chance:.3g}"
        )


def make_set_gap(a: np.ndarray, b: np.ndarray, *, backbone: str, seed: int = 0) -> SetGap:
    """Returns how far the features of two sets are apart.

    Args:
        a: of the first set, at least two rows.
        b: of the second.
        backbone: that made them.
        seed: of the permutations.

    Shapes: (samples, features).

    Raises:
        DataError: fewer than two rows, or the numbers of features differ.
    """
    mmd, p_value = measure_mmd(a, b, seed=seed)
    space = FrechetSpace(np.concatenate([a, b]))
    owner = np.arange(len(a) + len(b)) < len(a)
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(owner) for _ in range(_SHUFFLES)]
    return SetGap(
        backbone=backbone,
        images_a=len(a),
        images_b=len(b),
        frechet=space.measure(owner, ~owner),
        frechet_chance=float(np.mean([space.measure(mine, ~mine) for mine in shuffled])),
        mmd=mmd,
        p_value=p_value,
    )
