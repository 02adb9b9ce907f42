"""Where a backbone's known world ends: its distance from some samples, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.intervals import resample
from tfxfer.trust.distances import channel_distance
from tfxfer.trust.moments import LayerMoments, Moments
from tfxfer.trust.stored import StoredRecord

__all__ = [
    "BEYOND",
    "FAR",
    "NEAR",
    "GapProfile",
    "StageGap",
    "describe_profile",
    "make_profile",
    "name_distance",
]

# Between what was measured with EfficientNet-Lite0, MobileNetV2 and ResNet50 at 224 px, halfway in
# logarithms; docs/domain_gap.md has the figures.
NEAR = 0.12
"""Up to this, samples look like natural photos: those measured .02 to .08, cartoons from .16 on."""

FAR = 0.28
"""From this on they look like nothing in it: cartoons measured to .27, steel defects from .29."""

BEYOND = 0.55
"""From this on nothing is left that is known: smooth random textures .41, noise from .66 on."""

RESAMPLES = 400
"""Of the bootstrap; an end of the mean's interval moves by less than .002 from seed to seed
(flowers5, 128 images) (m). Source: Efron and Tibshirani 1993, section 13.3, take 1,000."""


@dataclass(frozen=True)
class StageGap:
    """How far samples are from the training data at one stage of a backbone.

    Args:
        name: of the stage.
        depth: its end, 0 at the input and 1 at the end of the backbone: the share of the stages.
        distance: mean over the layers of the stage; see `channel_distance`.
        low: of its 95 % interval.
        high: of the same.
    """

    name: str
    depth: float
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class GapProfile(StoredRecord):
    """How far samples are from what a backbone was trained on.

    Args:
        backbone: its name.
        images: how many samples were measured, of whatever modality.
        stages: those that have a BatchNormalization, from the input on.
        mean: of the distance over all layers; None where it cannot be had.
        reason: why it cannot; empty where it can.
        low: of the mean's 95 % interval.
        high: of the same.
        weights: what the backbone started from, such as `imagenet`.
        size: of the input, in the modality's unit.
        seed: of the draw of the samples and of the intervals.
    """

    title: ClassVar[str] = "gap record"
    file_name: ClassVar[str] = "gap.json"

    backbone: str
    images: int
    stages: tuple[StageGap, ...] = ()
    mean: float | None = None
    reason: str = ""
    low: float | None = None
    high: float | None = None
    weights: str = ""
    size: int | None = None
    seed: int = 0


def make_profile(
    moments: Moments, *, backbone: str, stages: Sequence[str], seed: int = 0, **facts: Any
) -> GapProfile:
    """Returns the profile of what one pass over some samples has left.

    A few samples have other moments than all of their kind, and that can only add to a distance:
    16 photos of flowers come to .103 where 128 come to .085, both .080 to .090 once it is taken
    off (m). The bootstrap shows how much it is.

    Args:
        moments: from `collect_moments`.
        backbone: its name.
        stages: names of all its stages, from the input on.
        seed: of the resamples.
        facts: other fields of the profile.

    Raises:
        DataError: fewer than two samples, of which nobody can tell how they vary.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 10.3, for the bias;
        Davison and Hinkley 1997, Bootstrap Methods and their Application, eq. 5.6, for the
        interval.
    """
    count = len(moments)
    if count < 2:
        raise DataError(
            f"domain gap: expected at least two samples, better 100. Received: {count}. Add some."
        )
    draws = np.concatenate(list(resample(np.zeros(count), seed=seed, resamples=RESAMPLES)))
    rows: dict[str, list[np.ndarray]] = {}
    for layer in moments.layers:
        values = [_measure(layer, None), _measure(layer, draws)]
        rows.setdefault(layer.stage, []).append(np.concatenate(values))
    found = [
        StageGap(name, (number + 1) / len(stages), *_correct(np.mean(rows[name], axis=0)))
        for number, name in enumerate(stages)
        if name in rows
    ]
    mean, low, high = _correct(np.mean([row for part in rows.values() for row in part], axis=0))
    return GapProfile(
        backbone=backbone,
        images=count,
        stages=tuple(found),
        mean=mean,
        low=low,
        high=high,
        seed=seed,
        **facts,
    )


def _measure(layer: LayerMoments, draws: np.ndarray | None) -> np.ndarray:
    mean, variance = layer.pool(draws)
    return channel_distance(
        mean,
        variance,
        source_mean=layer.moving_mean,
        source_variance=layer.moving_variance,
        epsilon=layer.epsilon,
    )


def _correct(values: np.ndarray) -> tuple[float, float, float]:
    """Returns a distance without its bias, and its interval.

    Args:
        values: of the samples themselves, and of each resample.
    """
    plain, drawn = float(values[0]), values[1:]
    low, high = map(float, np.quantile(drawn, (0.025, 0.975)))
    value = max(0.0, 2 * plain - float(drawn.mean()))
    return value, max(0.0, min(2 * plain - high, value)), max(2 * plain - low, value)


def name_distance(distance: float) -> str:
    """Returns what a distance means, in a word or a few.

    Example:
        >>> name_distance(0.06), name_distance(0.2), name_distance(0.4), name_distance(0.8)
        ('near', 'some way off', 'far', 'as far as noise')
    """
    if distance <= NEAR:
        return "near"
    if distance <= FAR:
        return "some way off"
    return "far" if distance <= BEYOND else "as far as noise"


def describe_profile(
    profile: GapProfile, landmarks: Sequence[tuple[str, float, float]] = ()
) -> tuple[str, ...]:
    """Returns a profile in words, a line each, the verdict first.

    Args:
        profile: of some samples.
        landmarks: what to compare with, of the modality, the nearest first.

    Example:
        >>> stages = (StageGap("stem", 0.3, 0.05, 0.04, 0.06), StageGap("top", 1.0, 0.3, 0.2, 0.4))
        >>> profile = GapProfile("net", 96, stages, 0.174, low=0.12, high=0.23)
        >>> marks = [("photos", 0.04, 0.09), ("noise", 0.7, 0.9)]
        >>> print(*describe_profile(profile, marks), sep="; ")
        some way off: 0.17 [0.12, 0.23], between photos (to 0.09) and noise (from 0.70); farthest \
