"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

import click

from tfxfer.cli.opening import check_table, find_model, open_predictor
from tfxfer.cli.options import model_options
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.results import show_figures, show_warnings

__all__ = ["command"]


@tfxfer_command("evaluate")
@click.argument("model")
@click.argument("data")
@model_options
@click.option(
    "--out",
    metavar="FILE.csv",
    help="Write what is said of each sample: path,split,truth,label,score,right.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def command(
    output: Output,
    *,
    model: str,
    data: str,
    labels_file: str | None,
    head: str | None,
    out: str | None,
    overwrite: bool,
) -> None:
    """Measure a run or a model file on labelled samples.

    MODEL is a run, a model file, or the folder of an export. DATA is what `tfxfer train` takes.
    Where it has a test part, that part is measured, otherwise the whole. What the model was
    trained on is left out, wherever it lies.
    """
    # Before Keras starts, which takes long: a slip of the finger is told at once.
    model, modality = find_model(output, model)
    check_table(out, "--out", overwrite=overwrite, inputs=(data, model))
    from tfxfer.data.sources import read_source

    source = read_source(data, modality)
    predictor = open_predictor(output, model, labels_file=labels_file, head=head)
    from tfxfer.evaluation import find_warnings, score_predictions
    from tfxfer.inference.answers import list_answers
    from tfxfer.inference.scoring import score_split
    from tfxfer.inference.unseen import load_unseen
    from tfxfer.system.files import write_table
    from tfxfer.system.plain_text import guard_row

    with output.quietly(), output.progress() as progress:
        unseen = load_unseen(model, data, predictor, source=source, progress=progress)
        for remark in unseen.remarks:
            output.print(remark)
        split = unseen.split
        for problem in split.skipped:
            output.warn(f"{problem.path} left out: {problem.kind}, {problem.detail}")
        for note in split.notes:
            output.warn(note)
        scores = score_split(predictor, split, progress=progress)
        metrics = score_predictions(
            split.targets, scores, head=predictor.head, labels=predictor.labels
        )
    if out is not None:
        write_table(out, map(guard_row, list_answers(predictor, split, scores)))
    seen = {"known": unseen.is_known, "left_out": unseen.left_out}
    output.emit({**metrics, "trained_on": seen})
    show_figures(output, f"{model} on {data}", metrics, predictor.head, predictor.modality)
    show_warnings(output, find_warnings(metrics, predictor.head))
    if out is not None:
        output.show(f"each {predictor.modality.noun}: {out}")
