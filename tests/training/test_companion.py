"""Samples beside those of a training: when they come, what they change, and what they leave."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Augmentation, Cache, Control, Phase, UsageError, fit
from tfxfer.adaptation.penalties import make_penalty
from tfxfer.frontier.shelf import Shelf
from tfxfer.frontier.store import CacheStore
from tfxfer.training.callbacks import BestWeights
from tfxfer.training.companion import Companion, CompanionDraw, Pairing, find_progress
from tfxfer.training.plan import plan_fit
from tfxfer.training.snapshot import Snapshot

SCHEDULE = (
    Phase("head", "backbone", 2, 3e-2),
    Phase("fine_tune", "block_1", 3, 1e-2, stage_decay=0.5, average=True),
)


class Probe(keras.layers.Layer):
    """A penalty that is a multiple of the sum of one part of what it is given."""

    def __init__(self, part: str, factor: float) -> None:
        super().__init__()
        self._part, self._factor = part, factor
        self.built = True

    def call(self, pairing: Pairing) -> Any:
        return self._factor * keras.ops.sum(getattr(pairing, self._part))


def make_companion(images: Any, method: str | Callable[[], Any], **options: Any) -> Companion:
    def make(features: int) -> Any:
        if callable(method):
            return method()
        return make_penalty(method, features, strength=options.get("strength", 1.0), seed=3)

    return Companion(options.get("samples", images.test), make, options.get("weights"))


def run(model: Any, images: Any, companion: Companion | None, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "schedule": SCHEDULE,
        "augment": Augmentation("light", views=2),
        "batch_size": 8,
        "seed": 3,
        "verbose": 0,
    }
    control = replace(options.pop("control", Control()), companion=companion)
    return fit(model, images, control=control, **(settings | options))


def test_all_come_once_before_one_comes_again_and_as_many_as_a_batch_holds() -> None:
    draw = CompanionDraw(5, 3, batch_size=4, steps=5, seed=1, cycle=(2, 3))
    order, views = draw.epoch(2)
    assert len(order) == len(views) == 20
    assert all(sorted(order[n : n + 5].tolist()) == [0, 1, 2, 3, 4] for n in range(0, 20, 5))
    assert set(views.tolist()) == {0, 1, 2}
    again, other = draw.epoch(5), draw.epoch(3)
    assert (again[0] == order).all()
    assert (again[1] == views).all()
    assert (other[0] != order).any()
    used = draw.uses(range(2, 3))
    assert used[order, views].all()
    assert used.sum() == len(set(zip(order.tolist(), views.tolist(), strict=True)))
    # Where there are fewer than a batch has, a step has each once.
    few = CompanionDraw(3, 1, batch_size=8, steps=2, seed=0, cycle=(0, 1))
    assert [sorted(part.tolist()) for part in few.epoch(0)[0].reshape(2, 3)] == [[0, 1, 2]] * 2


def test_progress_is_of_the_phases_that_train_more_than_the_head(
    make_tiny: Callable[..., Any],
) -> None:
    phases = (SCHEDULE[0], SCHEDULE[1], replace(SCHEDULE[1], name="deeper", stage="stem"))
    plan = plan_fit(make_tiny(), phases, images=24, views=1, store=CacheStore())
    assert find_progress(plan, 1)(0) == 0
    assert find_progress(plan, 1)(1.5) == pytest.approx(1.5 / 6)
    assert find_progress(plan, 2)(0.0) == pytest.approx(0.5)
    assert find_progress(plan, 2)(9.0) == 1
    assert find_progress(replace(plan, later_epochs=6), 2)(0.0) == pytest.approx(0.25)


def test_the_plan_has_room_for_them_where_they_are_needed(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()

    def count(companions: int) -> int:
        plan = plan_fit(
            model, SCHEDULE, images=24, views=2, val=12, store=CacheStore(), companions=companions
        )
        return plan.cache_bytes

    # Two views of 8 x 8 x 6 activations in float16; none at the backbone's end.
    assert count(10) - count(0) == 10 * 2 * 8 * 8 * 6 * 2
    assert find_head_bytes(model, 10) == find_head_bytes(model, 0)


def find_head_bytes(model: Any, companions: int) -> int:
    store = CacheStore()
    return plan_fit(
        model, SCHEDULE[:1], images=24, views=1, store=store, companions=companions
    ).cache_bytes


@pytest.fixture(scope="module")
def plain(make_tiny: Callable[..., Any], images: Any) -> tuple[Any, Any]:
    model = make_tiny()
    return model, run(model, images, None)


def test_only_the_loss_of_phases_that_train_more_than_the_head_hears_of_it(
    plain: tuple[Any, Any], make_tiny: Callable[..., Any], images: Any
) -> None:
    model = make_tiny()
    # A hundred in each step, which no weight can change.
    history = run(model, images, make_companion(images, lambda: Probe("weights", 100 / 8)))
    expected = plain[1].history
    more = np.subtract(history.history["loss"], expected["loss"])
    assert more == pytest.approx([0, 0, 100, 100, 100], abs=1e-2)
    assert history.history["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    for one, other in zip(model.get_weights(), plain[0].get_weights(), strict=True):
        # Batches of another size are summed in another order.
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_an_epoch_that_heard_of_no_companion_is_not_gone_back_to(
    make_tiny: Callable[..., Any], images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing beats a validation that is all right, as after the head's phase here."""
    deeper = replace(SCHEDULE[1], name="deeper", stage="stem", epochs=1)
    found = []
    for companion in (None, make_companion(images, "mmd")):
        scores = iter([(1.0, 0.0)] * 2 + [(0.5, -0.5)] * 3 + [(0.1, -1.0)])
        monkeypatch.setattr(BestWeights, "score", functools.partialmethod(take_next, scores))
        history = run(make_tiny(), images, companion, schedule=(*SCHEDULE, deeper))
        found.append((history.state.best_phase, history.state.best))
    # Among the phases that did hear of it, validation chooses as ever.
    assert found == [("head", (1.0, 0.0)), ("fine_tune", (0.5, -0.5))]


