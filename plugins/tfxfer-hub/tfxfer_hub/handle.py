"""What users type after `hub:`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tfxfer.errors import UsageError
from tfxfer.system.spelling import did_you_mean

__all__ = ["Handle", "parse_handle"]

_NUMBER = r"-?\d+(?:\.\d+)?"
_OPTIONS = "pixels=LOW..HIGH, size=PX, signature=NAME, output=NAME, frozen"


@dataclass(frozen=True)
class Handle:
    """Where a module is, and what it does not say of itself.

    Args:
        location: URL, or path of a SavedModel folder.
        pixels: (low, high) of what it was trained on; None is TensorFlow Hub's 0..1.
        size: side of the square image, in pixels; None is the module's own, or 224.
        signature: which of its functions to call; None is `__call__`, then `serving_default`.
        output: which of several outputs; None is `default`, or the only one.
        frozen: never train it: all that a module in TF1 format allows.
    """

    location: str
    pixels: tuple[float, float] | None = None
    size: int | None = None
    signature: str | None = None
    output: str | None = None
    frozen: bool = False

    @property
    def is_url(self) -> bool:
        """Whether the module must be fetched before it can be opened."""
        return "://" in self.location

    @property
    def folder(self) -> Path:
        """Where a module that is no URL lies, whatever the working directory becomes."""
        return Path(self.location).expanduser().absolute()


def parse_handle(text: str) -> Handle:
    """Returns what a handle says: a location and, after `#`, options with commas between them.

    Nothing is looked up but whether the whole text is a folder: a path may have a `#` of its own.

    Raises:
        UsageError: an unknown option, or a value that cannot be meant.

    Example:
        >>> parse_handle("mobilenet#pixels=-1..1,size=96")
        Handle(location='mobilenet', pixels=(-1.0, 1.0), size=96, signature=None, output=None, \
frozen=False)
    """
    location, mark, rest = text.rpartition("#")
    if not mark or Path(text).expanduser().is_dir():
        return Handle(text)
    handle = Handle(location)
    for option in filter(None, rest.split(",")):
        key, _, value = option.partition("=")
        handle = replace(handle, **_read_option(text, key, value))
    return handle


def _read_option(text: str, key: str, value: str) -> dict[str, Any]:
    if key == "pixels":
        match = re.fullmatch(rf"({_NUMBER})\.\.({_NUMBER})", value)
        if match and float(match[1]) < float(match[2]):
            return {key: (float(match[1]), float(match[2]))}
    elif key == "size":
        if value.isascii() and value.isdigit() and int(value) > 0:
            return {key: int(value)}
    elif key == "frozen":
        if not value:
            return {key: True}
    elif key in {item.name for item in fields(Handle)} - {"location"} and value:
        return {key: value}
    known = {item.name for item in fields(Handle)} - {"location", key}
    raise UsageError(
        f"backbone 'hub:{text}': expected options among: {_OPTIONS}. "
        f"Received: {key}={value!r}.{did_you_mean(key, known)} Write them after '#', with commas "
        "between them: hub:HANDLE#pixels=-1..1,size=160"
    )
