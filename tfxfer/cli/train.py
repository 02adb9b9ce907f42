"""`tfxfer train`: a folder of labelled images becomes a tested model."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import Any

import click

from tfxfer.cli.options import FRACTION, TIME
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.system.quiet import quiet_native

__all__ = ["command", "run_training", "training_options"]


def training_options(command: Any) -> Any:
    """Adds the options that `train` and `demo` share."""
    options = [
        click.option(
            "--budget", type=TIME, help="Finish within this time; chooses views, depth and epochs."
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Seed for the split, the head's weights and the order of samples.",
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "gpu"]),
            default="auto",
            show_default=True,
            help="Where to compute; auto takes a GPU where the backend sees one.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the run at --out."),
        click.option("--cache-dir", help="Folder for large caches; removed afterwards."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@tfxfer_command("train")
@click.argument("data", required=False)
@click.option("--backbone", help="Name of a backbone; `tfxfer plugins` lists them.")
@click.option("--head", help="Name of a head.  [default: what the installed heads declare]")
@click.option("--out", required=True, help="Folder of the run; made anew.")
@click.option(
    "--weights",
    default="default",
    show_default=True,
    help="Named source, path of a file, or `none` for random weights.",
)
@click.option(
    "--size",
    "--image-size",
    "size",
    type=click.IntRange(1),
    help="Of the input: the side of an image in pixels.  [default: the backbone's]",
)
@click.option(
    "--schedule",
    type=click.Choice(["two_phase", "progressive", "head", "scratch"]),
    default="two_phase",
    show_default=True,
    help="Which phases: the head and then the upper network, step by step, one of them, or all.",
)
@click.option("--head-epochs", type=click.IntRange(1), help="Epochs of the head's phase.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each later phase.")
@click.option(
    "--unfreeze-from",
    type=FRACTION,
    help="Stage up to which everything stays frozen in phase two, or the fraction of stages.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Samples a step."
)
@click.option(
    "--augment",
    help="How far samples may vary, images none, light or strong.  [default: light]",
)
@click.option("--no-flip", is_flag=True, help="Never mirror: for text, or left and right hands.")
@click.option("--views", type=click.IntRange(1), help="Cached augmented versions of each image.")
@click.option(
    "--balance",
    type=click.Choice(["none", "weights", "oversample"]),
    default="none",
    show_default=True,
    help="What to do about rare classes.",
)
@click.option(
    "--no-cache", is_flag=True, help="Train every phase through the whole network; much slower."
)
@click.option("--strict", is_flag=True, help="Stop at the first fault in the data.")
@click.option(
    "--split-from",
    metavar="RUN",
    help="Leave the samples that an earlier run knows in its train, val and test.",
)
@click.option("--resume", is_flag=True, help="Go on after the last finished phase of --out.")
@training_options
def command(output: Output, *, data: str | None, out: str, resume: bool, **options: Any) -> None:
    """Train a model on labelled samples.

    DATA is a folder of class folders, a folder with train/, val/ and test/, or a CSV with the
    columns path,label[,split][,group].
    """
    started = time.monotonic()
    from tfxfer.job.request import TrainRequest
    from tfxfer.run.directory import RunDirectory

    overwrite = options.pop("overwrite")
    if resume:
        _refuse_options()
        run = RunDirectory.open(out)
        manifest = run.read_manifest()
        request = TrainRequest.from_dict(dict(manifest.request))
        _refuse_other_data(data, request.data)
        if manifest.status == "done":
            output.print(f"run {out!r} is done: nothing is left to train")
            document = run.read_manifest().to_dict()
            output.emit(document)
            show_result(output, run, document)
            return
    else:
        backbone = options.pop("backbone")
        if data is None or backbone is None:
            missing = "DATA" if data is None else "--backbone NAME"
            raise click.UsageError(f"expected {missing}. To go on with a run: --resume --out RUN")
        request = TrainRequest(
            data=data,
            backbone=backbone,
            budget_seconds=options.pop("budget"),
            view_options={"flip": False} if options.pop("no_flip") else {},
            cache=not options.pop("no_cache"),
            **options,
        )
    document = run_training(
        output,
        request,
        out,
        overwrite=overwrite,
        resume=resume,
        started=started,
    )
    output.emit(document)


def _refuse_options() -> None:
    """Refuses what `--resume` would have to ignore: it repeats what the run was asked for."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    given = [
        param.opts[0]
        for param in context.command.params
        if param.name not in ("data", "out", "resume", "as_json", "verbosity")
        and context.get_parameter_source(str(param.name)) is typed
    ]
    if given:
        raise click.UsageError(
            f"--resume repeats what the run was asked for. Received: {', '.join(given)} beside it. "
            "Leave that out, or train anew with another --out."
        )


