"""`tfxfer train`: a folder of labelled images becomes a tested model."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.report import find_reserve, try_report
from tfxfer.cli.results import (
    describe_audit,
    quote,
    show_calibration,
    show_epoch,
    show_figures,
    show_label_errors,
    show_slices,
    show_warnings,
)
from tfxfer.cli.train_options import shared_options, train_options

if TYPE_CHECKING:
    from tfxfer.run.directory import RunDirectory

__all__ = ["command", "run_training"]


@tfxfer_command("train")
@click.argument("data", required=False)
@train_options
@shared_options
def command(
    output: Output,
    *,
    data: str | None,
    out: str | None,
    resume: bool,
    plan: str | None,
    moved: str | None,
    **options: Any,
) -> None:
    """Train a model on labelled samples.

    DATA is a folder of class folders, a folder with train/, val/ and test/, or a CSV with the
    columns path,label[,split][,group]. Its further columns are slices: the result is told for
    each of their values. With --domain folders it holds one folder a source.
    """
    started = time.monotonic()
    from tfxfer.job.place import choose_place
    from tfxfer.job.request import TrainRequest
    from tfxfer.run.directory import RunDirectory

    overwrite, with_report = options.pop("overwrite"), not options.pop("no_report")
    if options.pop("break_lock") and out is not None:
        RunDirectory(out).break_lock()
    if resume:
        _refuse_options()
        if out is None:
            raise click.UsageError("expected the run to go on with: --resume --out RUN")
        run = RunDirectory.open(out)
        manifest = run.read_manifest()
        request = TrainRequest.from_dict(dict(manifest.request))
        _refuse_other_data(data, request.data)
        if moved is not None:
            request = replace(request, data=moved)
        if options["cache_dir"] is not None:
            request = replace(request, cache_dir=options["cache_dir"])
        if run.is_whole():
            output.print(f"run {out!r} is done: nothing is left to train")
            output.emit(manifest.to_dict())
            show_result(output, run)
            show_next(output, run)
            return
        if manifest.status == "done":
            output.print(f"{run.model_path.name} is gone: it is made again")
    else:
        if moved is not None:
            raise click.UsageError("--data goes with --resume. Without it: tfxfer train DATA")
        if plan is not None:
            data, planned = _read_plan(plan, data)
            options.update(planned)
        if data is None:
            raise click.UsageError("expected DATA. To go on with a run: --resume --out RUN")
        if out is None:
            out = str(choose_place())
            output.print(f"run    {out}")
        request = TrainRequest(
            data=data,
            backbone=_choose_backbone(output, options.pop("backbone"), options["from_run"]),
            budget_seconds=options.pop("budget"),
            view_options={"flip": False} if options.pop("no_flip") else {},
            cache=not options.pop("no_cache"),
            calibrate=not options.pop("no_calibration"),
            **options,
        )
    document = run_training(
        output,
        request,
        out,
        overwrite=overwrite,
        resume=resume,
        started=started,
        with_report=with_report,
    )
    output.emit(document)


def _choose_backbone(output: Output, given: str | None, from_run: str | None) -> str:
    """Returns the backbone that was named, that of the run to go on from, or the default."""
    from tfxfer.run.directory import RunDirectory

    if given is None and from_run is not None:
        return str(RunDirectory.open(from_run).read_manifest().backbone)
    return given or output.registry.default("backbone")


_PLANNED = (
    "backbone", "head", "weights", "size", "schedule", "head_epochs", "epochs", "unfreeze_from",
    "views", "budget", "seed", "sample_column", "label_column",
)  # fmt: skip
"""Options that a plan stands for."""
_FIELDS = {"data", "budget_seconds", *_PLANNED} - {"budget"}
"""What of a request a plan may settle; all else is said beside it."""


def _list_given() -> dict[str, str]:
    """Returns the options that were typed, by the names of their values."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    return {
        str(param.name): param.opts[0]
        for param in context.command.params
        if context.get_parameter_source(str(param.name)) is typed
    }


