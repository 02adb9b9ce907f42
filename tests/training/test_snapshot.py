"""A training that goes on from any of its epochs ends bit for bit where the unbroken one ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Augmentation, Cache, Control, Phase, RunError, fit
from tfxfer.frontier.shelf import Shelf
from tfxfer.frontier.store import CacheStore
from tfxfer.system.files import to_json
from tfxfer.training.snapshot import PhaseProgress, Snapshot

# Averaged weights, then a rate per stage; a cosine each; patience that an epoch may use up.
SCHEDULE = (
    Phase("head", "backbone", 4, 5e-2, average=True),
    Phase("fine_tune", "block_1", 4, 2e-2, stage_decay=0.5, patience=3),
)


class Counter(keras.callbacks.Callback):
    """A callback of the user's that has something to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)

    def describe_state(self) -> list[int]:
        return list(self.epochs)

    def restore_state(self, state: list[int]) -> None:
        self.epochs = list(state)


class Run:
    """One training: its weights, its logs, and a snapshot of each epoch that another follows."""

    def __init__(
        self, model: Any, data: Any, control: Control | None = None, **options: Any
    ) -> None:
        self.snapshots: list[Snapshot] = []
        self.counter = Counter()
        self.model = model
        settings: dict[str, Any] = {
            "schedule": SCHEDULE,
            "augment": Augmentation("light", views=2),
            "batch_size": 8,
            "seed": 3,
            "verbose": 0,
        }
        self.history = fit(
            model,
            data,
            control=replace(control or Control(), on_epoch_end=self.snapshots.append),
            callbacks=[self.counter],
            **(settings | options),
        )
        self.weights = model.get_weights()
        # Dropout draws from these; no result holds them.
        self.streams = [np.array(x) for x in model.variables if "seed_generator_state" in x.path]


def are_equal(one: Run, other: Run) -> bool:
    pairs = zip([*one.weights, *one.streams], [*other.weights, *other.streams], strict=True)
    same_history = one.history.history == other.history.history
    return same_history and all(np.array_equal(x, y) for x, y in pairs)


def store_snapshot(snapshot: Snapshot) -> Snapshot:
    """Returns a snapshot as a file gives it back: its small part went through JSON."""
    assert snapshot.progress is not None
    text = to_json(snapshot.progress.to_dict())
    return replace(snapshot, progress=PhaseProgress.from_dict(json.loads(text)))


@pytest.fixture(scope="module")
def whole(make_tiny: Callable[..., Any], images: Any) -> Run:
    return Run(make_tiny(), images)


def go_on(make_tiny: Callable[..., Any], images: Any, snapshot: Snapshot, **options: Any) -> Run:
    # Another seed: all weights come from the snapshot.
    return Run(make_tiny(seed=9), images, Control(snapshot=store_snapshot(snapshot)), **options)


@pytest.mark.parametrize(
    "number", [1, 4, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2, 3, 5))]
)
def test_each_epoch_can_be_gone_on_from(
    number: int, whole: Run, make_tiny: Callable[..., Any], images: Any
) -> None:
    assert len(whole.snapshots) == 6  # four epochs each, the last of which ends its phase
    found = go_on(make_tiny, images, whole.snapshots[number])
    assert are_equal(found, whole)
    assert found.counter.epochs == whole.counter.epochs == list(range(8))
    before, after = found.history.state.to_dict(), whole.history.state.to_dict()
    for record in (*before["records"], *after["records"]):
        assert record.pop("seconds") > 0
    assert before == after
    # Only what was left was trained.
    assert len(found.snapshots) == 5 - number


def zeroed(values: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.zeros_like(x) for x in values)


@pytest.mark.parametrize(
    ("number", "drop"),
    [
        # The optimizer's state: moments, rates' place on their curve, count of steps.
        (4, lambda x: replace(x, optimizer=zeroed(x.optimizer))),
        pytest.param(
            4,
            lambda x: replace(x, optimizer=(*x.optimizer[:-1], zeroed(x.optimizer)[-1])),
            marks=pytest.mark.slow,
        ),
        # The streams of dropout, which stand among the network's variables.
        (
            4,
            lambda x: replace(
                x, network=tuple(v + 1 if v.dtype.kind in "iu" else v for v in x.network)
            ),
        ),
        (1, lambda x: replace(x, own=())),
        pytest.param(1, lambda x: replace(x, average=zeroed(x.average)), marks=pytest.mark.slow),
        pytest.param(
            1,
            lambda x: replace(x, progress=replace(x.progress, averaging=(0, 0))),
            marks=pytest.mark.slow,
        ),
        (4, lambda x: replace(x, best=zeroed(x.best))),
    ],
    ids=["optimizer", "last moment", "streams", "own", "average", "averaging", "best"],
)
def test_what_a_snapshot_lacks_is_missed(
    number: int,
    drop: Callable[[Snapshot], Snapshot],
    whole: Run,
    make_tiny: Callable[..., Any],
    images: Any,
) -> None:
    damaged = drop(whole.snapshots[number])
    assert not are_equal(go_on(make_tiny, images, damaged), whole)


