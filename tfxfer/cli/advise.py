"""`tfxfer advise`: how to train on some samples, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.opening import check_table
from tfxfer.cli.options import TIME, column_options, seed_option, size_option, weights_option
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.report import find_reserve
from tfxfer.cli.results import quote
from tfxfer.cli.train import show_audit

if TYPE_CHECKING:
    from tfxfer.trust.advice import Advice

__all__ = ["command"]


@tfxfer_command("advise")
@click.argument("data")
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    help="Name of a backbone; repeat it to choose among several.  [default: as for train]",
)
@click.option("--head", help="Name of a head.  [default: what the installed heads declare]")
@column_options
@size_option
@weights_option
@click.option("--budget", type=TIME, help="Time that the training may take.")
@seed_option("Seed for the split, as for train.")
@click.option("--out", metavar="FILE", help="Write the plan there, for `tfxfer train --plan`.")
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def command(
    output: Output,
    *,
    data: str,
    backbones: tuple[str, ...],
    head: str | None,
    sample_column: str | None,
    label_column: str | None,
    size: int | None,
    weights: str,
    budget: float | None,
    seed: int,
    out: str | None,
    overwrite: bool,
) -> None:
    """Say how to train on samples, and why.

    DATA is what `tfxfer train` takes. Linear probes at several depths, how far the samples are from
    what the network knows, and how fast this machine is lead to a plan. Nothing is trained, and the
    test samples are not looked at.
    """
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest

    check_table(out, "--out", overwrite=overwrite, inputs=(data, weights))
    names = dict.fromkeys(backbones or (output.registry.default("backbone"),))
    requests = [
        TrainRequest(
            data=data,
            backbone=name,
            head=head,
            weights=weights,
            size=size,
            seed=seed,
            sample_column=sample_column,
            label_column=label_column,
        )
        for name in names
    ]
    with output.progress() as progress:
        candidates = [
            prepare(request, registry=output.registry, progress=progress) for request in requests
        ]
    output.print(f"starting Keras and reading the {candidates[0].modality.plural}")
    with output.starting("importing TensorFlow"):
        from tfxfer.device import prepare_device
        from tfxfer.job.advise import advise

        prepare_device("auto")
    with output.quietly(), output.progress() as progress:
        advice = advise(
            candidates,
            budget_seconds=budget,
            reserve_seconds=find_reserve(budget),
            progress=progress,
            on_audit=lambda found: show_audit(output, found),
        )
    if out is not None:
        advice.write(Path(out))
    output.emit(advice.to_dict())
    _show(output, advice, out)


def _show(output: Output, advice: Advice, out: str | None) -> None:
    from tfxfer.job.plan_text import format_seconds

    for item in advice.evidence:
        if item.probes:
            output.show(f"what a linear probe makes of the features of {item.backbone}")
            rows = [
                (
                    probe.stage,
                    f"{100 * probe.depth:.0f} %",
                    f"{100 * probe.figure['value']:.1f} %",
                    f"{100 * probe.figure['low']:.1f} to {100 * probe.figure['high']:.1f} %",
                )
                for probe in item.probes
            ]
            output.show_table(("STAGE", "DEPTH", "RIGHT", "BETWEEN"), rows)
    output.show("why")
    for reason in advice.reasons:
        output.show(f"  {reason}")
    output.show(f"plan   {advice.request['backbone']}, about {format_seconds(advice.seconds)}")
    for line in advice.phases:
        output.show(f"  {line}")
    if out is not None:
        output.show(f"next   {quote('tfxfer', 'train', '--plan', out)}")
    else:
        output.show(f"next   {quote('tfxfer', 'train', *_list_options(advice.request))}")


def _list_options(request: Any) -> list[str]:
    """Returns the words of `tfxfer train` that ask for the same."""
    words = [str(request["data"])]
    for name, value in request.items():
        if name == "budget_seconds":
            words += ["--budget", f"{value:g}s"]
        elif name != "data":
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
