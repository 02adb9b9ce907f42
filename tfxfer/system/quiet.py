"""Keeps C++ libraries from writing to a person's terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator

__all__ = ["quiet_native"]


@contextlib.contextmanager
def quiet_native() -> Iterator[None]:
    """Drops what C++ code writes to file descriptors 1 and 2, and absl's warnings.

    TensorFlow registers its plugins, the converter its subgraphs and XNNPACK its delegate this way,
    past every Python logger. What Python raises still rises.
    """
    absl = logging.getLogger("absl")
    with contextlib.ExitStack() as undo:
        sink = undo.enter_context(tempfile.TemporaryFile())
        undo.callback(absl.setLevel, absl.level)
        absl.setLevel(logging.ERROR)
        for descriptor in (1, 2):
            copy = os.dup(descriptor)
            undo.callback(os.close, copy)
            undo.callback(os.dup2, copy, descriptor)
            os.dup2(sink.fileno(), descriptor)
        yield
