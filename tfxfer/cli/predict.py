"""`tfxfer predict`: labels and scores of image files."""

from __future__ import annotations

import click

from tfxfer.cli.options import model_options, read_labels
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.system.quiet import quiet_native

__all__ = ["command"]

_SHOWN = 3


@tfxfer_command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@model_options
def command(
    output: Output,
    *,
    model: str,
    images: tuple[str, ...],
    labels_file: str | None,
    head: str | None,
) -> None:
    """Label images.

    MODEL is a run, or a .keras file.
    """
    with quiet_native():
        import keras  # noqa: F401 - loads TensorFlow, which greets in C++
    output.check_interrupt()
    from tfxfer.inference.predictor import load_predictor
    from tfxfer.inference.scoring import predict
    from tfxfer.registry.lookup import get_head

    registry = output.registry
    predictor = load_predictor(
        model,
        labels=read_labels(labels_file),
        head=None if head is None else get_head(head, registry=registry),
        registry=registry,
    )
    with output.progress() as progress:
        documents = predict(predictor, images, progress=progress)
    output.emit(documents)
    rows = []
    for document in documents:
        ranked = sorted(document["scores"].items(), key=lambda item: -item[1])[:_SHOWN]
        others = ", ".join(f"{label} {score:.3f}" for label, score in ranked)
        rows.append((document["image"], document["label"], f"{document['score']:.3f}", others))
    output.show_table(("IMAGE", "LABEL", "SCORE", "BEST"), rows)
