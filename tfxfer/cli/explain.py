"""`tfxfer explain`: where a model looks, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.marked import check_marks_page, refuse_places, tell_marks
from tfxfer.cli.opening import find_model, find_run, open_predictor, refuse_unreadable
from tfxfer.cli.options import model_options, sample_column_option
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.depth import resolve_stage
from tfxfer.errors import DataError, UsageError
from tfxfer.modality import Modality
from tfxfer.registry.lookup import get_backbone
from tfxfer.run.directory import RunDirectory
from tfxfer.system.arguments import check_word
from tfxfer.system.plain_text import escape_controls

if TYPE_CHECKING:
    from tfxfer.trust.explanation import Explanation, FindInside

__all__ = ["command"]

_MASK_PX = 4096  # finer than any network's input


@tfxfer_command("explain")
@click.argument("model")
@click.argument("samples", nargs=-1)
@model_options
@sample_column_option
@click.option("--worst", metavar="N", type=click.IntRange(min=1), help="The N surest mistakes.")
@click.option(
    "--out",
    metavar="FOLDER",
    help="Where pictures go, or the page of texts.  [default: RUN/explain; no page]",
)
@click.option("--overwrite", is_flag=True, help="Replace pictures in the folder at --out.")
@click.option("--stage", help="Where Grad-CAM looks.  [default: the last stage with a map]")
@click.option("--label", help="The label that is explained.  [default: the model's answer]")
@click.option("--runner-up", is_flag=True, help="Show the next likely label beside it.")
@click.option(
    "--method",
    type=click.Choice(["gradcam", "occlusion"]),
    help="How the map is made.  [default: Grad-CAM, occlusion where there are no gradients]",
)
@click.option(
    "--file",
    metavar="FILE",
    help="Compare with where an exported file looks, by occlusion of both.",
)
@click.option(
    "--box",
    metavar="LEFT,TOP,RIGHT,BOTTOM",
    help="Say how much attention is outside of it; pixels of the original, or fractions.",
)
@click.option("--mask", metavar="FILE", help="The same of a picture that is white inside.")
def command(
    output: Output,
    *,
    model: str,
    samples: tuple[str, ...],
    labels_file: str | None,
    head: str | None,
    sample_column: str | None,
    worst: int | None,
    out: str | None,
    overwrite: bool,
    stage: str | None,
    label: str | None,
    runner_up: bool,
    method: str | None,
    file: str | None,
    box: str | None,
    mask: str | None,
) -> int:
    """Show where a model looks when it answers, or the words that it goes by.

    MODEL is a run, a model file, or the folder of an export. SAMPLES are what `tfxfer predict`
    takes. Of each image a picture is written: the warmer a place, the more it speaks for the label.
    Of a text the words are marked without which the score falls, on the terminal, and with --out in
    a page.
    """
    # Before Keras starts, which takes long: a slip of the finger is told at once.
    named = model
    model, modality = find_model(output, model)
    run = find_run(model)
    _check_options(samples, worst, stage, method, file, runner_up, box, mask)
    from tfxfer.data.columns import Columns
    from tfxfer.inference.labelling import Labelled, find_samples
    from tfxfer.inference.own_run import remember_columns
    from tfxfer.job.run_samples import open_run_samples
    from tfxfer.trust.explanation import Question, check_same_outputs, explain_samples
    from tfxfer.trust.marking import mark_samples
    from tfxfer.trust.marks import check_parts
    from tfxfer.trust.mistakes import list_mistakes
    from tfxfer.trust.picture_files import check_targets, name_pictures, save_picture

    has_places = modality.picture_input is not None
    if not has_places:
        check_parts(modality)
        gradients = method if method == "gradcam" else None
        refuse_places(modality, stage=stage, method=gradients, box=box, mask=mask)
    find_inside = _read_place(box, mask, modality)
    truths: dict[str, str] = {}
    if worst is not None:
        if run is None:
            raise UsageError(
                f"--worst: expected a run, which knows its mistakes. Received: {named!r}."
            )
        mistakes = list_mistakes(run, worst, locate=open_run_samples(run, output.registry))
        if not mistakes:
            raise DataError(f"run {str(run.path)!r}: expected mistakes. Received: none.")
        truths = {item.sample.name: item.truth for item in mistakes}
        found = [Labelled(item.sample.name, item.sample) for item in mistakes]
    else:
        columns = Columns(sample_column).or_else(remember_columns(model))
        found = find_samples(samples, modality, columns=columns)
    if run is not None:
        _check_names(output, run, stage, label)
    if has_places and out is None and run is None:
        raise UsageError(f"explain: expected --out FOLDER, as {named!r} is no run.")
    folder = run.explain if out is None and run is not None else Path(str(out))
    targets = name_pictures([item.name for item in found]) if has_places else ()
    page = None if has_places else check_marks_page(out, overwrite=overwrite)
    check_targets(folder, targets, overwrite=overwrite or out is None)
    refuse_unreadable(output, model, found, modality)
    other = None if file is None else find_model(output, file)[0]
    predictor = open_predictor(output, model, labels_file=labels_file, head=head)
    beside = None
    if other is not None:
        beside = open_predictor(output, other, labels_file=None, head=None)
        check_same_outputs(predictor, beside)
    question = Question(stage, label, method, runner_up, find_inside, beside)  # type: ignore[arg-type]
    if not has_places:
        with output.quietly(), output.progress() as progress:
            marked = list(mark_samples(predictor, found, question, progress=progress))
        return tell_marks(
            output, marked, modality, truths=truths, page=page, title=Path(named).name
        )
    done: list[tuple[Explanation, Path | None]] = []
    with output.quietly(), output.progress() as progress:
        explained = explain_samples(predictor, found, question, progress=progress)
        for explanation, name in zip(explained, targets, strict=True):
            path = folder / name if explanation.panels else None
            if path is not None:
                save_picture(path, explanation.draw())
            done.append((explanation.without_pixels(), path))
    return _tell(output, done, truths, modality)


def _check_options(
    samples: Sequence[str],
    worst: int | None,
    stage: str | None,
    method: str | None,
    file: str | None,
    runner_up: bool,
    box: str | None,
    mask: str | None,
) -> None:
    """Refuses options that say the same twice, or leave nothing to do."""
    if bool(samples) == (worst is not None):
        raise UsageError(
            f"explain: expected SAMPLES or --worst N. Received: {'both' if samples else 'neither'}."
        )
    clashes = {
        "--box or --mask": box is not None and mask is not None,
        "--file or --runner-up": file is not None and runner_up,
        "--file, which compares by occlusion, or --method gradcam": file is not None
        and method == "gradcam",
        "--stage, where Grad-CAM looks, or occlusion": stage is not None
        and (file is not None or method == "occlusion"),
    }
    for expected, clash in clashes.items():
        if clash:
            raise UsageError(f"explain: expected {expected}. Received: both.")


def _check_names(output: Output, run: RunDirectory, stage: str | None, label: str | None) -> None:
    manifest = run.read_manifest()
    if label is not None:
        check_word(label, manifest.labels, where="explain", name="label")
    if stage is not None:
        backbone = get_backbone(manifest.backbone, registry=output.registry)
        names = [item.name for item in backbone.stages]
        resolve_stage(stage, names, where=f"run {str(run.path)!r}", backbone=backbone.name)


def _read_place(box: str | None, mask: str | None, modality: Modality) -> FindInside | None:
    """Returns what finds the place of the object in a picture; None where none is given."""
    from tfxfer.trust.attention import cover_box, cover_mask, parse_box

    if box is not None:
        parsed = parse_box(box)
        return lambda picture, shape: cover_box(parsed, picture, shape)
    if mask is None:
        return None
    (sample,) = modality.parse_samples([mask])
    white = modality.read_picture(sample, longest_px=_MASK_PX)
    return lambda picture, shape: cover_mask(white, picture, shape)


def _tell(
    output: Output,
    done: Sequence[tuple[Explanation, Path | None]],
    truths: dict[str, str],
    modality: Modality,
) -> int:
    noun = modality.noun
    documents: list[dict[str, Any]] = []
    for explanation, path in done:
        name = explanation.item.name
        document = explanation.to_dict(noun)
        document |= {"truth": truths[name]} if name in truths else {}
        document |= {"picture": path} if path is not None else {}
        documents.append(document)
    output.emit(documents)
    told = [(item, path) for item, path in done if path is not None]
    columns = [noun.upper(), "LABEL", "SCORE", *(["TRUTH"] if truths else []), "PICTURE"]
    output.show_table(columns, [_list_cells(item, path, truths) for item, path in told])
    for item, _ in told:
        if item.attention is not None:
            output.show(f"{escape_controls(item.item.name)}: {item.attention.describe()}")
        if item.agreement is not None and item.file_answer is not None:
            answer = item.file_answer
            output.show(
                f"{escape_controls(item.item.name)}: the file says {answer.label} "
                f"{answer.score:.3f} and looks at "
                f"{item.agreement.describe()}"
            )
        for panel in item.panels:
            if panel.is_blank:
                who = "of the file " if panel.who else ""
                output.warn(
                    f"{item.item.name}: no place speaks for {panel.label!r}: its map {who}is blank"
                )
    _sum_up(output, [item for item, _ in told], modality)
    failed = [item.item.error for item, _ in done if item.item.error is not None]
    for error in failed:
        output.warn(str(error))
    if failed:
        output.print(f"error: {len(failed)} of {len(done)} {modality.plural} have no picture")
    return 1 if failed else 0


def _sum_up(output: Output, told: Sequence[Explanation], modality: Modality) -> None:
    """Says of several samples what they come to in all."""
    if len(told) < 2:
        return
    shares = [x.attention.outside for x in told if x.attention is not None]
    known = [share for share in shares if share is not None]
    if known:
        mean = 100 * sum(known) / len(known)
        output.show(f"on average {mean:.0f} % of the attention is outside")
    verdicts = [x.agreement.verdict for x in told if x.agreement is not None]
    if verdicts:
        output.show(
            f"the file looks at the same place in {verdicts.count('same')} of {len(verdicts)} "
            f"{modality.plural}"
        )


def _list_cells(item: Explanation, path: Path, truths: dict[str, str]) -> tuple[str, ...]:
    first, name = item.panels[0], item.item.name
    truth = (truths[name],) if truths else ()
    return (name, first.label, f"{first.score:.3f}", *truth, str(path))
