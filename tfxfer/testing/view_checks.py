"""The views of a modality: the plain one, and that the others follow from their numbers alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tfxfer.sample import Sample
from tfxfer.testing.check import check, fail, not_applicable
from tfxfer.testing.modality_subject import ModalitySubject

__all__ = ["plain_view", "variety", "views"]

_VIEWS = (0, 1, 2, 3, 5, 8)
_SEED, _INDEX = 7, 3
_THREADS = 4


@check(
    "view 0 is the plain sample at every level, wherever it stands",
    requires=("reads",),
)
def plain_view(subject: ModalitySubject) -> None:
    """Compares view 0 of every level, wherever it stands, with the plain read."""
    for sample in subject.samples:
        plain = subject.read(sample)
        for level in subject.plugin.levels:
            read = _read_views(subject, sample, (2, 0, 1), level=level)
            distance = _distance(_take(read, 1), _take(plain, 0))
            if distance:
                fail(
                    f"view 0 of {sample.name!r} at level {level!r}",
                    expected="the plain sample",
                    received=f"one that differs by {distance:.3g}",
                    fix="Validation and the phone see view 0: augment the others only.",
                )


@check(
    "a view follows from seed, index and number alone, whichever thread makes it",
    requires=("reads",),
)
def views(subject: ModalitySubject) -> None:
    """Makes views one by one, all at once, and in threads in another order."""
    level = subject.plugin.levels[-1]
    jobs = [(sample, view) for sample in subject.samples for view in _VIEWS]

    def make(job: tuple[Sample, int]) -> dict[str, Any]:
        return _take(_read_views(subject, job[0], (job[1],), level=level), 0)

    with subject.plugin.reading():
        alone = [make(job) for job in jobs]
        together = [
            _take(read, place)
            for sample in subject.samples
            for read in [_read_views(subject, sample, _VIEWS, level=level)]
            for place in range(len(_VIEWS))
        ]
        order = random.Random(0).sample(range(len(jobs)), len(jobs))  # noqa: S311 - an order
        with ThreadPoolExecutor(_THREADS) as pool:
            threaded = dict(zip(order, pool.map(make, [jobs[i] for i in order]), strict=True))
    for number, (sample, view) in enumerate(jobs):
        for words, other in (
            ("beside others", together[number]),
            ("in a thread", threaded[number]),
        ):
            if not _are_equal(alone[number], other):
                fail(
                    f"view {view} of {sample.name!r} at level {level!r}",
                    expected="the same however it is made",
                    received=f"another one {words}, by {_distance(alone[number], other):.3g}",
                    fix="Draw from numpy.random.default_rng((seed, index, view)), made in read.",
                )


@check("views differ by number, seed and index at the highest level", requires=("views",))
def variety(subject: ModalitySubject) -> None:
    """Looks for views that are no two alike."""
    level = subject.plugin.levels[-1]
    if level == "none":
        not_applicable("the modality has no augmentation")
    for words, first, second in (
        ("view", {"view": 1}, {"view": 2}),
        ("view", {"view": 0}, {"view": 1}),
        ("seed", {"seed": _SEED}, {"seed": _SEED + 1}),
        ("index", {"index": _INDEX}, {"index": _INDEX + 1}),
    ):
        # By chance two may be alike: one that differs is enough.
        if not any(
            not _are_equal(
                _make(subject, sample, level, first), _make(subject, sample, level, second)
            )
            for sample in subject.samples
        ):
            fail(
                f"views of modality {subject.name!r} at level {level!r}",
                expected=f"others with another {words}",
                received=f"equal ones for {first} and {second}",
                fix="Draw from numpy.random.default_rng((seed, index, view)).",
            )


def _read_views(
    subject: ModalitySubject, sample: Sample, numbers: Sequence[int], **options: Any
) -> dict[str, Any]:
    complete = subject.plugin.complete_options(options["level"], {})
    given = {"seed": _SEED, "index": _INDEX, "options": complete, **options}
    return subject.read(sample, views=numbers, **given)


def _make(
    subject: ModalitySubject, sample: Sample, level: str, changed: dict[str, int]
) -> dict[str, Any]:
    options = {"seed": _SEED, "index": _INDEX, "view": 1, **changed}
    view = options.pop("view")
    return _take(_read_views(subject, sample, (view,), level=level, **options), 0)


def _take(read: dict[str, Any], place: int) -> dict[str, Any]:
    return {name: np.asarray(values)[place] for name, values in read.items()}


def _are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def _distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(
        float(np.abs(one[name].astype(np.float64) - other[name].astype(np.float64)).max())
        for name in one
    )
