from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.frontier.shelf import Shelf, digest_arrays
from tfxfer.frontier.store import CacheStore
from tfxfer.run.shelf_owner import OWNER_FILE, ShelfOwner, claim_shelf, read_owner
from tfxfer.system.owner import current_owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shelf"


def fill(folder: Path, key: str = "key", stage: str | None = "block_1") -> np.ndarray:
    """Puts activations of three samples on a shelf, of which two were computed."""
    store = CacheStore(shelf=Shelf(folder))
    values = store.scope().allocate((3, 1, 4), "float16")
    values[...] = np.arange(12).reshape(3, 1, 4)
    held = np.array([[True], [True], [False]])
    store.shelf.put(key, {("train", stage): (values, held)})  # type: ignore[union-attr]
    kept = np.array(values)
    store.close()
    return kept


@pytest.mark.parametrize("stage", ["block_1", None])
def test_what_was_put_is_found(folder: Path, stage: str | None) -> None:
    values = fill(folder, stage=stage)
    found = Shelf(folder).find("key", "train", stage)
    assert found is not None
    assert np.array_equal(found[0], values)
    assert found[1].tolist() == [[True], [True], [False]]
    assert Shelf(folder).find("another key", "train", stage) is None
    assert Shelf(folder).find("key", "val", stage) is None
    assert Shelf(folder).find("key", "train", "block_2") is None


def test_inputs_beside_activations_are_found_in_their_order(folder: Path) -> None:
    store = CacheStore(shelf=Shelf(folder))
    arrays = {name: store.allocate((2, 1, 3), "int32") for name in ("z", "a")}
    arrays["z"][...], arrays["a"][...] = 1, 2
    assert store.shelf is not None
    store.shelf.put("key", {("val", "block_1"): (arrays, np.ones((2, 1), bool))})
    found = Shelf(folder).find("key", "val", "block_1")
    assert found is not None
    assert isinstance(found[0], dict)
    assert [(name, int(x.max())) for name, x in found[0].items()] == [("z", 1), ("a", 2)]


def test_what_does_not_lie_there_is_left_out(folder: Path) -> None:
    shelf = Shelf(folder)
    folder.mkdir()
    shelf.put("key", {("train", None): (np.zeros((1, 1, 2)), np.ones((1, 1), bool))})
    assert Shelf(folder).find("key", "train", None) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "index.json").write_text("{"),
        lambda path: (path / "index.json").write_text('{"entries": 3}'),
        lambda path: [file.unlink() for file in path.glob("*.bin")],
        lambda path: [file.write_bytes(b"\x93NUMPY") for file in path.glob("*.npy")],
        lambda path: [file.write_bytes(b"") for file in path.glob("*.bin")],
    ],
)
def test_a_damaged_shelf_costs_what_it_held(folder: Path, damage: Callable[[Path], Any]) -> None:
    fill(folder)
    damage(folder)
    assert Shelf(folder).find("key", "train", "block_1") is None


def test_no_name_in_the_index_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    values = fill(folder)
    (tmp_path / "outside.bin").write_bytes(b"\x00" * values.nbytes)
    index = json.loads((folder / "index.json").read_text())
    index["entries"][0]["parts"][""][0] = "../outside.bin"
    (folder / "index.json").write_text(json.dumps(index))
    assert Shelf(folder).find("key", "train", "block_1") is None


def test_what_a_killed_process_left_goes(folder: Path) -> None:
    fill(folder)
    (folder / "half.bin").write_bytes(b"x")
    names = {path.name for path in folder.iterdir()}
    # Until the run's lock is held it may be a living process's.
    shelf = Shelf(folder)
    assert names == {path.name for path in folder.iterdir()}
    shelf.open()
    assert names - {path.name for path in folder.iterdir()} == {"half.bin"}


def test_only_what_a_network_computed_is_kept(folder: Path) -> None:
    fill(folder, "before")
    fill(folder, "now", stage="block_2")
    shelf = Shelf(folder)
    shelf.keep_only(["now"])
    assert shelf.find("before", "train", "block_1") is None
    assert shelf.find("now", "train", "block_2") is not None
    assert len(list(folder.glob("*.bin"))) == 1
    shelf.clear()
    assert not folder.exists()


def test_a_shelf_says_whose_it_is(folder: Path, tmp_path: Path) -> None:
    store = CacheStore(shelf=Shelf(folder, run=tmp_path / "run"), disk_bytes=1000)
    assert store.shelf is not None
    store.shelf.open()
    assert not folder.exists()  # nothing is cached yet
    store.scope().allocate((4,), "float16")
    assert read_owner(folder) == ShelfOwner(str(tmp_path / "run"), current_owner().mark)
    # A process that goes on takes it over, with what it holds.
    claim_shelf(folder, tmp_path / "another")
    Shelf(folder, run=tmp_path / "run").open()
    assert read_owner(folder) == ShelfOwner(str(tmp_path / "run"), current_owner().mark)
    Shelf(folder).open()
    assert (folder / OWNER_FILE).exists()
    Shelf(folder).remove_if_empty()
    assert not folder.exists()


def test_a_shelf_takes_what_the_disk_has_room_for(folder: Path) -> None:
    store = CacheStore(memory_bytes=100, disk_bytes=50, shelf=Shelf(folder))
    assert [store.place(size) for size in (50, 51, 101)] == ["disk", "memory", "nowhere"]


def test_a_digest_tells_weights_and_words_apart() -> None:
    ones = [np.ones((2, 3), np.float32)]
    digests = {
        digest_arrays(ones, "float16"),
        digest_arrays(ones, "float32"),
        digest_arrays([np.zeros((2, 3), np.float32)], "float16"),
        digest_arrays([*ones, *ones], "float16"),
    }
    assert len(digests) == 4
    assert digest_arrays(list(ones), "float16") in digests
