"""LiteRT's own program that measures a file, wherever it runs."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import DeviceError

__all__ = ["BENCHMARK_MODEL", "TOOL_WORDS", "check_program", "write_call"]

BENCHMARK_MODEL = "/data/local/tmp/benchmark_model"
"""Where a phone has it."""
_WARMUPS = 5
TOOL_WORDS = (
    "Get the program for your phone's processor from LiteRT's downloads and name it with "
    f"--benchmark-model FILE, or put it there: adb push benchmark_model {BENCHMARK_MODEL}"
)
"""How to come by it, for messages."""


def check_program(program: str | Path) -> None:
    """Refuses a `benchmark_model` that is no file here.

    Raises:
        DeviceError: says where one is to be had.
    """
    if not Path(program).is_file():
        raise DeviceError(
            f"benchmark_model {str(program)!r}: expected a file. Received: none. {TOOL_WORDS}"
        )


def write_call(tool: str, place: str, *, threads: int, runs: int) -> str:
    """Returns the call of a `benchmark_model` that measures a file, both where they lie there."""
    return (
        f"{tool} --graph={place} --num_threads={threads} --num_runs={runs} "
        f"--warmup_runs={_WARMUPS} --min_secs=0 --report_peak_memory_footprint=true"
    )
