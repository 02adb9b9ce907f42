"""`tfxfer evaluate`: the same metrics for a run and for a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.opening import check_table, find_head, find_model, open_predictor
from tfxfer.cli.options import (
    break_lock_option,
    column_options,
    min_score_option,
    model_options,
)
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.preprocessing import preprocessing_option
from tfxfer.cli.results import (
    show_figures,
    show_judgement,
    show_mistakes,
    show_slices,
    show_warnings,
)

if TYPE_CHECKING:
    from tfxfer.data.columns import Columns
    from tfxfer.data.record import Source
    from tfxfer.head import Head
    from tfxfer.modality import Modality
    from tfxfer.progress import Progress
    from tfxfer.trust.gate_rules import Gate

__all__ = ["command"]

_MOST_MISTAKES = 20  # in the document; a terminal gets the first few


@tfxfer_command("evaluate")
@click.argument("model")
@click.argument("data")
@model_options
@preprocessing_option
@column_options
@min_score_option
@click.option(
    "--out",
    metavar="FILE.csv",
    help="Write what is said of each sample: path,split,truth,label,score,right[,sure].",
)
@click.option(
    "--slice",
    "columns",
    metavar="COLUMN",
    multiple=True,
    help="Tell the result for each value of a further column of DATA; may be repeated.  "
    "[default: all columns of 2 to 20 values]",
)
@click.option(
    "--slices",
    "slices_file",
    metavar="FILE.csv",
    help="What else is known of the samples: path, and a column for each thing, such as hospital.",
)
@click.option(
    "--gate",
    "gate_file",
    metavar="FILE.toml",
    help="Rules that must hold, such as worst-slice recall >= 0.8; where one does not, the exit "
    "code is 3.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
@break_lock_option
def command(
    output: Output,
    *,
    model: str,
    data: str,
    labels_file: str | None,
    head: str | None,
    preprocessing: Any,
    sample_column: str | None,
    label_column: str | None,
    min_score: float | None,
    out: str | None,
    columns: tuple[str, ...],
    slices_file: str | None,
    gate_file: str | None,
    overwrite: bool,
    break_lock: bool,
) -> None:
    """Measure a run or a model file on labelled samples.

    MODEL is a run, a model file, or the folder of an export. DATA is what `tfxfer train` takes.
    Where it has a test part, that part is measured, otherwise the whole. What the model was
    trained on is left out, wherever it lies. Further columns of a CSV, such as hospital or camera,
    are slices: the result is told for each of their values, the worst first.
    """
    from tfxfer.data.columns import Columns
    from tfxfer.run.directory import RunDirectory, is_run_folder

    if break_lock and is_run_folder(Path(model)):
        RunDirectory(model).break_lock()
    # Before Keras starts, which takes long: a slip of the finger is told at once.
    model, modality = find_model(output, model)
    check_table(out, "--out", overwrite=overwrite, inputs=(data, model))
    gate = None if gate_file is None else _read_gate(gate_file)
    named = Columns(sample_column, label_column)
    with output.progress() as progress:
        source, wanted = _list_samples(model, data, modality, slices_file, columns, named, progress)
    if gate is not None:
        _check_gate(gate, source, find_head(output, model))
    predictor = open_predictor(
        output, model, labels_file=labels_file, head=head, preprocessing=preprocessing
    )
    if gate is not None:
        _check_gate(gate, source, predictor.head, predictor.labels)
    from tfxfer.evaluation import find_warnings, score_predictions
    from tfxfer.inference.answers import list_answers
    from tfxfer.inference.own_run import find_own_run
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
    from tfxfer.trust.gate import judge_gate
    from tfxfer.trust.groups import FEWEST_SAMPLES, choose_groupings
    from tfxfer.trust.mistakes import find_mistakes
    from tfxfer.trust.slices import measure_slices

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
        also = () if gate is None else gate.columns
        choose_groupings(split.slices, wanted, also)  # what cannot be grouped is told at once
        scores = score_split(predictor, split, progress=progress)
        metrics = score_predictions(
            split.targets, scores, head=predictor.head, labels=predictor.labels
        )
        report = measure_slices(
            split.targets,
            scores,
            split.slices,
            head=predictor.head,
            labels=predictor.labels,
            metrics=metrics,
            data=data,
            columns=wanted,
            also=also,
            least=FEWEST_SAMPLES if gate is None else gate.least,
        )
    answers = find_confidence(predictor.head, split.targets, scores, predictor.labels)
    abstention = None
    if answers is not None and min_score is not None:
        abstention = measure_abstention(*answers, min_score)
        metrics["abstention"] = abstention.to_dict()
    rows = list_answers(predictor, split, scores)
    mistakes = find_mistakes(split, rows, _MOST_MISTAKES)
    if out is not None:
        if answers is not None and min_score is not None:
            sure = is_sure(answers[0], min_score)
            words = ["true" if x else "false" for x in sure.tolist()]
            rows = [{**row, "sure": word} for row, word in zip(rows, words, strict=True)]
        write_table(out, rows)
    seen = {"known": unseen.is_known, "left_out": unseen.left_out}
    own = find_own_run(model, data)
    if own is not None and report.columns:
        with own.lock():
            report.write(own.trust)
    sliced = report.to_dict() if report.columns or report.left_out else None
    judgement = None if gate is None else judge_gate(gate, report)
    judged = None if judgement is None else {"holds": judgement.holds, **judgement.to_dict()}
    output.emit(
        {
            **metrics,
            "trained_on": seen,
            "slices": sliced,
            "gate": judged,
            "mistakes": [item.to_dict(predictor.modality) for item in mistakes],
        }
    )
    show_figures(output, f"{model} on {data}", metrics, predictor.head, predictor.modality)
    show_slices(output, report, predictor.head, predictor.modality)
    if answers is not None and output.verbosity:
        columns = ("FROM A SCORE OF", "ANSWERED", "OF THESE RIGHT")
        output.show_table(columns, [item.cells() for item in list_abstentions(*answers)])
    if abstention is not None:
        output.show(abstention.describe())
    show_warnings(output, find_warnings(metrics, predictor.head))
    show_mistakes(output, mistakes, predictor.modality)
    if out is not None:
        output.show(f"each {predictor.modality.noun}: {out}")
    if judgement is not None:
        show_judgement(output, judgement)


def _list_samples(
    model: str,
    data: str,
    modality: Modality,
    slices_file: str | None,
    columns: Sequence[str],
    named: Columns,
    progress: Progress,
) -> tuple[Source, tuple[str, ...] | None]:
    """Returns the samples with their slices, and which of these are wanted; None is the default."""
    from tfxfer.data.slice_table import add_slices, check_columns, complete_slices, list_columns
    from tfxfer.data.sources import read_source
    from tfxfer.inference.own_run import find_own_run, remember_columns

    source = read_source(data, modality, named.or_else(remember_columns(model)), progress=progress)
    if slices_file is not None:
        source = add_slices(source, slices_file, plural=modality.plural)
    run = find_own_run(model, data)
    if run is not None:
        source = complete_slices(source, run.slices_path)
    if not columns:
        return source, None
    return source, check_columns(columns, list_columns(source.records), where="--slice")


def _read_gate(path: str) -> Gate:
    from tfxfer.trust.gate_rules import read_gate

    return read_gate(path)


def _check_gate(gate: Gate, source: Source, head: Head | None, labels: Sequence[str] = ()) -> None:
    """Refuses rules about what will not be measured; nothing of the task where it is not known."""
    from tfxfer.data.slice_table import list_columns
    from tfxfer.trust.gate_rules import check_gate

    if head is not None:
        told = {name for record in source.records for name in head.read_label(record.label)}
        known = (*labels, *sorted(told - set(labels))) if labels else ()
        check_gate(gate, head=head, columns=list_columns(source.records), labels=known)
