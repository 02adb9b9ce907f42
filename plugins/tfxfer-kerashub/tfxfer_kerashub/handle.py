"""What users type after `kerashub:`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tfxfer.errors import UsageError

__all__ = ["Handle", "parse_handle"]

_RANGE = re.compile(r"(?P<low>-?\d+(\.\d+)?)\.\.(?P<high>-?\d+(\.\d+)?)")
_SIZE = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Handle:
    """Which preset, and what it does not say of itself.

    Args:
        preset: a name of KerasHub's, `kaggle://…`, `hf://…`, or the path of a preset folder.
        pixels: (low, high) of what it was trained on; None is what its image converter makes.
        size: side of the square image, in pixels; None is its image converter's.
    """

    preset: str
    pixels: tuple[float, float] | None = None
    size: int | None = None


def parse_handle(text: str) -> Handle:
    """Returns the preset that a handle names, and its options: `PRESET#pixels=0..1,size=96`.

    A path may have a `#` of its own: what is a folder as a whole has no options.

    Raises:
        UsageError: an unknown option, or a value that cannot be meant.

    Example:
        >>> parse_handle("resnet_50_imagenet#size=160")
        Handle(preset='resnet_50_imagenet', pixels=None, size=160)
    """
    preset, mark, options = text.rpartition("#")
    if not mark or Path(text).expanduser().is_dir():
        return Handle(text)
    pixels, size = None, None
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        span = _RANGE.fullmatch(value)
        if key == "pixels" and span and float(span["low"]) < float(span["high"]):
            pixels = (float(span["low"]), float(span["high"]))
        elif key == "size" and _SIZE.fullmatch(value):
            size = int(value)
        else:
            raise UsageError(
                f"backbone 'kerashub:{text}': expected options among: pixels=LOW..HIGH, size=PX. "
                f"Received: {key}={value!r}. Write them after '#', with commas between them: "
                "kerashub:PRESET#pixels=-1..1,size=160"
            )
    return Handle(preset, pixels=pixels, size=size)
