"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

import click

from tfxfer.cli.options import model_options, read_labels
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.system.quiet import quiet_native

__all__ = ["command"]


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
    from tfxfer.inference.predictor import load_predictor
    from tfxfer.inference.scoring import evaluate, load_own_test
    from tfxfer.registry.lookup import get_head

    registry = output.registry
    predictor = load_predictor(
        model,
        labels=read_labels(labels_file),
        head=None if head is None else get_head(head, registry=registry),
        registry=registry,
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
    output.show_table(("METRIC", f"{len(split)} images"), format_metrics(metrics, predictor.head))
