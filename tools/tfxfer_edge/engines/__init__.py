"""The two programs that quantize: LiteRT Quantizer first, the TFLite converter second."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native

__all__ = ["ConversionError", "Quantized", "quiet"]


class ConversionError(ModelError):
    """One engine cannot do one recipe for one model; the next may."""


@dataclass(frozen=True)
class Quantized:
    """What an engine hands back.

    Args:
        content: the file, weights inside.
        kept_float: layers that stay float, for a selective recipe.
        notes: what a person should know, one line each.
    """

    content: bytes
    kept_float: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
