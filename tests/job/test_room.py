from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tfxfer import StorageError, two_phase
from tfxfer.frontier.store import CacheStore
from tfxfer.job.room import Need, check_room, list_needs
from tfxfer.training.plan import plan_fit


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def leave_free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def leave(size_bytes: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**50, 0, size_bytes))

    return leave


def test_what_goes_to_one_disk_is_counted_together(
    tmp_path: Path, leave_free: Callable[[int], None]
) -> None:
    needs = (
        Need("checkpoints", tmp_path / "not" / "there" / "yet", 30 * 2**20, "--out"),
        Need("cached activations", tmp_path, 12 * 2**20, "--cache-dir"),
    )
    leave_free(42 * 2**20)
    check_room(needs)
    leave_free(42 * 2**20 - 1)
    with pytest.raises(StorageError) as caught:
        check_room(needs)
    expected = "expected 42 MiB free at {!r}: 30 MiB for checkpoints, 12 MiB for cached activations"
    assert expected.format(str(tmp_path)) in str(caught.value)
    assert str(caught.value).endswith("on another disk: --out or --cache-dir")


def test_a_training_needs_its_checkpoints_its_model_and_its_cache(
    make_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_tiny()
    weights = 4 * model.count_params()
    options: dict[str, Any] = {"images": 10, "views": 2}
    store = CacheStore(tmp_path / "cache", memory_bytes=0)
    plan = plan_fit(model, two_phase(), store=store, **options)
    trained = 4 * max(item.trainable_parameters for item in plan.phases)
    checkpoints, kept, cache = list_needs(model, plan, tmp_path / "run")
    assert checkpoints.size_bytes == 2 * (2 * weights + 4 * trained)
    assert kept.size_bytes >= weights
    assert (cache.folder, cache.size_bytes) == (tmp_path / "cache", plan.cache_bytes)
    held = list_needs(model, plan, tmp_path / "run", held_bytes=plan.cache_bytes - 7)[2]
    assert held.size_bytes == 7
    in_memory = plan_fit(model, two_phase(), store=CacheStore(memory_bytes=2**30), **options)
    assert len(list_needs(model, in_memory, tmp_path / "run")) == 2
