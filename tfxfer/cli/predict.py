"""`tfxfer predict`: labels and scores of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.opening import check_table, find_model, open_predictor, refuse_unreadable
from tfxfer.cli.options import min_score_option, model_options, sample_column_option
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.preprocessing import preprocessing_option
from tfxfer.system.plain_text import shorten_text

if TYPE_CHECKING:
    from tfxfer.inference.labelling import Labelled

__all__ = ["command"]

_TOP_LABELS = 3


@tfxfer_command("predict")
@click.argument("model")
@click.argument("samples", nargs=-1, required=True)
@model_options
@preprocessing_option
@sample_column_option
@min_score_option
@click.option("--csv", "table", metavar="FILE.csv", help="Write label, score and all scores.")
@click.option("--overwrite", is_flag=True, help="Replace the file at --csv.")
def command(
    output: Output,
    *,
    model: str,
    samples: tuple[str, ...],
    labels_file: str | None,
    head: str | None,
    preprocessing: Any,
    sample_column: str | None,
    min_score: float | None,
    table: str | None,
    overwrite: bool,
) -> int:
    """Label samples, such as image files or texts.

    MODEL is a run, a model file, or the folder of an export. SAMPLES are files, folders, whose
    files are taken at any depth, patterns such as 'photos/*.jpg', tables, with or without labels;
    texts stand for themselves, in quotes. With - each line of stdin is a text, or names a file. One
    that cannot be read costs its own line, and the exit code is 1.
    """
    from tfxfer.data.columns import Columns
    from tfxfer.inference.labelling import find_samples, label_samples
    from tfxfer.inference.own_run import remember_columns

    # Before Keras starts, which takes long: a slip of the finger is told at once.
    model, modality = find_model(output, model)
    check_table(table, "--csv", overwrite=overwrite, inputs=(model, *samples))
    columns = Columns(sample_column).or_else(remember_columns(model))
    found = find_samples(samples, modality, columns=columns)
    refuse_unreadable(output, model, found, modality)
    predictor = open_predictor(
        output, model, labels_file=labels_file, head=head, preprocessing=preprocessing
    )
    if min_score is not None:
        from tfxfer.trust.abstention import check_min_score

        check_min_score(predictor.head)
    with output.quietly(), output.progress() as progress:
        found = label_samples(predictor, found, progress=progress)
    failed = [item.error for item in found if item.error is not None]
    if len(failed) == len(found):
        raise failed[0]
    noun = predictor.modality.noun
    output.emit([_describe(item, noun, min_score) for item in found])
    cells = [_list_cells(item, min_score) for item in found]
    output.show_table((noun.upper(), "LABEL", "SCORE", "BEST"), cells)
    if table is not None:
        _write_scores(table, noun, found, predictor.labels, min_score)
    for error in failed:
        output.warn(str(error))
    if failed:
        plural = predictor.modality.plural
        output.print(f"error: {len(failed)} of {len(found)} {plural} have no label")
    return 1 if failed else 0


def _is_unsure(item: Labelled, min_score: float | None) -> bool:
    found = item.prediction
    return min_score is not None and found is not None and found.score < min_score


def _describe(item: Labelled, noun: str, min_score: float | None) -> dict[str, Any]:
    document = item.to_dict(noun)
    if min_score is None or item.prediction is None:
        return document
    is_unsure = _is_unsure(item, min_score)
    # A script that reads labels alone must not take for an answer what is none.
    return {**document, "sure": not is_unsure} | ({"label": None} if is_unsure else {})


def _shorten(item: Labelled) -> str:
    """Returns what stands for a sample in a table; the name of a file is left whole."""
    is_file = item.sample is None or item.sample.content is None
    return item.name if is_file else shorten_text(item.shown)


def _list_cells(item: Labelled, min_score: float | None) -> tuple[str, str, str, str]:
    if item.prediction is None:
        return _shorten(item), "", "", "not read, see below"
    scores = item.prediction.scores.items()
    ranked = sorted(scores, key=lambda pair: -pair[1])[:_TOP_LABELS]
    others = ", ".join(f"{label} {score:.3f}" for label, score in ranked)
    label = "not sure" if _is_unsure(item, min_score) else item.prediction.label
    return _shorten(item), label, f"{item.prediction.score:.3f}", others


def _write_scores(
    path: str,
    noun: str,
    found: Sequence[Labelled],
    labels: Sequence[str],
    min_score: float | None,
) -> None:
    from tfxfer.system.files import write_table

    has_places = any(item.shown != item.name for item in found)
    rows: list[dict[str, Any]] = []
    for item in found:
        row: dict[str, Any] = {noun: item.shown}
        if has_places:
            row["place"] = item.name if item.shown != item.name else ""
        row |= {"label": "", "score": "", "error": ""}
        if min_score is not None:
            row["sure"] = ""
        if item.prediction is None:
            row["error"] = str(item.error)
        else:
            is_unsure = _is_unsure(item, min_score)
            row["label"] = "" if is_unsure else item.prediction.label
            row["score"] = item.prediction.score
            if min_score is not None:
                row["sure"] = "false" if is_unsure else "true"
            row |= {f"score_{label}": item.prediction.scores[label] for label in labels}
        rows.append(row)
    write_table(path, rows)
