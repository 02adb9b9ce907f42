"""`tfxfer export`: a run becomes a file for the phone."""

from __future__ import annotations

from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import GateError
from tfxfer.quiet import quiet_native

__all__ = ["command", "show_candidates"]


@tfxfer_command("export")
@click.argument("run")
@click.option("--out", help="Folder to make.  [default: export/ inside the run]")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="auto, int8, int8_selective, int16x8, dynamic_w8, float16, float32; may be repeated.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Points of the task's metric that may be lost.",
)
@click.option("--prefer", type=click.Choice(["size", "latency"]), default="size", show_default=True)
@click.option("--allow-float", is_flag=True, help="Let auto end with float16.")
@click.option("--calibration-images", type=click.IntRange(10), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
def command(output: Output, *, run: str, **options: Any) -> None:
    """Quantize the model of RUN, prove on its images that it still works, and pack it."""
    output.print("starting TensorFlow")
    with quiet_native():
        from tfxfer_edge.export import export
    with output.progress() as progress:
        try:
            result = export(run, progress=progress, say=output.detail, **options)
        except GateError as error:
            document: dict[str, Any] = getattr(error, "document", {})
            output.emit(document)
            show_candidates(output, document)
            raise
    output.emit(result.document)
    show_candidates(output, result.document)
    output.show(str(result.path))


def show_candidates(output: Output, document: dict[str, Any]) -> None:
    """Prints the table of recipes."""
    rows = []
    for item in document["candidates"]:
        if item["bytes"] is None:
            rows.append((item["recipe"], "", "", "", "", f"no: {item['reason']}"))
            continue
        drop = item["test_drop_points"]
        verdict = "chosen" if item["recipe"] == document["chosen"] else "passed"
        agreement = item["agreement"]
        rows.append(
            (
                item["recipe"],
                f"{item['bytes'] / 1e6:.2f}",
                f"{item['latency_ms']:.1f}",
                f"{drop['value']:+.1f} [{drop['low']:+.1f}, {drop['high']:+.1f}]",
                "" if agreement is None else f"{100 * agreement:.1f} %",
                verdict if item["passed"] else f"no: {item['reason']}",
            )
        )
    output.show_table(("RECIPE", "MB", "MS", "POINTS LOST (TEST)", "AGREES", ""), rows)
