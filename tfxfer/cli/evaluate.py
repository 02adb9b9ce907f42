"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import DataError
from tfxfer.quiet import quiet_native

__all__ = ["command", "model_options", "read_labels"]


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what a model file outside of a run does not say of itself."""
    command = click.option(
        "--labels",
        "labels_file",
        help="File with one label a line, in the outputs' order; for a model outside of a run.",
    )(command)
    return click.option("--head", help="For a model outside of a run.  [default: classification]")(
        command
    )


def read_labels(path: str | None) -> tuple[str, ...] | None:
    """Returns the lines of a labels file."""
    if path is None:
        return None
    try:
        # Not splitlines: it also breaks at characters that a label may hold.
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"labels {path!r}: expected a text file with one label a line. Received: {error}."
        ) from error
    return tuple(line for line in lines if line)


@tfxfer_command("evaluate")
@click.argument("model")
@click.argument("data")
@model_options
def command(
    output: Output, *, model: str, data: str, labels_file: str | None, head: str | None
) -> None:
    """Measure a run or a model file on labelled images.

    DATA is what `tfxfer train` takes. Where it has a test part, that part is measured, otherwise
    the whole.
    """
    from tfxfer.data import load_split
    from tfxfer.evaluation import format_metrics

    with quiet_native():
        import keras  # noqa: F401 - loads TensorFlow, which greets in C++
    output.check_interrupt()
    from tfxfer.inference import evaluate, load_own_test, load_predictor
    from tfxfer.registry import get_head

    predictor = load_predictor(
        model, labels=read_labels(labels_file), head=None if head is None else get_head(head)
    )
    with output.progress() as progress:
        own = load_own_test(model, data, predictor, progress=progress)
        if own is not None:
            output.print(
                f"{data!r} is what this run was trained on: only its test split is measured"
            )
        split = own or load_split(
            data,
            head=predictor.head,
            labels=predictor.labels,
            image_size=predictor.image_size,
            resize=predictor.resize,
            progress=progress,
        )
        for problem in split.skipped:
            output.warn(f"{problem.path} left out: {problem.kind}, {problem.detail}")
        metrics = evaluate(predictor, split, progress=progress)
    output.emit(metrics)
    output.show_table(("METRIC", f"{len(split)} images"), format_metrics(metrics))