at stage top, depth 1.00: 0.30; only the last layers find them strange: what they show is unusual
    """
    if profile.mean is None or profile.low is None or profile.high is None:
        return (f"the domain gap cannot be had: {profile.reason}",)
    verdict = (
        f"{name_distance(profile.mean)}: {profile.mean:.2f} "
        f"[{profile.low:.2f}, {profile.high:.2f}]{_place(profile.mean, landmarks)}"
    )
    top = max(profile.stages, key=lambda stage: stage.distance)
    if top.distance <= NEAR or len(profile.stages) < 2:
        return (verdict,)
    lines = [verdict, f"farthest at stage {top.name}, depth {top.depth:.2f}: {top.distance:.2f}"]
    return (*lines, *filter(None, [_find_lean(profile.stages)]))


def _place(distance: float, landmarks: Sequence[tuple[str, float, float]]) -> str:
    for name, low, high in landmarks:
        if low <= distance <= high:
            return f", like {name} ({low:.2f} to {high:.2f})"
    nearer = [f"{name} (to {high:.2f})" for name, _, high in landmarks if high < distance]
    farther = [f"{name} (from {low:.2f})" for name, low, _ in landmarks if low > distance]
    if nearer and farther:
        return f", between {nearer[-1]} and {farther[0]}"
    if nearer:
        return f", farther than {nearer[-1]}"
    return f", nearer than {farther[0]}" if farther else ""


def _find_lean(stages: Sequence[StageGap]) -> str:
    """Returns which end of a network alone finds samples strange; empty where both do."""
    ends = (
        [stage.distance for stage in stages if stage.depth <= 1 / 3],
        [stage.distance for stage in stages if stage.depth > 2 / 3],
    )
    if not all(ends):
        return ""
    first, last = (float(np.mean(end)) > NEAR for end in ends)
    if first and not last:
        return "only the first layers find them strange: they look unusual"
    return (
        "only the last layers find them strange: what they show is unusual" if last > first else ""
    )
