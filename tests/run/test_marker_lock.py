"""Where a disk cannot lock files, one with its owner's mark keeps others out while it lives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from tfxfer.run import marker_lock
from tfxfer.run.marker_lock import MarkerLock
from tfxfer.system.owner import current_owner


@pytest.fixture(autouse=True)
def never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_lock, "_SETTLE_S", 0.0)


def test_it_is_one_processs_and_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = MarkerLock(path)
    lock.acquire()
    with pytest.raises(filelock.Timeout):
        MarkerLock(path).acquire()
    lock.release()
    MarkerLock(path).acquire()
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"12\nanother\n", b"\xff" * 100])
def test_an_empty_or_damaged_file_keeps_nobody_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    MarkerLock(path).acquire()
    assert path.read_text() == f"{current_owner().mark}\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def test_that_of_a_dead_process_is_taken_over_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = current_owner()
    for owner, is_dead in (
        (replace(mine, start=mine.start - 1), True),
        (mine, False),
        (replace(mine, place="0" * 8), False),
    ):
        path.write_text(f"{owner.mark}\n")
        if is_dead:
            MarkerLock(path).acquire()
            continue
        with pytest.raises(filelock.Timeout):
            MarkerLock(path).acquire()
        assert path.read_text() == f"{owner.mark}\n"


def test_a_lock_that_was_broken_is_not_dropped_for_its_new_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = MarkerLock(path)
    lock.acquire()
    theirs = f"{replace(current_owner(), place='0' * 8).mark}\n"
    path.write_text(theirs)
    lock.release()
    assert path.read_text() == theirs


def test_who_takes_it_between_a_look_and_a_grasp_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.write_text("")
    theirs = f"{current_owner().mark}\n"
    rename = Path.rename

    def rename_late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        self.write_text(theirs)  # another thread or process has taken it over
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_late)
    with pytest.raises(filelock.Timeout):
        MarkerLock(path).acquire()
    assert path.read_text() == theirs
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def test_a_disk_without_hard_links_keeps_others_out_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path, __: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    lock = MarkerLock(tmp_path / "lock")
    lock.acquire()
    with pytest.raises(filelock.Timeout):
        MarkerLock(tmp_path / "lock").acquire()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tfxfer.run.marker_lock import MarkerLock\n"
        "MarkerLock(Path(sys.argv[1])).acquire()\nos._exit(0)\n"
    )
    path = tmp_path / "lock"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=120)
    assert path.read_text() != f"{current_owner().mark}\n"
    MarkerLock(path).acquire()
    assert path.read_text() == f"{current_owner().mark}\n"


def test_a_temporary_file_that_cannot_go_does_not_lose_a_lock_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_unlink = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name != "lock":
            raise PermissionError(13, "Permission denied")
        whole_unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    lock = MarkerLock(tmp_path / "lock")
    lock.acquire()
    with pytest.raises(filelock.Timeout):
        MarkerLock(tmp_path / "lock").acquire()
    lock.release()
    assert not (tmp_path / "lock").exists()
