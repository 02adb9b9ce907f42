"""`tfxfer demo`: the whole job on real photos that come from pip."""

from __future__ import annotations

import time
from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.train import run_training, training_options

__all__ = ["command"]

_BACKBONE = "efficientnet_lite0"


@tfxfer_command("demo")
@click.option("--out", default="runs/demo", show_default=True, help="Folder of the run.")
@click.option(
    "--data",
    type=click.Choice(["elpv", "digits"]),
    default="elpv",
    show_default=True,
    help="Photos of solar cells (CC BY-NC-SA), or scikit-learn's digits.",
)
@training_options
def command(output: Output, *, out: str, data: str, overwrite: bool, **options: Any) -> None:
    """Train on real images that came with pip: the whole job in one line.

    EfficientNet-Lite0 and its weights came with pip, too: it needs no network. The run at --out is
    replaced if it is an earlier demo's.
    """
    started = time.monotonic()
    from tfxfer.demo import demo_request, demo_source, is_demo_run

    source = demo_source(data)
    for line in source.remarks:
        output.print(line)
    run_training(
        output,
        demo_request(data, source, backbone=_BACKBONE, options=options),
        out,
        started=started,
        overwrite=overwrite or is_demo_run(out),
        source=source.source,
    )
    output.show(f"try it:  tfxfer predict {out} {source.example}")
