"""Silence around programs that print."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

from tfxfer.system.quiet import quiet_native

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what engines print, their progress bars, and warnings about their own code."""
    with (
        quiet_native(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
