"""`tfxfer benchmark`: latency, size and memory of files, side by side."""

from __future__ import annotations

import shutil

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import DeviceError, ModelError

__all__ = ["command"]


@tfxfer_command("benchmark")
@click.argument("models", nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="A round.")
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--device", type=click.Choice(["host", "adb"]), default="host", show_default=True)
def command(
    output: Output, *, models: tuple[str, ...], threads: int, runs: int, rounds: int, device: str
) -> None:
    """Measure MODELS, .tflite files, taking turns so that noise hits all alike."""
    if device == "adb":
        _refuse_adb()
    from pathlib import Path

    from tfxfer_edge.latency import measure

    for path in models:
        if not Path(path).is_file():
            raise ModelError(f"model {path!r}: expected a .tflite file. Received: nothing there.")
    results = measure(models, threads=threads, runs=runs, rounds=rounds)
    output.emit({"models": [item.to_dict() for item in results]})
    output.show_table(
        ("MODEL", "MB", "LOAD MS", "MEDIAN MS", "P95 MS", "PEAK MB"),
        [
            (
                item.path,
                f"{item.bytes / 1e6:.2f}",
                f"{item.load_ms:.1f}",
                f"{item.median_ms:.2f}",
                f"{item.p95_ms:.2f}",
                f"{item.peak_memory_bytes / 1e6:.0f}",
            )
            for item in results
        ],
    )


def _refuse_adb() -> None:
    found = shutil.which("adb")
    raise DeviceError(
        "device 'adb': expected a phone that adb sees, with benchmark_model on it. Received: "
        + ("running benchmark_model on a phone is not built yet" if found else "no adb here")
        + ". Use --device host."
    )
