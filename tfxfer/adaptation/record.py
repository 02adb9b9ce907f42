"""What became of a model that was fitted to another look: `trust/adaptation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tfxfer.trust.estimate import Estimate
from tfxfer.trust.stored import StoredRecord

__all__ = ["ADAPTATIONS", "METHODS", "Adaptation", "Effect", "Method", "Trial"]

Method = Literal["none", "adabn", "coral", "self_training"]
"""What can be done about another look; `none` leaves the model as it was trained."""

METHODS: tuple[Method, ...] = ("none", "adabn", "coral", "self_training")

ADAPTATIONS = ("auto", *METHODS[1:])
"""What can be asked for; `auto` chooses among all of `METHODS`."""


@dataclass(frozen=True)
class Trial:
    """One method, judged without a label of the target.

    Args:
        method: its name.
        agreement: how much a sample's answer says of its neighbours' answers, in bits.
        gain: how much more that is than with the model as it was trained, with its interval.
    """

    method: Method
    agreement: float
    gain: Estimate


@dataclass(frozen=True)
class Effect:
    """What labels that were not learnt from say of it.

    Args:
        samples: of the target that have a label.
        metric: name of the headline.
        before: of the model as it was trained.
        after: of the one that was kept.
    """

    samples: int
    metric: str
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class Adaptation(StoredRecord):
    """What was done about another look, and why; `trust/adaptation.json`.

    Args:
        asked: what was asked for: a method, or `auto`.
        kept: the method whose model was kept.
        samples: of the target that were learnt from, without their labels.
        left_out: samples that could not be read.
        shares: of the target's classes as the kept model finds them, by label.
        moved: share of the target's answers that are others than before.
        trials: what was judged, the best first.
        effect: on its labelled samples; None where there are none.
    """

    title: ClassVar[str] = "record of an adaptation"
    file_name: ClassVar[str] = "adaptation.json"

    asked: str
    kept: Method
    samples: int
    left_out: int
    shares: Mapping[str, float]
    moved: float
    trials: tuple[Trial, ...]
    effect: Effect | None = None

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        shown = self.kept.replace("_", "-")
        if self.kept == "none":
            lines = ["adapted to the target: by nothing; no method is surely better than none"]
        else:
            lines = [
                f"adapted to the target by {shown}: {100 * self.moved:.0f} % of "
                f"{self.samples:,} answers changed"
            ]
        for trial in self.trials:
            if trial.method != "none":
                gain = trial.gain
                lines.append(
                    f"  {trial.method.replace('_', '-')}: neighbours agree by {gain.value:+.2f} "
                    f"bits [{gain.low:+.2f}, {gain.high:+.2f}] more than before"
                )
        if self.effect is not None:
            before, after = self.effect.before.value, self.effect.after.value
            lines.append(
                f"  on {self.effect.samples:,} with labels, which only tested: "
                f"{self.effect.metric} {before:.4g} → {after:.4g}"
            )
        if self.left_out:
            lines.append(f"  {self.left_out:,} could not be read and were left out")
        found = ", ".join(f"{label} {100 * share:.0f} %" for label, share in self.shares.items())
        return [*lines, f"  class shares as it finds them: {found}"]
