"""An owner is a process, not a number that the next process may get."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer.system import owner
from tfxfer.system.owner import Owner, current_owner

_SAYS_ITS_MARK = (
    "from tfxfer.system.owner import current_owner\n"
    "print(current_owner().mark, flush=True)\ninput()"
)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """One that says its mark, and lives until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _SAYS_ITS_MARK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        yield started
        started.kill()


def read_owner(process: subprocess.Popen[str]) -> Owner:
    assert process.stdout is not None
    found = Owner.from_mark(process.stdout.readline().strip())
    assert found is not None
    return found


def test_this_process_is_alive_and_says_so_in_its_mark() -> None:
    mine = current_owner()
    assert mine.pid == os.getpid()
    assert mine.start > 0
    assert Owner.from_mark(mine.mark) == mine
    assert mine.look_up() == "alive"


def test_another_process_is_alive_until_it_is_killed(process: subprocess.Popen[str]) -> None:
    theirs = read_owner(process)
    assert theirs.pid == process.pid
    assert theirs.place == current_owner().place
    assert theirs.look_up() == "alive"
    process.kill()
    process.wait(30)
    assert theirs.look_up() == "dead"


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="processes that wait to be buried")
def test_one_that_nobody_has_buried_is_dead(process: subprocess.Popen[str]) -> None:
    # A container's first process often buries nobody: the number stays taken.
    theirs = read_owner(process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(process.pid, 0)  # still there
    assert theirs.look_up() == "dead"


def test_a_number_that_was_given_again_is_no_living_owner() -> None:
    mine = current_owner()
    assert replace(mine, start=mine.start - 1).look_up() == "dead"


def test_of_another_machine_nothing_is_known() -> None:
    mine = current_owner()
    assert replace(mine, place="0" * 8).look_up() == "elsewhere"
    assert replace(mine, start=1, place="0" * 8).look_up() == "elsewhere"


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill")
@pytest.mark.parametrize(
    ("error", "life"), [(PermissionError, "alive"), (ProcessLookupError, "dead")]
)
def test_a_process_that_is_hidden_from_us_may_be_the_one(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError], life: str
) -> None:
    mine = current_owner()

    def kill(_: int, __: int) -> None:
        raise error

    def hide(_: int) -> None:
        return None

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(owner, "_read_start", hide)
    assert mine.look_up() == life


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_programs_name_may_look_like_the_end_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = " ".join(["S", *map(str, range(4, 53))])

    def read_text(_: Path, **__: object) -> str:
        return f"12 (a) b) (c) {fields}\n"

    monkeypatch.setattr(Path, "read_text", read_text)
    assert owner._read_start(12) == 22


@pytest.mark.parametrize(
    "mark", ["", "12", "12-34", "12-34-0123abcg", "12-34-0123abcd-", "x12-34-0123abcd", "1-2-3"]
)
def test_what_is_no_mark_has_no_owner(mark: str) -> None:
    assert Owner.from_mark(mark) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_is_another_process() -> None:
    before = current_owner()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, current_owner().mark.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        theirs = Owner.from_mark(answer.read())
    assert theirs is not None
    assert theirs.pid == child != before.pid
    assert current_owner() == before