def take_next(best: BestWeights, scores: Iterator[tuple[float, float]], logs: Any) -> Any:
    return next(scores)


def differ(one: Any, other: Any) -> float:
    """Returns the largest difference between the weights of two models."""
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(first - second).max()) for first, second in pairs)


@pytest.mark.parametrize("method", ["deep_coral", "mmd"])
def test_each_method_changes_what_is_learnt_and_no_layer(
    method: str, plain: tuple[Any, Any], make_tiny: Callable[..., Any], images: Any
) -> None:
    model = make_tiny()
    history = run(model, images, make_companion(images, method))
    assert np.isfinite(history.history["loss"]).all()
    assert [x.path for x in model.weights] == [x.path for x in plain[0].weights]
    assert [x.name for x in model.layers] == [x.name for x in plain[0].layers]
    assert differ(model, plain[0]) > 1e-2


def test_what_is_cached_is_what_is_read(make_tiny: Callable[..., Any], images: Any) -> None:
    found = []
    for cache in (Cache(dtype="float32", use_litert=False), False):
        model = make_tiny()
        run(model, images, make_companion(images, "mmd"), cache=cache)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("method", ["dann", "pseudo_labels"])
def test_a_training_goes_on_as_if_it_had_not_been_broken_off(
    method: str,
    plain: tuple[Any, Any],
    make_tiny: Callable[..., Any],
    images: Any,
    tmp_path: Path,
) -> None:
    def go(model: Any, **control: Any) -> tuple[Any, list[Snapshot]]:
        snapshots: list[Snapshot] = []
        store = CacheStore(shelf=Shelf(tmp_path / "shelf"))
        run(
            model, images, make_companion(images, method), cache=Cache(store=store),
            control=Control(on_epoch_end=snapshots.append, **control),
        )  # fmt: skip
        return model, snapshots

    whole, snapshots = go(make_tiny())
    assert [x.path for x in whole.weights] == [x.path for x in plain[0].weights]
    assert differ(whole, plain[0]) > 1e-2
    (within,) = [x for x in snapshots if x.epochs == 4]
    counted: list[int] = []
    again, _ = go(
        make_tiny(seed=9),
        snapshot=within,
        progress=lambda what, done, total: counted.append(total),
    )
    assert differ(whole, again) == 0
    # What the first process has computed of them is taken up.
    assert counted == []
    # The discriminator is part of where a training stands.
    if method == "dann":
        torn = replace(within, own=(*within.own[:-1], within.own[-1] + 1))
        other, _ = go(make_tiny(seed=9), snapshot=torn)
        assert differ(whole, other) > 0


def test_two_that_would_take_the_networks_place_are_refused(images: Any) -> None:
    with pytest.raises(UsageError, match="expected wrap or companion"):
        Control(wrap=lambda network, stage: network, companion=make_companion(images, "mmd"))
