"""`tfxfer predict`: labels and scores of samples."""

from __future__ import annotations

import click

from tfxfer.cli.opening import open_predictor
from tfxfer.cli.options import model_options
from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]

_TOP_LABELS = 3


@tfxfer_command("predict")
@click.argument("model")
@click.argument("samples", nargs=-1, required=True)
@model_options
def command(
    output: Output,
    *,
    model: str,
    samples: tuple[str, ...],
    labels_file: str | None,
    head: str | None,
) -> None:
    """Label samples, such as image files.

    MODEL is a run, or a .keras file.
    """
    predictor = open_predictor(output, model, labels_file=labels_file, head=head)
    from tfxfer.inference.scoring import predict

    with output.progress() as progress:
        documents = predict(predictor, samples, progress=progress)
    output.emit(documents)
    rows, noun = [], predictor.modality.noun
    for document in documents:
        ranked = sorted(document["scores"].items(), key=lambda item: -item[1])[:_TOP_LABELS]
        others = ", ".join(f"{label} {score:.3f}" for label, score in ranked)
        rows.append((document[noun], document["label"], f"{document['score']:.3f}", others))
    output.show_table((noun.upper(), "LABEL", "SCORE", "BEST"), rows)
