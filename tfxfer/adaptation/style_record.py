"""What a training learnt of another look without its labels: `trust/style.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tfxfer.trust.stored import StoredRecord

__all__ = ["DEFAULT_STYLE", "STYLES", "StyleMethod", "StyleRecord"]

StyleMethod = Literal["fda", "mixstyle", "both"]

STYLES: tuple[StyleMethod, ...] = ("fda", "mixstyle", "both")
"""How samples can be given another look: in their views, in their activations, or in both."""

DEFAULT_STYLE: StyleMethod = "mixstyle"
"""What is done where nobody asks; see docs/style.md for what was measured."""


@dataclass(frozen=True)
class StyleRecord(StoredRecord):
    """What training samples were given of another look; `trust/style.json`.

    Args:
        method: that was used.
        folder: where its samples lie.
        samples: of it that gave their look, without their labels.
        left_out: samples that could not be read.
        not_drawn: samples that were not looked at, of a folder that has more than are needed.
        views: share of the varied views that got a look; None where none did.
        mixed: phases in which activations were mixed with those of the look, by name.
    """

    title: ClassVar[str] = "record of a style"
    file_name: ClassVar[str] = "style.json"

    method: StyleMethod
    folder: str
    samples: int
    left_out: int
    not_drawn: int
    views: float | None
    mixed: tuple[str, ...]

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        parts = []
        if self.views is not None:
            parts.append(f"{100 * self.views:.0f} % of the varied views (fda)")
        if self.mixed:
            parts.append(f"activations in phase {', '.join(self.mixed)} (mixstyle)")
        given = " and ".join(parts) or "nothing: no phase has activations that can be mixed"
        lines = [f"the look of {self.samples:,} others was given to {given}"]
        if self.left_out:
            lines.append(f"  {self.left_out:,} could not be read and were left out")
        if self.not_drawn:
            lines.append(f"  {self.not_drawn:,} more were not needed")
        return lines
