"""Occlusion: how far a score drops when a grey patch covers a place. It needs scores alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import UsageError
from tfxfer.inference.predictor import BATCH_SAMPLES
from tfxfer.progress import Progress

__all__ = ["Patches", "compute_occlusion", "place_patches"]


@dataclass(frozen=True)
class Patches:
    """What covers the picture, one place after the other.

    Args:
        side: of the square patch, as a fraction of the picture's.
        steps: places per side of a patch: with 2 every patch overlaps the next by half.

    Raises:
        UsageError: a side outside 0..1, or no step.
    """

    side: float = 0.2
    steps: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.side <= 1 or self.steps < 1:
            raise UsageError(
                "occlusion: expected a side above 0 and up to 1, and at least 1 step. "
                f"Received: side={self.side:g}, steps={self.steps}."
            )


def place_patches(length: int, patches: Patches) -> tuple[int, list[int]]:
    """Returns the side of a patch and where it starts along a side of the picture.

    Places are as even as whole pixels allow, and the first and the last touch the edges.

    Units: pixels of the network's input.

    Example:
        >>> place_patches(8, Patches(side=0.5, steps=2))
        (4, [0, 2, 4])
    """
    side = max(1, round(length * patches.side))
    stride = max(1, side // patches.steps)
    count = 1 + -(-(length - side) // stride)
    return side, [round(place) for place in np.linspace(0, length - side, count)]


def compute_occlusion(
    score: Callable[[Arrays], np.ndarray],
    inputs: Arrays,
    outputs: np.ndarray,
    *,
    picture_input: str,
    patches: Patches | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Returns how far an output drops when a place is covered, with its sign.

    A patch is filled with the mean colour of the picture that it covers. Of a pixel the result is
    the mean drop over all patches that cover it.

    Args:
        score: maps inputs to scores, as `Predictor.score` does.
        inputs: of the model.
        outputs: the output that is explained, of each sample, by position.
        picture_input: name of the input that is covered, where there are several.
        patches: their size and places.
        progress: told of samples done.

    Shapes: the picture (samples, height, width, channels); outputs (samples,); returns float32
        (samples, height, width).

    Units: of the scores.

    Source:
        Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, section 4.2, with a patch of the
        picture's mean colour in place of grey, and overlapping patches averaged.
    """
    pictures = inputs[picture_input] if isinstance(inputs, dict) else inputs
    height, width = pictures.shape[1:3]
    chosen = patches or Patches()
    (down, rows), (across, columns) = (place_patches(x, chosen) for x in (height, width))
    places = [
        (slice(top, top + down), slice(left, left + across)) for top in rows for left in columns
    ]
    covered = np.zeros((height, width), np.float32)
    for place in places:
        covered[place] += 1
    found = np.zeros((len(pictures), height, width), np.float32)
    for number, output in enumerate(outputs):
        own = map_arrays(lambda x: x[number : number + 1], inputs)  # noqa: B023  called at once
        plain = float(score(own)[0, output])
        colour = pictures[number].mean(axis=(0, 1))
        if pictures.dtype.kind in "ui":
            colour = np.rint(colour)
        for start in range(0, len(places), BATCH_SAMPLES):
            some = places[start : start + BATCH_SAMPLES]
            copies = map_arrays(lambda x: np.repeat(x, len(some), axis=0), own)  # noqa: B023
            canvas = copies[picture_input] if isinstance(copies, dict) else copies
            for row, place in enumerate(some):
                canvas[row][place] = colour
            for place, value in zip(some, score(copies)[:, output], strict=True):
                found[number][place] += plain - float(value)
            if progress is not None:
                done = number * len(places) + start + len(some)
                progress("covering places", done, len(outputs) * len(places))
    covered_mean: np.ndarray = found / covered
    return covered_mean