def _read_plan(path: str, data: str | None) -> tuple[str, dict[str, Any]]:
    """Returns the samples that a plan is for, and the options that it stands for."""
    from tfxfer.errors import RunError
    from tfxfer.job.request import TrainRequest
    from tfxfer.trust.advice import read_advice

    given = [option for name, option in _list_given().items() if name in _PLANNED]
    if given:
        raise click.UsageError(
            f"--plan says how to train. Received: {', '.join(given)} beside it. "
            "Leave that out, or the plan."
        )
    fields = dict(read_advice(Path(path)).request)
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise RunError(
            f"plan {path!r}: expected a request as `tfxfer advise --out` writes it. "
            f"Received: {', '.join(unknown)} in it. Take that out, and give options beside --plan."
        )
    request = TrainRequest.from_dict(fields)
    if data is not None and Path(data).resolve() != Path(request.data).resolve():
        raise click.UsageError(
            f"--plan was made for {request.data!r}. Received: {data!r}. Ask for advice on that: "
            f"{quote('tfxfer', 'advise', data)}"
        )
    fields["budget"] = fields.pop("budget_seconds", None)
    return fields.pop("data"), fields


def _refuse_options() -> None:
    """Refuses what `--resume` would have to ignore: it repeats what the run was asked for."""
    free = (
        "data", "moved", "out", "resume", "break_lock", "cache_dir", "no_report", "as_json",
        "verbosity",
    )  # fmt: skip
    given = [option for name, option in _list_given().items() if name not in free]
    if given:
        raise click.UsageError(
            f"--resume repeats what the run was asked for. Received: {', '.join(given)} beside it. "
            "Leave that out, or train anew with another --out."
        )


def _refuse_other_data(given: str | None, stored: str) -> None:
    if given is not None and Path(given).resolve() != Path(stored).resolve():
        raise click.UsageError(
            f"--resume goes on with {stored!r}. Received: {given!r}. Leave DATA out, or say where "
            f"the same samples are now: --data {given}"
        )


def run_training(
    output: Output,
    request: Any,
    out: str,
    *,
    started: float,
    overwrite: bool = False,
    resume: bool = False,
    source: Any = None,
    suggest: bool = True,
    with_report: bool = True,
) -> dict[str, Any]:
    """Trains, shows what happens and what to do next, and returns `run.json` to be emitted."""
    from tfxfer.job.prepare import check_place, find_earlier_split, prepare

    # Before Keras starts, which takes seconds: a slip of the finger is told at once.
    if not resume:
        check_place(out, overwrite=overwrite)
        find_earlier_split(request.split_from)
    with output.progress() as progress:
        prepared = prepare(request, source=source, registry=output.registry, progress=progress)
    output.print(f"starting Keras and reading the {prepared.modality.plural}")
    with output.starting("importing TensorFlow"):
        from tfxfer.device import prepare_device
        from tfxfer.job.train import train_run
        from tfxfer.training.epoch_lines import EpochLines

        prepare_device(prepared.request.device)  # looks for CUDA, of which C++ code has much to say
    if not output.verbosity:
        # It warns of being traced anew, as every phase must be.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    before = _read_start(out)
    reserve = find_reserve(request.budget_seconds) if with_report else 0.0
    models: list[Any] = []
    with output.quietly(), output.progress() as progress:

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        lines = EpochLines(
            output.print if output.verbosity else None,
            tell,
            monitor=prepared.head.monitor.name,
            hold=output.hold_signals,
        )
        try:
            run = train_run(
                prepared,
                out,
                overwrite=overwrite,
                resume=resume,
                started=started,
                callbacks=[lines],
                progress=tell,
                on_plan=lambda lines: show_plan(output, lines),
                on_audit=lambda data: show_audit(output, data),
                on_model=models.append,
                reserve_seconds=reserve,
                on_finding=output.warn,
            )
        except BaseException as error:
            output.hold_signals(False)
            stopped = output.interrupted or not isinstance(error, Exception)
            if stopped and (resume or _read_start(out) != before):
                # Whoever read it may be gone: what goes on its way up is the interruption.
                with contextlib.suppress(BrokenPipeError):
                    output.print(f"to go on:  {quote('tfxfer', 'train', '--resume', '--out', out)}")
            raise
    model, page = next(iter(models), None), None
    if with_report and reserve:
        page = try_report(output, run, model=model)
    show_result(output, run, took_s=time.monotonic() - started)
    if with_report and not reserve:
        if request.budget_seconds is not None:
            output.print("making the report after --budget, too small to hold it")
        page = try_report(output, run, model=model)
    if page is not None:
        output.show(f"report {page}")
    if suggest:
        show_next(output, run)
    document: dict[str, Any] = run.read_manifest().to_dict()
    return document


