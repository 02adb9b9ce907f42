"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

import click

from tfxfer.cli.opening import open_predictor
from tfxfer.cli.options import model_options
from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("evaluate")
@click.argument("model")
@click.argument("data")
@model_options
def command(
    output: Output, *, model: str, data: str, labels_file: str | None, head: str | None
) -> None:
    """Measure a run or a model file on labelled samples.

    DATA is what `tfxfer train` takes. Where it has a test part, that part is measured, otherwise
    the whole.
    """
    predictor = open_predictor(output, model, labels_file=labels_file, head=head)
    from tfxfer.data.loading import load_split
    from tfxfer.evaluation import format_metrics
    from tfxfer.inference.scoring import evaluate, load_own_test

    with output.progress() as progress:
        own = load_own_test(model, data, predictor, progress=progress)
        if own is not None:
            output.print(
                f"{data!r} is what this run was trained on: only its test split is measured"
            )
        split = own or load_split(
            data,
            modality=predictor.modality,
            size=predictor.size,
            contract=predictor.contract,
            head=predictor.head,
            labels=predictor.labels,
            progress=progress,
        )
        for problem in split.skipped:
            output.warn(f"{problem.path} left out: {problem.kind}, {problem.detail}")
        for note in split.notes:
            output.warn(note)
        metrics = evaluate(predictor, split, progress=progress)
    output.emit(metrics)
    output.show_table(
        ("METRIC", f"{len(split)} {predictor.modality.plural}"),
        format_metrics(metrics, predictor.head),
    )
