"""What dead processes left goes; nothing of a living process does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import tfxfer
from tfxfer.system import scratch
from tfxfer.system.files import TEMPORARY, atomic_write
from tfxfer.system.owner import Owner, current_owner
from tfxfer.system.scratch import (
    find_remains,
    make_scratch_folder,
    name_aside,
    name_temporary,
    remove_dead,
    scratch_folder,
)

_WRITES = """
import sys
from pathlib import Path
from tfxfer.system.files import atomic_write
from tfxfer.system.scratch import make_scratch_folder
parent = Path(sys.argv[1])
cache = make_scratch_folder("cache", parent=parent)
(cache / "0.bin").write_bytes(bytes(1000))
with atomic_write(parent / "model.keras") as temporary:
    temporary.write_bytes(bytes(500))
    print(temporary.name, cache.name, flush=True)
    input()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], set[str]]]:
    """A process that is in the midst of writing, and the names of what it writes."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        yield started, set(started.stdout.readline().split())
        started.kill()


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def dead(owner: Owner | None = None) -> Owner:
    """Returns an owner whose number a process has, this one, that began at another time."""
    owner = owner or current_owner()
    return replace(owner, start=owner.start - 1)


def put(folder: Path, name: str, *, is_folder: bool = False) -> Path:
    path = folder / name
    if is_folder:
        path.mkdir()
        (path / "inside").write_text("data")
    else:
        path.write_text("data")
    return path


def test_what_a_living_process_writes_stays_and_goes_when_it_is_killed(
    tmp_path: Path, writer: tuple[subprocess.Popen[str], set[str]]
) -> None:
    process, names = writer
    assert len(names) == 2
    assert remove_dead(tmp_path) == ()
    assert list_names(tmp_path) == names
    with scratch_folder("cache", parent=tmp_path):
        assert names < list_names(tmp_path)
    process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    process.wait(30)
    assert list_names(tmp_path) == names
    # The next one that needs room there makes it.
    with scratch_folder("cache", parent=tmp_path) as folder:
        assert list_names(tmp_path) == {folder.name}


def test_the_check_above_fails_where_the_living_are_taken_for_dead(
    tmp_path: Path,
    writer: tuple[subprocess.Popen[str], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Owner, "look_up", lambda _: "dead")
    _, names = writer
    assert {remains.path.name for remains in remove_dead(tmp_path)} == names
    assert list_names(tmp_path) == set()


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("prefix", [".model.tmp-", "tfxfer-cache-", ".a.tmp-1.tmp-"])
def test_marks_decide(tmp_path: Path, prefix: str, is_folder: bool) -> None:
    suffix = "" if prefix.startswith("tfxfer") else ".keras"
    owners = {
        "mine": current_owner(),
        "recycled": dead(),
        "elsewhere": replace(current_owner(), place="0" * 8),
    }
    paths = {
        word: put(tmp_path, f"{prefix}{owner.mark}-0123abcd{suffix}", is_folder=is_folder)
        for word, owner in owners.items()
    }
    lives = {remains.path: remains.life for remains in find_remains(tmp_path)}
    assert lives == {
        paths["mine"]: "alive",
        paths["recycled"]: "dead",
        paths["elsewhere"]: "elsewhere",
    }
    assert [remains.path for remains in remove_dead(tmp_path)] == [paths["recycled"]]
    assert set(tmp_path.iterdir()) == {paths["mine"], paths["elsewhere"]}


@pytest.mark.parametrize(
    "name",
    [
        "{mark}",
        "tfxfer-{mark}-0123abcd",
        "tfxfer-cache-abcdefgh",  # of an earlier version: nobody knows whose it is
        "tfxfer-cache-{mark}",
        "tfxfer-cache-{mark}-0123abcd.tar.gz",
        "my tfxfer-cache-{mark}-0123abcd",
        "model.tmp-{mark}-0123abcd.keras",
        ".model.tmp-{mark}-0123.keras",
        ".model.tmp-12ab34cd.keras",
        "photo.jpg",
    ],
)
def test_what_only_looks_like_a_temporary_file_is_somebodys(tmp_path: Path, name: str) -> None:
    put(tmp_path, name.format(mark=dead().mark))
    assert list(find_remains(tmp_path)) == []
    assert remove_dead(tmp_path) == ()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users")
def test_nothing_of_other_users_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, f"tfxfer-cache-{dead().mark}-0123abcd", is_folder=True)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert remove_dead(tmp_path) == ()
    assert path.is_dir()
    monkeypatch.setattr(os, "geteuid", lambda: me)
    assert [remains.path for remains in remove_dead(tmp_path)] == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_links_are_not_followed(tmp_path: Path) -> None:
    """In a common folder anybody can make a link that looks like ours."""
    precious = put(tmp_path, "precious", is_folder=True)
    link = tmp_path / f"tfxfer-cache-{dead().mark}-0123abcd"
    link.symlink_to(precious)
    assert remove_dead(tmp_path) == ()
    assert (precious / "inside").is_file()
    inner = put(tmp_path, f"tfxfer-cache-{dead().mark}-0123abce", is_folder=True)
    (inner / "link").symlink_to(precious)
    assert [remains.path for remains in remove_dead(tmp_path)] == [inner]
    assert (precious / "inside").is_file()


def test_what_was_set_aside_goes_back_where_nothing_has_replaced_it(tmp_path: Path) -> None:
    temporary = name_temporary(tmp_path / "edge.d")
    name = name_aside(temporary).name.replace(current_owner().mark, dead().mark)
    aside = put(tmp_path, name, is_folder=True)
    assert aside.match(TEMPORARY)
    assert [remains.place for remains in find_remains(tmp_path)] == [tmp_path / "edge.d"]
    assert remove_dead(tmp_path) == ()
    assert (tmp_path / "edge.d" / "inside").is_file()
    # Beside what has replaced it, it is no more than any other.
    put(tmp_path, name, is_folder=True)
    assert len(remove_dead(tmp_path)) == 1
    assert list_names(tmp_path) == {"edge.d"}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list(find_remains(tmp_path / "none")) == []


@pytest.mark.parametrize(
    "stem", ["a" * 255, "a" * 249, "ü" * 120, "日" * 83, "a", "bad\udcff"], ids=len
)
@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_no_name_is_too_long_for_a_temporary_file(tmp_path: Path, stem: str, suffix: str) -> None:
    path = tmp_path / f"{stem[: 255 - len(suffix)]}{suffix}"
    with atomic_write(path) as temporary:
        assert temporary.name.endswith(suffix)
        assert len(os.fsencode(name_aside(temporary).name)) <= 255
        temporary.write_text("whole")
        (remains,) = find_remains(tmp_path)
        assert (remains.path, remains.owner) == (temporary, current_owner())
    assert path.read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_scratch_folder_is_this_users_alone(tmp_path: Path) -> None:
    folder = make_scratch_folder("cache", parent=tmp_path)
    assert sys.platform == "win32" or folder.stat().st_mode & 0o077 == 0
    (remains,) = find_remains(tmp_path)
    assert (remains.path, remains.life) == (folder, "alive")


def test_no_two_names_are_alike(tmp_path: Path) -> None:
    assert len({scratch.name_temporary(tmp_path / "a.txt") for _ in range(100)}) == 100


ROOT = Path(tfxfer.__file__).parent.parent
NAMED_BY_TEMPFILE = {
    # A log is for people, and stays until they have read it.
    "tfxfer/cli/main.py": {"mkstemp"},
    # Inside a scratch folder.
    "tools/tfxfer_edge/tflite/assets.py": {"mkdtemp"},
}


def test_nothing_temporary_is_made_without_an_owner() -> None:
    """Files without a name, `TemporaryFile`, go with their process."""
    found: dict[str, set[str]] = {}
    sources = [*ROOT.glob("tfxfer/**/*.py"), *ROOT.glob("tools/tfxfer_edge/**/*.py")]
    sources += ROOT.glob("plugins/*/tfxfer_*/**/*.py")
    assert len(sources) > 300
    for path in sources:
        makers = re.findall(
            r"\b(mkdtemp|mkstemp|TemporaryDirectory|NamedTemporaryFile|SpooledTemporaryFile)\(",
            "\n".join(x for x in path.read_text("utf-8").split("\n") if ">>>" not in x),
        )
        if makers:
            found[path.relative_to(ROOT).as_posix()] = set(makers)
    assert found == NAMED_BY_TEMPFILE