def _refuse_other_data(given: str | None, stored: str) -> None:
    from pathlib import Path

    if given is not None and Path(given).resolve() != Path(stored).resolve():
        raise click.UsageError(
            f"--resume goes on with {stored!r}. Received: {given!r}. Leave DATA out."
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
) -> dict[str, Any]:
    """Trains, shows what happens, and returns `run.json`, which the command emits."""
    from tfxfer.job.prepare import check_place, find_earlier_split, prepare

    # Before Keras starts, which takes seconds: a slip of the finger is told at once.
    if not resume:
        check_place(out, overwrite=overwrite)
        find_earlier_split(request.split_from)
    prepared = prepare(request, source=source, registry=output.registry)
    output.print(f"starting Keras and reading the {prepared.modality.plural}")
    with output.progress() as progress:
        with nullcontext() if output.verbosity else quiet_native():
            from tfxfer.job.train import train_run
            from tfxfer.training.epoch_lines import EpochLines
        if not output.verbosity:
            # It warns of being traced anew, as every phase must be.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        output.check_interrupt()

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        run = train_run(
            prepared,
            out,
            overwrite=overwrite,
            resume=resume,
            started=started,
            callbacks=[EpochLines(output.print, tell)],
            progress=tell,
            on_plan=lambda lines: show_plan(output, lines),
            on_audit=lambda data: show_audit(output, data),
        )
    document: dict[str, Any] = run.read_manifest().to_dict()
    show_result(output, run, document)
    output.print(f"took {time.monotonic() - started:.0f} s")
    return document


def show_audit(output: Output, data: Any) -> None:
    """Prints what was found in the files, and the split."""
    for line in data.audit.summary():
        output.print(line)
    output.print(
        f"split: {len(data.train):,} train, {len(data.val):,} val, {len(data.test):,} test; "
        f"{len(data.labels)} labels"
    )
    if data.split_words:
        output.print(data.split_words)


def show_plan(output: Output, lines: list[Any]) -> None:
    """Prints what is about to happen."""
    width = max(len(line.what) for line in lines)
    for line in lines:
        output.print(f"  {line.what.ljust(width)}  {line.value}")


def show_result(output: Output, run: Any, document: dict[str, Any]) -> None:
    """Prints the test's figures and what happened in the phases."""
    from tfxfer.evaluation import format_metrics
    from tfxfer.registry.lookup import get_head, get_modality

    phases = document["phases"]
    best = [phase["name"] for phase in phases if phase["best_epoch"] is not None]
    if len(phases) > 1 and best == [phases[0]["name"]]:
        output.warn(
            f"fine-tuning did not help: the best validation epoch is of phase {best[0]!r}, and "
            "the model is that one"
        )
    head = get_head(document["head"], options=document["head_options"], registry=output.registry)
    plural = get_modality(document["modality"], registry=output.registry).plural
    rows = format_metrics(document["metrics"]["test"], head)
    output.show_table(("TEST", f"{document['data']['test']} {plural}"), rows)
    output.show(str(run.model_path))