def test_patience_goes_on(
    make_tiny: Callable[..., Any], images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer.head._FEW", 0)  # so few samples would have no patience
    # At no rate the first epoch stays the best: the phase ends after patience epochs more.
    idle = Phase("idle", "backbone", 9, 1e-12, decay="constant", warmup=0, patience=3)
    whole = Run(make_tiny(), images, schedule=(idle,), augment="none")
    assert whole.history.state.records[0].stopped == "patience"
    (*_, last) = whole.snapshots
    assert last.progress is not None
    assert last.progress.waited > 0
    found = go_on(make_tiny, images, last, schedule=(idle,), augment="none")
    assert are_equal(found, whole)
    forgot = replace(last, progress=replace(last.progress, waited=0))
    longer = go_on(make_tiny, images, forgot, schedule=(idle,), augment="none")
    assert len(longer.history.epoch) > len(whole.history.epoch)


def test_without_a_cache_it_goes_on_too(
    whole: Run, make_tiny: Callable[..., Any], images: Any
) -> None:
    options: dict[str, Any] = {"schedule": SCHEDULE[1:], "cache": False}
    unbroken = Run(make_tiny(), images, **options)
    assert are_equal(go_on(make_tiny, images, unbroken.snapshots[1], **options), unbroken)


def test_a_clock_keeps_its_rates(make_tiny: Callable[..., Any], images: Any) -> None:
    """Under a budget the clock sets the rates: what they fell to is no peak to fall from again."""
    options: dict[str, Any] = {"schedule": SCHEDULE[:1], "augment": "none"}

    def late() -> Control:
        return Control(deadline=time.monotonic() + 3600)

    whole = Run(make_tiny(), images, late(), **options)
    control = replace(late(), snapshot=store_snapshot(whole.snapshots[2]))
    assert are_equal(Run(make_tiny(seed=9), images, control, **options), whole)


def test_the_snapshot_of_another_network_is_refused(
    whole: Run, make_tiny: Callable[..., Any], images: Any
) -> None:
    other = replace(whole.snapshots[4], network=whole.snapshots[4].network[:-1])
    with pytest.raises(RunError, match="network of a running phase: expected"):
        go_on(make_tiny, images, other)


def test_the_snapshot_of_another_phase_is_refused(
    whole: Run, make_tiny: Callable[..., Any], images: Any
) -> None:
    """Phases of one network and one optimizer: no shape tells them apart, only their names."""
    snapshot = whole.snapshots[4]
    assert snapshot.progress is not None
    assert snapshot.progress.phase == "fine_tune"
    for renamed in (
        (SCHEDULE[0], replace(SCHEDULE[1], name="longer")),
        (replace(SCHEDULE[0], name="other"), SCHEDULE[1]),
        SCHEDULE[:1],
    ):
        with pytest.raises(RunError, match=r"expected one of its phases, .*head, fine_tune"):
            go_on(make_tiny, images, snapshot, schedule=renamed)
    # An earlier version did not say.
    unnamed = replace(snapshot, progress=replace(snapshot.progress, phase=""))
    assert are_equal(go_on(make_tiny, images, unnamed), whole)


def test_other_callbacks_are_refused(
    whole: Run, make_tiny: Callable[..., Any], images: Any
) -> None:
    snapshot = whole.snapshots[0]
    assert snapshot.progress is not None
    fewer = replace(snapshot, progress=replace(snapshot.progress, callbacks=()))
    with pytest.raises(RunError, match="expected the callbacks that it began with, 0"):
        go_on(make_tiny, images, fewer)


@pytest.mark.parametrize("is_other", [True, False])
def test_activations_of_other_samples_are_not_taken_up(
    is_other: bool, make_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    """Of the same number, under the same names, before the same weights."""

    def run(data: Any) -> Watcher:
        watcher = Watcher()
        store = CacheStore(shelf=Shelf(tmp_path / "shelf"))
        Run(
            make_tiny(), data, Control(progress=watcher), cache=Cache(store=store),
            schedule=SCHEDULE[:1], augment="none",
        )  # fmt: skip
        return watcher

    def invert(part: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return 255 - part[0], part[1]

    rng = np.random.default_rng(0)
    parts = [
        (rng.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8), np.arange(count) % 3)
        for count in (24, 9)
    ]
    assert run(tuple(parts)).totals
    again = run((parts[0], invert(parts[1])) if is_other else tuple(parts))
    assert bool(again.totals) == is_other


class Watcher:
    """Counts the samples that are computed, and may stop when so many are."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.totals = stop_at, set[int]()

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != "caching activations":
            return
        self.totals.add(total)
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt


def test_a_cache_that_was_filled_is_taken_up(
    whole: Run,
    make_tiny: Callable[..., Any],
    images: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tfxfer.training.activations._KEEP_EVERY_S", 0.0)

    def run(model: Any, **control: Any) -> tuple[Run, Watcher]:
        watcher = Watcher(control.pop("stop_at", None))
        store = CacheStore(shelf=Shelf(tmp_path / "shelf"))
        options = {"cache": Cache(store=store)}
        return Run(model, images, Control(progress=watcher, **control), **options), watcher

    with pytest.raises(KeyboardInterrupt):
        run(make_tiny(), stop_at=16)
    found, watcher = run(make_tiny())
    assert are_equal(found, whole)
    first, *_ = sorted(watcher.totals, reverse=True)
    # All of it is there now, for whoever goes on.
    again, unused = run(make_tiny(seed=9), snapshot=store_snapshot(whole.snapshots[0]))
    assert are_equal(again, whole)
    assert unused.totals == set()
    # What the first process had computed is not computed again.
    fresh = Watcher()
    Run(make_tiny(), images, Control(progress=fresh))
    assert first <= max(fresh.totals) - 16
    # Other weights before the frontier have other activations.
    other = make_tiny(seed=5)
    _, refilled = run(other)
    assert max(refilled.totals) == max(fresh.totals)
