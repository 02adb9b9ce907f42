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
    the whole. What the model was trained on is left out, wherever it lies.
    """
    predictor = open_predictor(output, model, labels_file=labels_file, head=head)
    from tfxfer.evaluation import format_metrics
    from tfxfer.inference.scoring import evaluate
    from tfxfer.inference.unseen import load_unseen

    with output.progress() as progress:
        unseen = load_unseen(model, data, predictor, progress=progress)
        for remark in unseen.remarks:
            output.print(remark)
        split = unseen.split
        for problem in split.skipped:
            output.warn(f"{problem.path} left out: {problem.kind}, {problem.detail}")
        metrics = evaluate(predictor, split, progress=progress)
    seen = {"known": unseen.is_known, "left_out": unseen.left_out}
    output.emit({**metrics, "trained_on": seen})
    output.show_table(
        ("METRIC", f"{len(split)} {predictor.modality.plural}"),
        format_metrics(metrics, predictor.head),
    )
