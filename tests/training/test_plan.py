from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer import Phase, ScheduleError, StorageError
from tfxfer.frontier.cut import cache_bytes
from tfxfer.frontier.store import CacheStore
from tfxfer.stages import count_parameters, freeze_to
from tfxfer.training.plan import FitPlan, plan_fit


def make_schedule(*stages: str | float | None) -> list[Phase]:
    return [Phase(f"phase_{n}", stage, 2, 1e-3) for n, stage in enumerate(stages)]


def plan(model: Any, *stages: str | float | None, **options: Any) -> FitPlan:
    settings: dict[str, Any] = {"images": 10, "views": 2, "store": CacheStore(memory_bytes=2**30)}
    return plan_fit(model, make_schedule(*stages), **(settings | options))


def stages_of(found: Any) -> list[list[str | None]]:
    """Returns where a pass before each phase stores activations; none before an uncached one."""
    numbers = range(len(found.phases))
    return [[*found.stages_to_fill(n)] if found.phases[n].cached else [] for n in numbers]


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


def test_one_pass_fills_every_stage_that_nothing_has_trained(model: Any) -> None:
    found = plan(model, "backbone", "block_2", "stem")
    assert [item.refill for item in found.phases] == [False, False, False]
    assert stages_of(found) == [["backbone", "block_2", "stem"], ["block_2", "stem"], ["stem"]]
    assert [found.epochs_after(number) for number in range(3)] == [4, 2, 0]
    assert replace(found, later_epochs=3).epochs_after(1) == 5


def test_validation_images_have_one_version(model: Any) -> None:
    plain = plan(model, "backbone").cache_bytes
    both = plan(model, "backbone", val=6).cache_bytes
    assert both - plain == cache_bytes(model, ["backbone"], images=6, views=1)


def test_a_phase_does_not_wait_for_views_it_does_not_need(model: Any) -> None:
    schedule = (
        Phase("head", "backbone", 1, 1e-3, views=1),
        Phase("upper", "block_2", 1, 1e-3),
        Phase("lower", "stem", 1, 1e-3),
    )
    store = CacheStore(memory_bytes=2**30)
    found = plan_fit(model, schedule, images=10, views=4, store=store)
    assert [item.views for item in found.phases] == [1, 4, 4]
    # What the first pass has computed is completed, without the part that only the head needs.
    assert stages_of(found) == [["backbone", "block_2", "stem"], ["block_2", "stem"], ["stem"]]
    assert found.views_per_stage() == {"backbone": 1, "block_2": 4, "stem": 4}
    sizes = [
        cache_bytes(model, [x], images=10, views=n) for x, n in found.views_per_stage().items()
    ]
    assert found.cache_bytes == sum(sizes)


def test_a_frontier_with_room_for_fewer_views_waits_for_its_own_pass(model: Any) -> None:
    schedule = (Phase("head", "backbone", 1, 1e-3), Phase("upper", "stem", 1, 1e-3, views=1))
    store = CacheStore(memory_bytes=2**30)
    found = plan_fit(model, schedule, images=10, views=4, store=store)
    assert stages_of(found) == [["backbone"], ["stem"]]


def test_freezing_again_fills_again(model: Any) -> None:
    found = plan(model, "block_1", "backbone", "stem", "block_2")
    assert [item.refill for item in found.phases] == [False, True, False, True]
    # The stem was frozen all along, and is computed with what comes before the next refill.
    assert stages_of(found) == [["block_1"], ["backbone", "stem"], ["stem"], ["block_2"]]


def test_training_everything_first_needs_the_pixels(model: Any) -> None:
    found = plan(model, None, "backbone")
    assert [item.stage for item in found.phases] == [None, "backbone"]
    assert stages_of(found) == [[None], ["backbone"]]


def test_parameters_are_those_that_move_and_the_model_stays_as_it_was(model: Any) -> None:
    freeze_to(model, "block_1")
    before = [layer.trainable for layer in model.layers]
    found = plan(model, "backbone", "stem", None)
    assert [layer.trainable for layer in model.layers] == before
    for item in found.phases:
        freeze_to(model, item.stage)
        assert item.trainable_parameters == count_parameters(model.trainable_weights)
    counts = [item.trainable_parameters for item in found.phases]
    assert counts == sorted(set(counts))


def test_the_cache_is_what_is_held_at_one_time(model: Any, tmp_path: Path) -> None:
    sizes = {
        stages: cache_bytes(model, stages, images=10, views=2)
        for stages in (("backbone", "block_1"), ("block_1",), ("backbone",))
    }
    found = plan(model, "backbone", "block_1")
    assert (found.cache_bytes, found.cache_place) == (sizes["backbone", "block_1"], "memory")
    # A refill gives back what was held.
    assert plan(model, "block_1", "backbone").cache_bytes == sizes[("block_1",)]
    store = CacheStore(tmp_path, memory_bytes=0)
    found = plan(model, "backbone", store=store)
    assert (found.cache_place, found.cache_folder) == ("disk", str(tmp_path))


def test_what_does_not_fit_trains_from_pixels(model: Any) -> None:
    room = cache_bytes(model, ["backbone"], images=10, views=2)
    store = CacheStore(memory_bytes=room, disk_bytes=0)
    found = plan(model, "backbone", "block_1", store=store)
    assert [item.cached for item in found.phases] == [True, False]
    assert stages_of(found) == [["backbone"], []]
    assert found.cache_bytes == room
    found = plan(model, "backbone", "block_1", cache=False)
    assert not any(item.cached for item in found.phases)
    assert (found.cache_bytes, found.cache_place) == (0, "none")


def test_floats_take_more_than_bytes(model: Any) -> None:
    as_bytes = plan(model, None).cache_bytes
    assert plan(model, None, input_itemsizes=(4,)).cache_bytes == 4 * as_bytes
    assert plan(model, "stem", itemsize=4).cache_bytes == 2 * plan(model, "stem").cache_bytes


def test_a_stage_that_is_not_there_is_named(model: Any) -> None:
    before = [layer.trainable for layer in model.layers]
    with pytest.raises(ScheduleError, match="block_9"):
        plan(model, "backbone", "block_9")
    assert [layer.trainable for layer in model.layers] == before


class Refusal(CacheStore):
    """A store that fails when it is asked for the second time."""

    asked = 0

    def place(self, size_bytes: int) -> str:
        self.asked += 1
        if self.asked == 2:
            raise StorageError("no such disk")
        return super().place(size_bytes)


def test_a_plan_that_fails_leaves_the_model_as_it_was(model: Any) -> None:
    freeze_to(model, "block_1")
    before = [layer.trainable for layer in model.layers]
    with pytest.raises(StorageError, match="no such disk"):
        plan(model, "backbone", "stem", store=Refusal(memory_bytes=2**30))
    assert [layer.trainable for layer in model.layers] == before
    assert len(set(before)) == 2