def _read_start(out: str) -> str | None:
    """Returns when the run at a place was begun; None where none is that could be gone on with."""
    from tfxfer.errors import RunError
    from tfxfer.run.directory import RunDirectory

    try:
        manifest = RunDirectory.open(out).read_manifest()
    except RunError:
        return None
    return manifest.created if manifest.plan and manifest.status != "done" else None


def show_audit(output: Output, data: Any) -> None:
    """Prints what was found in the files, and the split."""
    for line in describe_audit(data):
        output.print(line)


def show_plan(output: Output, lines: list[Any]) -> None:
    """Prints what is about to happen."""
    width = max(len(line.what) for line in lines)
    for line in lines:
        output.print(f"  {line.what.ljust(width)}  {line.value}")


def show_result(output: Output, run: RunDirectory, *, took_s: float | None = None) -> None:
    """Prints what came out of a training."""
    from tfxfer.adaptation.domain_record import Domains
    from tfxfer.adaptation.record import Adaptation
    from tfxfer.adaptation.reweighting import Reweighting
    from tfxfer.adaptation.style_record import StyleRecord
    from tfxfer.registry.lookup import get_head, get_modality
    from tfxfer.run.course import describe_course, describe_pace
    from tfxfer.trust.baselines import BaselineRecord
    from tfxfer.trust.fair_record import FairTraining
    from tfxfer.trust.forgetting import Forgetting
    from tfxfer.trust.slices import SliceReport

    manifest = run.read_manifest()
    head = get_head(manifest.head, options=dict(manifest.head_options), registry=output.registry)
    modality = get_modality(manifest.modality, registry=output.registry)
    for line in describe_course(manifest):
        output.warn(line)
    for line in describe_pace(manifest):
        output.print(line)
    title = f"on {modality.plural} that the training never saw"
    show_figures(output, title, manifest.metrics["test"], head, modality)
    fair = FairTraining.read(run.trust)
    for line in () if fair is None else fair.describe():
        output.show(f"  {line}")
    if "target" in manifest.metrics:
        title = f"on labelled {modality.plural} of the target, which only tested"
        show_figures(output, title, manifest.metrics["target"], head, modality)
    style = StyleRecord.read(run.trust)
    for line in () if style is None else style.describe():
        output.show(f"  {line}")
    adapted = Adaptation.read(run.trust)
    for line in () if adapted is None else adapted.describe():
        output.show(f"  {line}")
    weighted, domains = Reweighting.read(run.trust), Domains.read(run.trust)
    for line in [] if weighted is None else weighted.describe():
        output.show(f"  {line}")
    for line in [] if domains is None else domains.describe():
        output.show(f"  {line}")
    forgetting = Forgetting.read(run.trust)
    for line in () if forgetting is None else forgetting.describe():
        output.show(f"  {line}")
    slices = SliceReport.read(run.trust)
    if slices is not None:
        show_slices(output, slices, head, modality)
    for note in manifest.metrics["val"]["notes"]:
        if note not in manifest.metrics["test"]["notes"]:
            output.print(f"note, validation: {note}")
    show_warnings(output, manifest.warnings)
    show_calibration(output, manifest)
    baselines = BaselineRecord.read(run.trust)
    for line in [] if baselines is None else baselines.describe():
        output.show(line)
    if run.label_errors_path.is_file():
        show_label_errors(output, run)
    show_epoch(output, manifest)
    answers = ""
    if run.predictions_path.is_file():  # earlier versions wrote none
        answers = f", and {run.predictions_path.name} with each {modality.noun} of val and test"
    output.show(f"files  {run.path}: {run.model_path.name}, {run.manifest_path.name}{answers}")
    if took_s is not None:
        budget = manifest.request.get("budget_seconds")
        output.print(f"took {took_s:.0f} s" + (f" of --budget {budget:g} s" if budget else ""))


def show_next(output: Output, run: RunDirectory) -> None:
    """Prints what to do with a run that is done."""
    can_export = any(each.name == "export" for each in output.registry.list("command"))
    words = ("export", run.path) if can_export else ("evaluate", run.path, "OTHER_DATA")
    step = quote("tfxfer", *words)
    if run.read_manifest().warnings:
        # An export refuses such a run: what it tells to do next must not end with an error.
        step = "train again, with what the warnings say"
        if can_export:
            step += f"; a file all the same: {quote('tfxfer', *words, '--force')}"
    output.show(f"next   {step}")
