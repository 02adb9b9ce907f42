"""Keeps C++ libraries from writing to a person's terminal."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["quiet_native"]


@contextlib.contextmanager
def quiet_native() -> Iterator[None]:
    """Drops what C++ code writes to file descriptors 1 and 2, and absl's warnings.

    TensorFlow registers its plugins, the converter its subgraphs and XNNPACK its delegate this way,
    past every Python logger. What Python itself prints still arrives, what it raises still rises,
    and where the process dies of a signal, its Python traceback is on the true stderr.
    """
    absl = logging.getLogger("absl")
    with contextlib.ExitStack() as undo:
        sink = undo.enter_context(tempfile.TemporaryFile())
        undo.callback(absl.setLevel, absl.level)
        absl.setLevel(logging.ERROR)
        copies = {}
        for descriptor in (1, 2):
            copy = copies[descriptor] = os.dup(descriptor)
            undo.callback(os.close, copy)
            undo.enter_context(_follow(descriptor, copy))
            undo.callback(os.dup2, copy, descriptor)
            os.dup2(sink.fileno(), descriptor)
        if not faulthandler.is_enabled():
            faulthandler.enable(copies[2])
            undo.callback(faulthandler.disable)
        yield


@contextlib.contextmanager
def _follow(descriptor: int, copy: int) -> Iterator[None]:
    """Lets what Python prints go to a copy of a descriptor, as long as the block runs."""
    name = {1: "stdout", 2: "stderr"}[descriptor]
    stream = getattr(sys, name)
    try:
        is_ours = stream.fileno() == descriptor
    except (AttributeError, OSError, ValueError):  # none at all, or no file
        is_ours = False
    if not is_ours:
        yield
        return
    stream.flush()  # in the order in which it was printed
    options = {"encoding": stream.encoding, "errors": stream.errors, "closefd": False}
    with os.fdopen(copy, "w", buffering=1, **options) as followed:
        setattr(sys, name, followed)
        try:
            yield
        finally:
            # What somebody has put there meanwhile is not ours to take away.
            if getattr(sys, name) is followed:
                setattr(sys, name, stream)
