"""`tfxfer compare`: which of two models is better, on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfxfer.cli.opening import find_model, open_predictor
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import DataError, UsageError

if TYPE_CHECKING:
    from tfxfer.inference.stored_answers import Answers

__all__ = ["command"]


@tfxfer_command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--data",
    help="Score both on these samples, what either has learnt from left out. Without it, A and B "
    "are runs, and their own answers are compared.",
)
@click.option(
    "--split",
    type=click.Choice(["test", "val", "all"]),
    help="Which of the runs' own samples; all are those of val and test. Val chose the epochs that "
    "were kept, so it flatters both. [default: test]",
)
def command(
    output: Output, *, first: str, second: str, data: str | None, split: str | None
) -> None:
    """Say which of two models is better, on the same samples.

    A and B are runs, or with --data also model files or folders of an export. -v lists the samples
    that they disagree on.
    """
    if data is not None:
        if split is not None:
            raise UsageError(
                "compare: expected --data or --split, which means the runs' own samples. "
                f"Received: both, --split {split}. Leave one out."
            )
        a, b = _ask(output, (first, second), data)
    else:
        a, b = _read(first, split or "test"), _read(second, split or "test")
        if split in ("val", "all"):
            output.print("val chose the epochs that A and B kept: it flatters both")
    from tfxfer.evaluation.comparison import compare_answers

    _check_alike(a.head, b.head, a.labels, b.labels)
    ours, left_a = a.without(b.learnt)
    theirs, left_b = b.without(a.learnt)
    for remark in (*a.remarks, *b.remarks):
        output.print(remark)
    if left_a or left_b:
        output.print(f"left out, since the other was trained on them: {left_a} and {left_b}")
    relabelled = [key for key in ours if key in theirs and ours[key].truth != theirs[key].truth]
    for key in relabelled:
        del ours[key]
    if relabelled:
        output.print(f"left out, since A and B call them different things: {len(relabelled)}")
    found = compare_answers(ours, theirs)
    left_out = left_a + left_b + a.left_out + b.left_out + len(relabelled)
    document = {"a": first, "b": second, "samples": found.samples, "left_out": left_out}
    output.emit({**document, **found.to_dict()})
    names = ("A", "B") if Path(first).name == Path(second).name else (first, second)
    output.show(found.describe(*names, plural="samples"))
    output.show_table(
        ("", "B RIGHT", "B WRONG"),
        [
            ("A right", str(found.both), str(found.only_first)),
            ("A wrong", str(found.only_second), str(found.neither)),
        ],
    )
    if output.verbosity:
        rows = [
            (x.first.path, x.first.truth, x.first.label, x.second.label) for x in found.differing
        ]
        output.show_table(("SAMPLE", "TRUTH", "A", "B"), rows)


def _read(path: str, split: str) -> Answers:
    from tfxfer.inference.stored_answers import read_answers

    return read_answers(path, split=split)


def _ask(output: Output, names: Sequence[str], data: str) -> list[Answers]:
    from tfxfer.data.sources import read_source
    from tfxfer.inference.own_run import remember_columns

    # A slip of the finger is told before Keras starts, and before the first model has scored.
    found = [find_model(output, name) for name in names]
    with output.progress() as progress:
        for model, modality in found:
            read_source(data, modality, remember_columns(model), progress=progress)
    models = [model for model, _ in found]
    predictors = [open_predictor(output, model, labels_file=None, head=None) for model in models]
    from tfxfer.inference.stored_answers import ask_model

    one, other = predictors
    _check_alike(one.head.name, other.head.name, one.labels, other.labels)
    with output.quietly(), output.progress() as progress:
        return [
            ask_model(model, data, predictor, progress=progress)
            for model, predictor in zip(models, predictors, strict=True)
        ]


def _check_alike(
    head: str, other_head: str, labels: Sequence[str], other_labels: Sequence[str]
) -> None:
    if head != other_head:
        raise DataError(
            "compare: expected two models of one task. "
            f"Received: heads {head!r} and {other_head!r}."
        )
    only = sorted(set(labels) ^ set(other_labels))
    if only:
        raise DataError(
            f"compare: expected two models with the same labels. Received: {only[0]!r}"
            f"{' and others' * (len(only) > 1)} in one of them alone."
        )
