"""Small tasks out of a large labelled set: some of its classes, a few samples of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from tfxfer.errors import DataError, UsageError

__all__ = ["TaskSize", "check_classes", "draw_task"]

_FEWEST_WAYS = 2


@dataclass(frozen=True)
class TaskSize:
    """How large a task is.

    Args:
        ways: classes.
        shots: samples of each.
    """

    ways: int
    shots: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `5x3`: five classes, three samples of each.

        Raises:
            UsageError: it is something else.

        Example:
            >>> TaskSize.parse("5x3")
            TaskSize(ways=5, shots=3)
        """
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text.strip(), re.ASCII)
        if found is None or int(found[1]) < _FEWEST_WAYS:
            raise UsageError(
                "tasks: expected WAYSxSHOTS with two ways or more, such as 5x5. "
                f"Received: {text[:40]!r}."
            )
        return cls(int(found[1]), int(found[2]))


def check_classes(classes: np.ndarray, size: TaskSize, *, plural: str) -> None:
    """Refuses samples out of which no such task can be drawn.

    Args:
        classes: number of each sample's class.
        size: of a task.
        plural: what samples are called.

    Shapes: (samples,).

    Raises:
        DataError: fewer classes than ways have as many samples as there are shots.
    """
    enough = int((np.bincount(classes) >= size.shots).sum())
    if enough < size.ways:
        raise DataError(
            f"tasks {size.ways}x{size.shots}: expected {size.ways} labels or more with "
            f"{size.shots} {plural} each to learn from. Received: {enough}. Ask for smaller tasks: "
            "--tasks WAYSxSHOTS"
        )


def draw_task(
    classes: np.ndarray, size: TaskSize, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which samples a task has, and the number of each one's class within it.

    Args:
        classes: number of each sample's class, see `check_classes`.
        size: of the task.
        rng: what it is drawn with.

    Shapes: (samples,); returns int64 (ways * shots,) twice, class by class.
    """
    places = np.flatnonzero(np.bincount(classes) >= size.shots)
    drawn = rng.choice(places, size.ways, replace=False)
    rows = [
        rng.choice(np.flatnonzero(classes == place), size.shots, replace=False) for place in drawn
    ]
    return np.concatenate(rows), np.repeat(np.arange(size.ways), size.shots)
