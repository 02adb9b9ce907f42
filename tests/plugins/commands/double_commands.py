"""Commands of somebody else: one that greets, one that fails in every way there is."""

from __future__ import annotations

import errno
import os
import sys
import time

import click

import tfxfer
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.system.files import atomic_write


@tfxfer_command("double-hello")
@click.argument("name", default="world")
def hello(output: Output, *, name: str) -> None:
    """Greets."""
    print("a stray print")
    os.write(1, b"a stray write of a C library\n")
    output.show(f"hello {name}")
    output.detail("with details")
    output.emit({"hello": name})


@tfxfer_command("double-fail")
@click.argument("how")
@click.argument("path", required=False)
def fail(output: Output, *, how: str, path: str | None) -> None:
    """Fails."""
    errors = {
        "data": tfxfer.DataError("photos/: expected images. Received: none."),
        "usage": tfxfer.UsageError("--size: expected a number."),
        "gate": tfxfer.GateError("the drop is 9 points."),
        "device": tfxfer.DeviceError("no GPU."),
        "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cache.bin"),
        "fault": KeyError("a fault of ours"),
        "interrupt": KeyboardInterrupt(),
    }
    if how == "gate":
        output.emit({"chosen": None})
    if how == "exit":
        sys.exit(5)
    if how == "pipe":
        for _ in range(100_000):
            output.show("a line that nobody reads")
    if how == "hang" and path is not None:
        with atomic_write(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            output.print("writing")
            time.sleep(60)
    raise errors[how]
