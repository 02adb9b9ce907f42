"""The section on how far the model's own confidence can be trusted."""

from __future__ import annotations

from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Bin, Note, Part, Reliability, Section, Sentence
from tfxfer.report.words import make_sentence
from tfxfer.trust.estimate import Estimate

__all__ = ["describe_confidence", "make_confidence"]

_NOTICEABLE = 0.05
"""Error of confidence that a reader of the page is told of at its top: one answer in twenty."""


def make_confidence(material: Material) -> Section | None:
    """Returns the reliability diagram and what it says; None where it has no meaning."""
    found = material.confidence
    if found is None:
        return None
    bins = tuple(
        Bin(each.confidence, each.right.value, each.right.low, each.right.high, each.samples)
        for each in found.bins
    )
    parts: list[Part] = [
        *_tabulate_calibration(material),
        Reliability("Answers that are right, by how sure the model was", bins),
        Note(
            "On the dashed line it is right as often as it says. Below the line it is too sure of "
            "itself, above it too modest."
        ),
        Note(f"The confidence is {found.note}."),
    ]
    return Section("confidence", "How sure it is", tuple(parts))


def _tabulate_calibration(material: Material) -> list[Part]:
    """Returns what one temperature has done to the confidence, where one was fitted."""
    record = material.calibration
    if record is None:
        return []
    parts = {"validation": record.val, "test": record.test}
    rows = tuple(
        (
            name,
            *(_write_points(figures.calibration_error) for figures in (part.before, part.after)),
            *(f"{figures.log_loss.value:.3f}" for figures in (part.before, part.after)),
        )
        for name, part in parts.items()
        if part is not None
    )
    words = record.describe()
    columns = ("", "off by, before", "after", "log loss, before", "after")
    return [
        Note(make_sentence(words)),
        Table("What the temperature did to its confidence", columns, rows),
    ]


def _write_points(figure: Estimate) -> str:
    low, high = 100 * figure.low, 100 * figure.high
    return f"{100 * figure.value:.1f} points [{low:.1f}, {high:.1f}]"


def describe_confidence(material: Material) -> Sentence | None:
    """Returns a line of the verdict where the confidence is off by more than chance."""
    found = material.confidence
    if found is None or found.error.low == 0 or found.error.value < _NOTICEABLE:
        return None
    tested = material.tested
    sure = sum(answer.score for answer in tested) / len(tested)
    right = sum(answer.is_right is True for answer in tested) / len(tested)
    kind = "It is too sure of itself" if sure > right else "It is too modest"
    return Sentence(
        f"{kind}: it claims {100 * sure:.0f} % on average, and is right {100 * right:.0f} % of the "
        "time.",
        section="confidence",
    )
