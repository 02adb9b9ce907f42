"""What became of a model that was fitted to another look: `trust/adaptation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tfxfer.adaptation.methods import TRAINED
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.stored import StoredRecord

__all__ = ["ADAPTATIONS", "METHODS", "Adaptation", "Effect", "Method", "Trial"]

Method = Literal[
    "none", "adabn", "coral", "self_training", "deep_coral", "mmd", "dann", "pseudo_labels"
]
"""What can be done about another look; `none` leaves the model as it was trained."""

METHODS: tuple[Method, ...] = ("none", "adabn", "coral", "self_training")
"""What follows the training, among which `auto` chooses."""

ADAPTATIONS = ("auto", *METHODS[1:], *TRAINED)
"""What can be asked for."""


@dataclass(frozen=True)
class Trial:
    """One method, judged without a label of the target.

    Args:
        method: its name.
        agreement: how much a sample's answer says of its neighbours' answers, in bits.
        gain: how much more that is than with the model as it was trained, with its interval; None
            where the method was part of the training.
    """

    method: Method
    agreement: float
    gain: Estimate | None


@dataclass(frozen=True)
class Effect:
    """What labels that were not learnt from say of it.

    Args:
        samples: of the target that have a label.
        metric: name of the headline.
        before: of the model as it was trained; None where the method was part of that.
        after: of the one that was kept.
    """

    samples: int
    metric: str
    before: Estimate | None
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
        moved: share of the target's answers that are others than before; None where the method was
            part of the training.
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
    moved: float | None
    trials: tuple[Trial, ...]
    effect: Effect | None = None

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        shown = self.kept.replace("_", "-")
        if self.kept == "none":
            lines = ["adapted to the target: by nothing; no method is surely better than none"]
        else:
            what = f"{self.samples:,} samples beside the others as it was trained"
            if self.moved is not None:
                what = f"{100 * self.moved:.0f} % of {self.samples:,} answers changed"
            lines = [f"adapted to the target by {shown}: {what}"]
        for trial in self.trials:
            if trial.method != "none":
                name, gain = trial.method.replace("_", "-"), trial.gain
                much = f"{trial.agreement:.2f} bits"
                if gain is not None:
                    much = (
                        f"{gain.value:+.2f} bits [{gain.low:+.2f}, {gain.high:+.2f}] more than "
                        "before"
                    )
                lines.append(f"  {name}: neighbours agree by {much}")
        if self.effect is not None:
            before, after = self.effect.before, f"{self.effect.after.value:.4g}"
            lines.append(
                f"  on {self.effect.samples:,} with labels, which only tested: "
                f"{self.effect.metric} "
                f"{after if before is None else f'{before.value:.4g} → {after}'}"
            )
        if self.left_out:
            lines.append(f"  {self.left_out:,} could not be read and were left out")
        found = ", ".join(f"{label} {100 * share:.0f} %" for label, share in self.shares.items())
        return [*lines, f"  class shares as it finds them: {found}"]
