from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer import Phase, StorageError, fit
from tfxfer.frontier.shelf import Shelf
from tfxfer.frontier.store import CacheStore
from tfxfer.system.owner import current_owner
from tfxfer.system.scratch import find_remains


def test_a_cache_goes_to_memory_then_to_disk_then_nowhere(tmp_path: Path) -> None:
    with CacheStore(tmp_path / "new" / "folder", memory_bytes=100, disk_bytes=1000) as store:
        assert store.place(100) == "memory"
        assert store.place(101) == "disk"
        assert store.place(1001) == "nowhere"
        small = store.allocate((25,), np.float32)
        assert not isinstance(small, np.memmap)
        large = store.allocate((5, 50), np.float16)
        again = store.allocate((125,), np.float32)
        assert isinstance(large, np.memmap)
        large[...], again[...] = 1, 2
        assert large.sum() == 250
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.bin")) == 1000
        with pytest.raises(StorageError, match="--no-cache"):
            store.allocate((1,), np.float32)
    assert not list((tmp_path / "new" / "folder").iterdir())
    assert store.place(100) == "memory"


def test_limits_come_from_the_machine(tmp_path: Path) -> None:
    store = CacheStore(tmp_path / "not" / "there")
    assert 0 < store.memory_limit() <= 2**30
    assert store.disk_limit() > 0
    assert store.parent == tmp_path / "not" / "there"
    assert CacheStore().parent == Path(tempfile.gettempdir())


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", fail)


def test_a_full_disk_is_said_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    with (
        pytest.raises(StorageError, match=r"No space left.*--cache-dir"),
        CacheStore(tmp_path, memory_bytes=0) as store,
    ):
        store.allocate((10,), np.float32)
    assert not list(tmp_path.iterdir())


def test_a_system_that_cannot_reserve_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    with CacheStore(tmp_path, memory_bytes=0) as store:
        array = store.allocate((2**20 + 3,), np.uint8)
        array[-1] = 7
        (file,) = tmp_path.rglob("*.bin")
        assert file.stat().st_size == 2**20 + 3


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = CacheStore(tmp_path / "file" / "cache", memory_bytes=0, disk_bytes=100)
    with pytest.raises(StorageError, match="--cache-dir"):
        store.allocate((10,), np.uint8)


@pytest.mark.parametrize("failure", [None, "callback", "disk"])
def test_a_training_leaves_no_files(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: str | None,
) -> None:
    import keras

    seen = []

    def look(epoch: int, logs: Any) -> None:
        seen.append(len(list(tmp_path.rglob("*.bin"))))
        if failure == "callback":
            raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("tfxfer.frontier.store._MEMORY_CAP_BYTES", 0)
    if failure == "disk":
        fill_disk(monkeypatch)

    def train() -> None:
        callback = keras.callbacks.LambdaCallback(on_epoch_begin=look)
        phase = Phase("head", "backbone", 1, 1e-3)
        fit(make_tiny(), pair(), schedule=[phase], callbacks=[callback], verbose=0)

    if failure is None:
        train()
    else:
        with pytest.raises(StorageError if failure == "disk" else KeyboardInterrupt):
            train()
    assert seen == ([] if failure == "disk" else [2])
    assert not list(tmp_path.rglob("*.bin"))


def test_files_of_the_cache_itself_do_not_shrink_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    free = [1000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 0, free[0]))
    with CacheStore(tmp_path, memory_bytes=0) as store:
        assert store.place(500) == "disk"
        store.allocate((400,), "uint8")
        free[0] -= 400
        assert store.place(100) == "disk"
        assert store.place(101) == "nowhere"


def test_a_cache_is_this_processs_and_makes_room_of_what_the_dead_left(tmp_path: Path) -> None:
    mine = current_owner()
    left = tmp_path / f"tfxfer-cache-{replace(mine, start=mine.start - 1).mark}-0123abcd"
    left.mkdir()
    (left / "0.bin").write_bytes(bytes(1000))
    with (
        CacheStore(tmp_path, memory_bytes=0) as store,
        CacheStore(tmp_path, memory_bytes=0) as other,
    ):
        store.allocate((10,), "uint8")
        other.allocate((10,), "uint8")
        found = list(find_remains(tmp_path))
        assert [(x.owner, x.life) for x in found] == [(mine, "alive"), (mine, "alive")]
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_process_left_on_the_shelf_takes_no_room_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 1000

    def measure(_: Path) -> SimpleNamespace:
        taken = sum(path.stat().st_size for path in tmp_path.glob("shelf/*"))
        return SimpleNamespace(free=free - taken)

    monkeypatch.setattr(shutil, "disk_usage", measure)
    folder = tmp_path / "shelf"
    folder.mkdir()
    empty = CacheStore(shelf=Shelf(folder), memory_bytes=0).disk_limit()
    (folder / "a.bin").write_bytes(bytes(400))
    shelf = Shelf(folder)
    shelf.open()
    (folder / "a.bin").write_bytes(bytes(400))  # opening it removed what no index names
    assert CacheStore(shelf=shelf, memory_bytes=0).disk_limit() == empty
    monkeypatch.setattr(Shelf, "count_bytes", lambda _: 0)
    assert CacheStore(shelf=shelf, memory_bytes=0).disk_limit() < empty
