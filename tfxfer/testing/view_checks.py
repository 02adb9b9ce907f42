"""The views of a modality: the plain one, and that the others follow from their numbers alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tfxfer.errors import DataError
from tfxfer.sample import Sample
from tfxfer.testing.check import check, fail, not_applicable
from tfxfer.testing.modality_subject import ModalitySubject

__all__ = ["looks", "plain_view", "variety", "views"]

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


@check(
    "a look is given to a view of the same shape, and what has no looks says so",
    requires=("views",),
)
def looks(subject: ModalitySubject) -> None:
    """Measures the looks of samples, and gives each to a view of another one."""
    plugin, where = subject.plugin, f"looks of modality {subject.name!r}"
    read = [subject.read(sample) for sample in subject.samples]
    together = {name: np.concatenate([np.asarray(x[name]) for x in read]) for name in read[0]}
    try:
        found = np.asarray(plugin.measure_looks(_as_inputs(together)))
    except DataError:
        if not plugin.has_looks:
            return
        fail(
            where,
            expected="what has_looks says is there",
            received="a refusal",
            fix="Implement measure_looks and give_look, or leave has_looks out.",
        )
    if not plugin.has_looks or found.shape[:1] != (len(read),):
        fail(
            where,
            expected=f"a row for each of {len(read)} samples, and has_looks = True",
            received=f"shape {found.shape}, has_looks = {plugin.has_looks}",
            fix="Say in has_looks whether there are any.",
        )
    for place, sample in enumerate(subject.samples):
        view = _take(read[place], 0)
        before = {name: values.copy() for name, values in view.items()}
        given = [
            _name_inputs(plugin.give_look(_as_inputs(view), found[-1 - place], rng=rng), view)
            for rng in (np.random.default_rng(_SEED), np.random.default_rng(_SEED))
        ]
        forms = [(x.shape, x.dtype) for x in before.values()]
        if [(x.shape, x.dtype) for x in given[0].values()] != forms:
            fail(
                f"{where}, given to {sample.name!r}",
                expected=f"a view as it was read, {forms}",
                received=f"{[(x.shape, x.dtype) for x in given[0].values()]}",
                fix="Return one view, without an axis of samples, in the dtype that it came in.",
            )
        if not (_are_equal(view, before) and _are_equal(*given)):
            fail(
                f"{where}, given to {sample.name!r}",
                expected="another view that follows from what it is made of, and rng",
                received="a view that was changed in place, or another one the second time",
                fix="Change a copy, and draw from rng alone.",
            )


def _as_inputs(named: dict[str, Any]) -> Any:
    return named if len(named) > 1 else next(iter(named.values()))


def _name_inputs(found: Any, like: dict[str, Any]) -> dict[str, Any]:
    named = found if isinstance(found, dict) else dict.fromkeys(list(like)[:1], found)
    return {name: np.asarray(values) for name, values in named.items()}


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
