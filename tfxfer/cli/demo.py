"""`tfxfer demo`: the whole job on real photos that come from pip."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.cli.train import run_training, training_options
from tfxfer.errors import PluginConflictError

__all__ = ["EXPORTERS", "command"]

EXPORTERS = "tfxfer.exporters"
"""Entry-point group of what makes a run a file for the phone: a function that takes the `Output` of
a command, the run and options, draws its table, and returns its document."""

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
    """Train on real images from pip, and export for a phone: the whole job in one line.

    EfficientNet-Lite0 and its weights came with pip, too: it needs no network. The run at --out is
    replaced if it is an earlier demo's. A --budget is that of the training; the export comes after
    it.
    """
    started = time.monotonic()
    from tfxfer.job.demo import demo_request, demo_source, is_demo_run
    from tfxfer.run.directory import RunDirectory

    export = _find_exporter(output)
    source = demo_source(data)
    for line in source.remarks:
        output.print(line)
    document = run_training(
        output,
        demo_request(data, source, backbone=_BACKBONE, options=options),
        out,
        started=started,
        overwrite=overwrite or is_demo_run(out),
        source=source.source,
    )
    model = out
    if export is None:
        output.emit(document)
        output.print("a file for the phone takes tfxfer-edge: pip install tfxfer-edge")
    else:
        try:
            made = export(output, out, quick=True)
        finally:
            output.emit(RunDirectory.open(out).read_manifest().to_dict())
        model = next(x["path"] for x in made["candidates"] if x["recipe"] == made["chosen"])
    output.print(f"took {time.monotonic() - started:.0f} s in all")
    output.show(f"try it:  tfxfer predict {model} {source.example}")


def _find_exporter(output: Output) -> Callable[..., dict[str, Any]] | None:
    """Returns what exports; found before minutes of training."""
    points = sorted(entry_points(group=EXPORTERS), key=lambda point: point.value)
    if len(points) > 1:
        raise PluginConflictError(
            "demo: expected one distribution that exports. Received: "
            f"{', '.join(point.value for point in points)}. Uninstall all but one."
        )
    for point in points:
        try:
            found: Callable[..., dict[str, Any]] = point.load()
        # A plugin's module may raise anything; the training does not need it.
        except Exception as error:  # noqa: BLE001
            output.warn(f"no export: {point.value} cannot be imported: {error}")
            return None
        return found
    return None
