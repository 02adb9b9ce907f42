"""What a command says of a result: what to think of it, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfxfer.cli.output import Output
from tfxfer.errors import GateError
from tfxfer.system.plain_text import shorten_text

if TYPE_CHECKING:
    from tfxfer.data.samples import SampleData
    from tfxfer.head import Head
    from tfxfer.modality import Modality
    from tfxfer.run.directory import RunDirectory
    from tfxfer.run.manifest import Manifest
    from tfxfer.trust.gate import Judgement
    from tfxfer.trust.mistakes import Mistake
    from tfxfer.trust.slices import SliceReport

__all__ = [
    "describe_audit",
    "quote",
    "show_calibration",
    "show_epoch",
    "show_figures",
    "show_judgement",
    "show_label_errors",
    "show_mistakes",
    "show_slices",
    "show_warnings",
]

_MOST_MISTAKES = 5


def show_figures(
    output: Output, title: str, metrics: Mapping[str, Any], head: Head, modality: Modality
) -> None:
    """Prints the figures that a person acts on; with `-v` every one, with its interval."""
    from tfxfer.evaluation import describe_metrics, format_metrics

    output.show(title)
    for line in describe_metrics(metrics, head, noun=modality.noun, plural=modality.plural):
        output.show(f"  {line}")
    for note in metrics["notes"]:
        output.print(f"note: {note}")
    if output.verbosity:
        columns = ("METRIC", f"{metrics['images']} {modality.plural}")
        output.show_table(columns, format_metrics(metrics, head))


def show_slices(output: Output, report: SliceReport, head: Head, modality: Modality) -> None:
    """Prints how each group fared, the worst first."""
    from tfxfer.trust.slice_words import describe_slices

    for line in describe_slices(report, head, noun=modality.noun, plural=modality.plural):
        output.show(f"  {line}")


def show_judgement(output: Output, judgement: Judgement) -> None:
    """Prints what became of each rule of a gate.

    Raises:
        GateError: one of them does not hold.
    """
    for line in judgement.describe():
        output.show(line)
    if not judgement.holds:
        end = "the worse end of the interval" if judgement.bound == "low" else "the figure"
        raise GateError(
            f"gate {judgement.source!r}: expected every rule to hold of {end}. "
            f"Received: {judgement.describe_failure()}."
        )


def show_warnings(output: Output, warnings: Sequence[Mapping[str, str]]) -> None:
    """Prints in red what makes a result worthless, and what may be to blame."""
    for warning in warnings:
        output.alarm(warning["message"])
    for cause in dict.fromkeys(warning["cause"] for warning in warnings):
        if cause:
            output.alarm(f"likely: {cause}")


def describe_audit(data: SampleData) -> list[str]:
    """Returns what was found in the files, and the split, a line each."""
    lines = [
        *data.audit.summary(),
        f"split: {len(data.train):,} train, {len(data.val):,} val, {len(data.test):,} test; "
        f"{len(data.labels)} labels",
    ]
    return [*lines, *([data.split_words] if data.split_words else []), *data.doubts]


def show_label_errors(output: Output, run: RunDirectory) -> None:
    """Prints how many labels look wrong, where some do, and the file that lists them."""
    from tfxfer.trust.label_errors import describe_label_errors, read_label_errors

    path = run.label_errors_path
    words = describe_label_errors(read_label_errors(path))
    if words is not None:
        output.show(words)
        output.show(f"  these and others: {path}")


def show_mistakes(output: Output, mistakes: Sequence[Mistake], modality: Modality) -> None:
    """Prints the surest of the wrong answers; of samples that are no files, these themselves."""
    if not mistakes:
        return
    output.show("the surest mistakes:")
    rows = []
    for item in mistakes[:_MOST_MISTAKES]:
        said = modality.describe_sample(item.sample)
        # The name of a file is left whole.
        shown = said if said == item.sample.name else shorten_text(said)
        rows.append((shown, item.truth, item.label, f"{item.score:.3f}"))
    output.show_table((modality.noun.upper(), "TRUTH", "LABEL", "SCORE"), rows)


def show_calibration(output: Output, manifest: Manifest) -> None:
    """Prints how far off the model's confidence was, and is."""
    from tfxfer.trust.temperature import Calibration

    if manifest.calibration is not None:
        output.show(Calibration.from_dict(manifest.calibration).describe())


def show_epoch(output: Output, manifest: Manifest) -> None:
    """Prints which epoch the model is of."""
    total = sum(phase.epochs for phase in manifest.phases)
    for phase in manifest.phases:
        if phase.best_epoch is not None:
            output.show(f"kept   epoch {phase.best_epoch + 1} of {total}, phase {phase.name}")


def quote(*words: Any) -> str:
    """Returns a command that a shell reads as these words.

    Example:
        >>> quote("tfxfer", "predict", "my run", "*.jpg")
        "tfxfer predict 'my run' '*.jpg'"
    """
    return shlex.join(map(str, words))
