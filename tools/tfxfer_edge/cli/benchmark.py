"""`tfxfer benchmark`: latency, size and memory of files, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import ModelError
from tfxfer_edge.timing.accelerator import ACCELERATORS

if TYPE_CHECKING:
    from tfxfer_edge.timing.latency import Latency

__all__ = ["command"]


_SSH = "ssh:"


class _DeviceType(click.ParamType):
    """`host`, `adb`, or `ssh:` and a host."""

    name = "device"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[host|adb|ssh:HOST]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in ("host", "adb") and not value.startswith(_SSH):
            self.fail(f"expected host, adb or ssh:HOST. Received: {value!r}.", param, ctx)
        return value


@tfxfer_command("benchmark")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Of the interpreter."
)
@click.option(
    "--runs", type=click.IntRange(1), default=50, show_default=True, help="Inferences a round."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Rounds through all files.",
)
@click.option(
    "--benchmark-model",
    "program",
    help="LiteRT's benchmark_model for the phone or the board.  [default: the one in a phone's "
    "/data/local/tmp; a board measures with Python]",
)
@click.option(
    "--device",
    type=_DeviceType(),
    default="host",
    show_default=True,
    help="This machine, a phone that adb sees, or ssh:HOST, a Linux board that ssh reaches.",
)
@click.option(
    "--remote-python",
    metavar="PATH",
    help="Of a board: the Python that has LiteRT or onnxruntime.  [default: python3]",
)
@click.option(
    "--accelerator",
    type=click.Choice(ACCELERATORS),
    default=ACCELERATORS[0],
    show_default=True,
    help="Of a phone: what computes; what it cannot do is left to the CPU.",
)
def command(
    output: Output,
    *,
    models: tuple[str, ...],
    threads: int,
    runs: int,
    rounds: int,
    device: str,
    program: str | None,
    accelerator: str,
    remote_python: str | None,
) -> None:
    """Measure MODELS, .tflite and .onnx files, taking turns so that noise hits all alike."""
    for path in models:
        if not Path(path).is_file():
            raise ModelError(
                f"model {path!r}: expected a .tflite or .onnx file. "
                f"Received: {'a folder' if Path(path).is_dir() else 'nothing there'}."
            )
    if accelerator != ACCELERATORS[0] and device != "adb":
        raise click.UsageError("--accelerator is for a phone: add --device adb.")
    if remote_python is not None and (not device.startswith(_SSH) or program is not None):
        raise click.UsageError("--remote-python is for a board: add --device ssh:HOST.")
    phone = board = None
    if device == "adb":
        from tfxfer_edge.timing.adb import find_phone, measure_on_phone

        phone = find_phone()
    elif device.startswith(_SSH):
        from tfxfer_edge.timing.benchmark_model import check_program
        from tfxfer_edge.timing.ssh import find_board, measure_on_board

        if program is not None:
            check_program(program)
        python = None if program is not None else remote_python or "python3"
        board = find_board(device.removeprefix(_SSH), python=python)
    elif program is not None:
        raise click.UsageError(
            "--benchmark-model is for a phone or a board: add --device adb or ssh:HOST."
        )
    import numpy as np

    from tfxfer_edge.onnx.model import require_onnxruntime
    from tfxfer_edge.onnx.soundness import read_onnx_file
    from tfxfer_edge.proof.feed import find_feed, find_values, is_onnx_file
    from tfxfer_edge.tflite.soundness import check_model_file
    from tfxfer_edge.timing.latency import measure

    for path in models:
        if not is_onnx_file(Path(path)):
            check_model_file(path)
        elif phone is None and program is None:
            require_onnxruntime()
            read_onnx_file(path)
        else:
            raise ModelError(
                f"model {path!r}: expected a .tflite file, which benchmark_model runs. "
                "Received: an .onnx file. Measure it with --device host or ssh:HOST."
            )
    values = {path: find_values(Path(path)) for path in models}
    fed = {}
    with output.progress() as progress:

        def tell(what: str, done: int, total: int) -> None:
            output.check_interrupt()
            progress(what, done, total)

        if phone is None:
            # In a process of its own first: what makes the runtime abort must not end this one.
            held = {
                path: {item.name: np.full(item.shape, item.low, np.int32) for item in found}
                for path, found in values.items()
                if found
            }
            measure(models, runs=1, rounds=1, inputs=held)
            fed = {path: find_feed(Path(path)) for path in dict.fromkeys(models)}
            for path, feed in fed.items():
                output.print(f"{path}: timed on {feed.words}")
            given = {path: found.inputs for path, found in fed.items() if found.inputs is not None}
            if board is None:
                results = measure(
                    models,
                    threads=threads,
                    runs=runs,
                    rounds=rounds,
                    inputs=given,
                    progress=tell,
                )
            else:
                results = measure_on_board(
                    models,
                    board=board,
                    threads=threads,
                    runs=runs,
                    rounds=rounds,
                    program=program,
                    inputs=given,
                    values=values,
                    progress=tell,
                    tell=output.print,
                )
        else:
            output.print(f"on {phone.model}")
            results = measure_on_phone(
                models,
                phone=phone,
                threads=threads,
                runs=runs,
                rounds=rounds,
                program=program,
                values=values,
                progress=tell,
                tell=output.print,
                accelerator=accelerator,
            )
    _tell_delegated(output, results, accelerator)
    output.emit(
        {
            "device": device if phone is None else phone.model,
            "inputs": {path: found.words for path, found in fed.items()},
            "models": [item.to_dict() for item in results],
        }
    )
    output.show_table(
        ("MODEL", "MB", "LOAD MS", "MEDIAN MS", "P95 MS", "PEAK MB"),
        [
            (
                item.path,
                f"{item.bytes / 1e6:.2f}",
                f"{item.load_ms:.1f}",
                f"{item.median_ms:.2f}",
                "" if math.isnan(item.p95_ms) else f"{item.p95_ms:.2f}",
                "" if item.peak_memory_bytes is None else f"{item.peak_memory_bytes / 1e6:.0f}",
            )
            for item in results
        ],
    )


def _tell_delegated(output: Output, results: Sequence[Latency], accelerator: str) -> None:
    """Says what of each file the accelerator took: what it left, the CPU was timed on."""
    for item in results:
        if item.delegated == "none":
            output.warn(f"{item.path}: {accelerator} took nothing of it: this is the CPU's time")
        elif item.delegated is not None:
            output.print(f"{item.path}: {accelerator} took {item.delegated} of it")
