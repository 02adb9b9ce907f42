"""`tfxfer compare`: which of two models is better, on the same samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfxfer.cli.opening import find_model, open_predictor
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import DataError

if TYPE_CHECKING:
    from tfxfer.inference.stored_answers import Answers

__all__ = ["command"]


@tfxfer_command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--data",
    help="Score both on these samples, what either has learnt from left out. Without it, A and B "
    "are runs, and their own tests are compared.",
)
def command(output: Output, *, first: str, second: str, data: str | None) -> None:
    """Say which of two models is better, on the same samples.

    A and B are runs, or with --data also model files or folders of an export. -v lists the samples
    that they disagree on.
    """
    answers = [
        _read(first) if data is None else _ask(output, first, data),
        _read(second) if data is None else _ask(output, second, data),
    ]
    a, b = answers
    if set(a.labels) != set(b.labels):
        only = sorted(set(a.labels) ^ set(b.labels))
        raise DataError(
            f"compare: expected two models with the same labels. Received: {only[0]!r}"
            f"{' and others' * (len(only) > 1)} in one of them alone."
        )
    from tfxfer.evaluation.comparison import compare_answers

    ours, left_a = a.without(b.learnt)
    theirs, left_b = b.without(a.learnt)
    for remark in (*a.remarks, *b.remarks):
        output.print(remark)
    if left_a or left_b:
        output.print(f"left out, since the other was trained on them: {left_a} and {left_b}")
    found = compare_answers(ours, theirs)
    document = {"a": first, "b": second, "samples": found.samples, "left_out": left_a + left_b}
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


def _read(path: str) -> Answers:
    from tfxfer.inference.stored_answers import read_answers

    return read_answers(path)


def _ask(output: Output, name: str, data: str) -> Answers:
    from tfxfer.data.sources import read_source

    model, modality = find_model(output, name)
    read_source(data, modality)  # a slip of the finger is told before Keras starts
    predictor = open_predictor(output, model, labels_file=None, head=None)
    from tfxfer.inference.stored_answers import ask_model

    with output.quietly(), output.progress() as progress:
        return ask_model(model, data, predictor, progress=progress)
