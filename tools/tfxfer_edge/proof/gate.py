"""Which quantized file is good enough, decided on the task's own metric."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tfxfer.errors import UsageError
from tfxfer.evaluation.intervals import Z
from tfxfer_edge.conversion.recipes import get_recipe

__all__ = [
    "Candidate",
    "count_views",
    "judge",
    "ladder",
    "relative_drop",
]


_MAX_VIEWS = 4
_TARGET_ANSWERS = 1500


@dataclass(frozen=True)
class Candidate:
    """One recipe's file, or why there is none.

    Args:
        recipe: name.
        path: the file; None where the recipe failed.
        bytes: its size, metadata included.
        engine: what quantized it.
        metrics: `val` and `test`, as `score_predictions` returns them.
        drop_points: the task's metric of the float model minus that of the file, on the
            validation split; above 0 the file is worse. Of numbers, percent of the float
            model's error.
        val_drop_points: the same with its 95 % interval, paired by image.
        val_views: where that is just above the limit, the drop on views of the validation images,
            which decides then: `views` of each, the `metric` of the `float` model and of the
            `file`, and `drop_points`.
        test_drop_points: the same on the test split.
        latency_ms: median of one image on one thread of this machine.
        laps_ms: the times that it is the median of; lap k of all files was taken side by side.
        agreement: share of test images with the float model's answer; None for numbers.
        gate: what became of the rules of a user's gate on the test split; None where there is none.
        passed: whether the drop is small enough, and every rule holds.
        reason: why it did not pass, or what was noted.
    """

    recipe: str
    path: str | None = None
    bytes: int | None = None
    engine: str | None = None
    metrics: dict[str, Any] | None = None
    drop_points: float | None = None
    val_drop_points: dict[str, float] | None = None
    val_views: dict[str, Any] | None = None
    test_drop_points: dict[str, float] | None = None
    latency_ms: float | None = None
    laps_ms: tuple[float, ...] = ()
    agreement: float | None = None
    gate: dict[str, Any] | None = None
    passed: bool = False
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data, without the laps."""
        document = asdict(self)
        del document["laps_ms"]
        return document


def ladder(
    recipes: Sequence[str],
    *,
    automatic: Sequence[str],
    allow_float: bool = False,
    own: Container[str] = (),
) -> tuple[str, ...]:
    """Returns the recipes to try, in order.

    Args:
        recipes: names, or `auto` for the ladder.
        automatic: the ladder of the modality.
        allow_float: lets `auto` end with float16, which nearly always passes and gains little.
        own: names of recipes that are not built in.

    Raises:
        UsageError: `auto` beside another name, no name, or an unknown one.

    Example:
        >>> ladder(["auto"], automatic=("int8",), allow_float=True)
        ('int8', 'float16')
    """
    names = tuple(dict.fromkeys(recipes))
    if not names or ("auto" in names and len(names) > 1):
        raise UsageError(
            f"recipes: expected 'auto' alone, or names of recipes. Received: {list(recipes)}."
        )
    if names == ("auto",):
        return tuple(dict.fromkeys((*automatic, *(["float16"] if allow_float else []))))
    for name in names:
        if name not in own:
            get_recipe(name)
    return names


def relative_drop(drop: dict[str, float], *, reference: float) -> dict[str, float]:
    """Returns a drop of a metric in the labels' own unit as percent of the float model's value.

    A label's unit says nothing of how much may be lost: 1 is much of 0..1 and nothing of thousands.

    Args:
        drop: value, low and high, from `paired_difference`.
        reference: the float model's value of that metric.

    Example:
        >>> relative_drop({"value": 0.5, "low": 0.0, "high": 1.0}, reference=10.0)
        {'value': 5.0, 'low': 0.0, 'high': 10.0}
    """
    if reference == 0:
        return drop
    return {key: 100 * value / reference for key, value in drop.items()}


def judge(drop: dict[str, float], max_drop: float | None) -> tuple[bool, str]:
    """Returns whether a drop passes, and why not.

    Args:
        drop: value, low and high, in points, from `paired_difference`.
        max_drop: points that may be lost; None accepts everything.

    Example:
        >>> judge({"value": 1.5, "low": -0.5, "high": 3.5}, 1.0)
        (False, 'loses 1.50 points [-0.50, 3.50], more than 1')
    """
    value = drop["value"]
    if max_drop is None or value <= max_drop:
        return True, ""
    return False, (
        f"loses {value:.2f} points [{drop['low']:.2f}, {drop['high']:.2f}], more than "
        f"{max_drop:.3g}"
    )


def count_views(drop: dict[str, float], max_drop: float | None, *, images: int) -> int:
    """Returns in how many views of each image a drop must be measured to be told from the limit.

    A few hundred images cannot tell one point from none. Where the drop is above the limit by less
    than its standard error, views of the same images bring the answers to about 1,500. A drop
    below the limit is left alone: it passes on the plain images, and views take time.

    Args:
        drop: on the plain images: value, low and high of a 95 % interval.
        max_drop: points that may be lost, or None.
        images: how many gave the drop.

    Returns:
        1 where the plain images decide, else 2 to 4: views of one image are alike, so more of
        them tell less and less.

    Example:
        >>> count_views({"value": 1.02, "low": -0.2, "high": 2.2}, 1.0, images=393)
        4
        >>> count_views({"value": 4.0, "low": 2.0, "high": 6.0}, 1.0, images=393)
        1
    """
    error = (drop["high"] - drop["low"]) / (2 * Z)
    if max_drop is None or not 0 < drop["value"] - max_drop < error:
        return 1
    return min(_MAX_VIEWS, math.ceil(_TARGET_ANSWERS / images))
