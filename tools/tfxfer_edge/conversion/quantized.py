"""What an engine hands back, and how it says that it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from tfxfer.errors import ModelError

__all__ = ["ConversionError", "Quantized"]


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
