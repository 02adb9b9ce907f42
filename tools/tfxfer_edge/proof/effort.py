"""How long scoring a file may take, decided before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MOST_SECONDS", "Effort", "plan_effort"]

MOST_SECONDS = 30.0
"""What scoring one file may take: a desktop runs some recipes 30 times slower than a phone does."""

_LEAST_IMAGES = 100  # of both splits together: fewer judge nothing


@dataclass(frozen=True)
class Effort:
    """How much of the images a file is scored on.

    Args:
        step: from one image to the next that is scored; 1 scores all.
        views: of each validation image at most, should plain ones not decide.
        note: what was cut, in words; empty where nothing was.
    """

    step: int
    views: int
    note: str = ""


def plan_effort(
    latency_ms: float,
    *,
    images: int,
    val_images: int,
    workers: int,
    is_named: bool,
    noun: str = "image",
) -> Effort:
    """Returns on how many samples a file is scored.

    Args:
        latency_ms: of one image on one thread.
        images: of both splits together.
        val_images: of the validation split, which views are made of.
        workers: how many images are scored at once.
        is_named: whether the recipe was asked for by name: then all plain images are scored,
            however long that takes, and only views are cut.
        noun: what a sample is called.

    Example:
        >>> plan_effort(10.0, images=788, val_images=394, workers=2, is_named=False)
        Effort(step=1, views=15, note='')
        >>> plan_effort(280.0, images=788, val_images=394, workers=2, is_named=False)
        Effort(step=4, views=1, note='scored on every 4th image, for one takes 280 ms')
        >>> plan_effort(280.0, images=788, val_images=394, workers=2, is_named=True)
        Effort(step=1, views=1, note='')
    """
    at_once = MOST_SECONDS * 1e3 * workers / latency_ms
    views = max(1, int(at_once // max(1, val_images)))
    if is_named or at_once >= images:
        return Effort(1, views)
    step = math.ceil(images / max(at_once, _LEAST_IMAGES))
    if step == 1:
        return Effort(1, 1)
    ordinal = {2: "2nd", 3: "3rd"}.get(step, f"{step}th")
    return Effort(step, 1, f"scored on every {ordinal} {noun}, for one takes {latency_ms:.0f} ms")
