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
    level = absl.level
    absl.setLevel(logging.ERROR)
    with tempfile.TemporaryFile() as sink:
        saved = [os.dup(1), os.dup(2)]
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            for descriptor, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
            absl.setLevel(level)
