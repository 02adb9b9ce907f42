"""`tfxfer meta`: a labelled set becomes weights from which a few examples are enough."""

from __future__ import annotations

import time
from typing import Any

import click

from tfxfer.cli.opening import check_table
from tfxfer.cli.options import (
    FRACTION,
    TIME,
    column_options,
    seed_option,
    size_option,
    weights_option,
)
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.results import quote
from tfxfer.cli.train import show_audit

__all__ = ["command"]


@tfxfer_command("meta")
@click.argument("data")
@click.option(
    "--tasks",
    default="5x5",
    show_default=True,
    metavar="WAYSxSHOTS",
    help="How large a task is: so many labels, so many samples of each.",
)
@click.option("--out", required=True, metavar="FILE", help="Where the weights go.")
@click.option("--backbone", help="Name of a backbone.  [default: as for train]")
@click.option("--head", help="Name of a head.  [default: what the installed heads declare]")
@weights_option
@size_option
@click.option(
    "--unfreeze-from",
    type=FRACTION,
    help="Stage up to which everything stays as it is, or the fraction of stages.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Tasks to learn, one after the other.",
)
@click.option("--budget", type=TIME, help="End the tasks after this time, if not before.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Of the optimizer within a task.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Learning rate within a task.",
)
@click.option(
    "--outer",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="How far weights move towards what the first task makes of them; for later ones less.",
)
@column_options
@seed_option("Seed for the split and the tasks.")
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def command(
    output: Output,
    *,
    data: str,
    tasks: str,
    out: str,
    backbone: str | None,
    iterations: int,
    budget: float | None,
    steps: int,
    rate: float,
    outer: float,
    overwrite: bool,
    **options: Any,
) -> None:
    """Learn weights from which a few examples of each label are enough.

    DATA is what `tfxfer train` takes; it needs many labels, or at least as many as a task has.
    Small tasks are drawn from it, and the upper stages of the backbone move a little towards what
    each of them makes of these (Reptile). `tfxfer train --weights FILE` begins with the result.
    """
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.meta.tasks import TaskSize

    started = time.monotonic()
    size = TaskSize.parse(tasks)
    check_table(out, "--out", overwrite=overwrite, inputs=(data, options["weights"]))
    request = TrainRequest(
        data=data, backbone=backbone or output.registry.default("backbone"), **options
    )
    with output.progress() as progress:
        prepared = prepare(request, registry=output.registry, progress=progress)
    output.print(f"starting Keras and reading the {prepared.modality.plural}")
    with output.starting("importing TensorFlow"):
        from tfxfer.device import prepare_device
        from tfxfer.job.meta import learn_initialization
        from tfxfer.meta.reptile import Pattern

        prepare_device("auto")

    with output.quietly(), output.progress() as progress:

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        result = learn_initialization(
            prepared,
            out,
            size,
            Pattern(iterations=iterations, steps=steps, rate=rate, outer=outer),
            deadline=None if budget is None else started + budget,
            progress=tell,
            on_audit=lambda found: show_audit(output, found),
        )
    output.emit(result.to_dict())
    frozen = "nothing frozen" if result.stage is None else f"frozen up to {result.stage}"
    output.show(
        f"learnt {result.iterations:,} tasks of {result.ways} labels with {result.shots} samples "
        f"in {result.seconds:.0f} s, {frozen}"
    )
    output.show(
        f"loss   {result.first_loss:.3f} at the end of the first tasks, {result.last_loss:.3f} of "
        "the last"
    )
    output.show(f"file   {out}")
    words = ("DATA", "--backbone", result.backbone, "--weights", out)
    output.show(f"next   {quote('tfxfer', 'train', *words)}")
