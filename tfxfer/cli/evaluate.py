"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

import click

from tfxfer.cli.opening import check_table, find_model, open_predictor
from tfxfer.cli.options import min_score_option, model_options
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.results import show_figures, show_warnings

__all__ = ["command"]


@tfxfer_command("evaluate")
@click.argument("model")
@click.argument("data")
@model_options
@min_score_option
@click.option(
    "--out",
    metavar="FILE.csv",
    help="Write what is said of each sample: path,split,truth,label,score,right[,sure].",
)
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def command(
    output: Output,
    *,
    model: str,
    data: str,
    labels_file: str | None,
    head: str | None,
    min_score: float | None,
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
    from tfxfer.trust.abstention import (
        check_min_score,
        find_confidence,
        is_sure,
        list_abstentions,
        measure_abstention,
    )

    if min_score is not None:
        check_min_score(predictor.head)
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
    answers = find_confidence(predictor.head, split.targets, scores, predictor.labels)
    abstention = None
    if answers is not None and min_score is not None:
        abstention = measure_abstention(*answers, min_score)
        metrics["abstention"] = abstention.to_dict()
    if out is not None:
        rows = list_answers(predictor, split, scores)
        if answers is not None and min_score is not None:
            sure = is_sure(answers[0], min_score)
            words = ["true" if x else "false" for x in sure.tolist()]
            rows = [{**row, "sure": word} for row, word in zip(rows, words, strict=True)]
        write_table(out, rows)
    seen = {"known": unseen.is_known, "left_out": unseen.left_out}
    output.emit({**metrics, "trained_on": seen})
    show_figures(output, f"{model} on {data}", metrics, predictor.head, predictor.modality)
    if answers is not None and output.verbosity:
        columns = ("FROM A SCORE OF", "ANSWERED", "OF THESE RIGHT")
        output.show_table(columns, [item.cells() for item in list_abstentions(*answers)])
    if abstention is not None:
        output.show(abstention.describe())
    show_warnings(output, find_warnings(metrics, predictor.head))
    if out is not None:
        output.show(f"each {predictor.modality.noun}: {out}")
