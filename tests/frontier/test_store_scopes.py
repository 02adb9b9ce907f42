"""A scope of a store is for one training; the store is for everybody who was given it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfxfer import StorageError
from tfxfer.frontier.store import CacheStore


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.bin"))


def test_closing_a_scope_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    with CacheStore(tmp_path, memory_bytes=0, disk_bytes=1000) as store:
        mine = store.allocate((100,), np.uint8)
        mine[...] = 7
        with store.scope() as part:
            theirs = part.allocate((200,), np.uint8)
            theirs[...] = 9
            assert len(files(tmp_path)) == 2
        (kept,) = files(tmp_path)
        assert kept.read_bytes() == bytes([7] * 100)
        assert store.place(900) == "disk"
        assert store.place(901) == "nowhere"
        # A store that is closed to be filled anew goes on.
        assert part.allocate((900,), np.uint8).size == 900
        part.close()
        assert len(files(tmp_path)) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("where", "limits"), [("memory", (300, 0)), ("disk", (0, 300))])
def test_scopes_share_the_limits_of_their_store(
    tmp_path: Path, where: str, limits: tuple[int, int]
) -> None:
    store = CacheStore(tmp_path, memory_bytes=limits[0], disk_bytes=limits[1])
    first, second = store.scope(), store.scope()
    inner = second.scope()
    store.allocate((50,), np.uint8)
    first.allocate((100,), np.uint8)
    inner.allocate((100,), np.uint8)
    for each in (store, first, second, inner):
        assert each.place(50) == where
        assert each.place(51) == "nowhere"
        with pytest.raises(StorageError, match="--no-cache"):
            each.allocate((51,), np.uint8)
    first.close()
    assert [each.place(150) for each in (store, second, inner)] == [where] * 3
    second.close()
    assert store.place(250) == where
    assert store.place(251) == "nowhere"
    store.close()
    assert store.place(300) == where


def test_closing_a_store_closes_its_scopes(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, memory_bytes=0, disk_bytes=300)
    parts = [store.scope(), store.scope()]
    inner = parts[1].scope()
    for each in (*parts, inner):
        each.allocate((100,), np.uint8)
    store.close()
    assert not list(tmp_path.iterdir())
    for each in (*parts, inner):
        each.close()  # again, which nothing is left to free for
    assert store.place(300) == "disk"
    assert store.place(301) == "nowhere"


def test_a_scope_has_the_folder_of_its_store(tmp_path: Path) -> None:
    part = CacheStore(tmp_path / "new", memory_bytes=0, disk_bytes=100).scope()
    assert part.parent == tmp_path / "new"
    with part:
        part.allocate((10,), np.uint8)
        assert [path.is_relative_to(tmp_path / "new") for path in files(tmp_path)] == [True]


def test_a_scope_counts_what_its_store_has_on_disk(tmp_path: Path) -> None:
    with CacheStore(tmp_path, memory_bytes=0) as store, store.scope() as part:
        before = part.disk_limit()
        store.allocate((2**20,), np.uint8)
        # Half of what is free, as if nothing had been taken; others use the disk meanwhile.
        assert part.disk_limit() == pytest.approx(before, rel=0.01)
        assert part.disk_limit() == pytest.approx(store.disk_limit(), rel=0.01)
