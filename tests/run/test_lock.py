"""A run belongs to one living process at a time, and the message says to which."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from tfxfer import RunDirectory, RunError
from tfxfer.run.lock import hold_lock
from tfxfer.system.files import to_json
from tfxfer.system.owner import current_owner

MINE = f"process {os.getpid()} on {socket.gethostname()}"
HOLDER = ".lock-holder"


def test_lock_is_exclusive_and_released(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path)
    with run.lock():
        with pytest.raises(RunError, match=f"{MINE}. Wait"), RunDirectory(tmp_path).lock():
            pass
        with pytest.raises(RunError, match="in use"):
            RunDirectory.create(tmp_path, overwrite=True)
    with run.lock():
        pass
    assert not (tmp_path / HOLDER).exists()


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(KeyboardInterrupt), run.lock():
        raise KeyboardInterrupt
    with run.lock():
        pass


def test_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom tfxfer.run import RunDirectory\n"
        "with RunDirectory(sys.argv[1]).lock():\n    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
    (tmp_path / ".model.tmp-12ab.keras").write_text("half")
    assert (tmp_path / HOLDER).exists()
    with RunDirectory(tmp_path).lock():
        assert f'"pid": {os.getpid()}' in (tmp_path / HOLDER).read_text()
        assert not (tmp_path / ".model.tmp-12ab.keras").exists()


@pytest.mark.parametrize(
    "text",
    [
        "garbled",
        "[]",
        "{}",
        # A process that is alive, but has no lock: ours, and one on a machine that shares the disk.
        to_json({"pid": os.getpid(), "host": socket.gethostname()}),
        to_json({"pid": 1, "host": "another"}),
    ],
    ids=["garbled", "list", "empty", "ours", "another"],
)
def test_what_a_file_says_keeps_nobody_out(tmp_path: Path, text: str) -> None:
    for name in (".lock", HOLDER):
        (tmp_path / name).write_text(text)
    with RunDirectory(tmp_path).lock():
        assert f'"pid": {os.getpid()}' in (tmp_path / HOLDER).read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (to_json({"pid": 12, "host": "another"}), "process 12 on another"),
        ("garbled", "another process"),
        (to_json({"pid": "12"}), "another process"),
        (None, "another process"),
    ],
)
def test_who_has_the_lock_is_said_as_far_as_it_is_known(
    tmp_path: Path, text: str | None, words: str
) -> None:
    with RunDirectory(tmp_path).lock():
        if text is None:
            (tmp_path / HOLDER).unlink()
        else:
            (tmp_path / HOLDER).write_text(text)
        with (
            pytest.raises(RunError, match=f"Received: {words}. Wait"),
            hold_lock(tmp_path / ".lock"),
        ):
            pass


def test_a_disk_that_cannot_lock_files_still_keeps_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    run = RunDirectory.create(tmp_path / "run")
    with run.lock(), pytest.raises(RunError, match=MINE), RunDirectory(run.path).lock():
        pass
    with run.lock():
        pass
    # What is left of it is no result that a later run must spare.
    RunDirectory.create(run.path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_one_of_many_processes_gets_a_run_and_the_next_one_when_it_is_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / HOLDER).write_text("garbled")
    code = (
        "import sys, time\nfrom tfxfer.run import RunDirectory\n"
        "from tfxfer.errors import RunError\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try:\n"
        "    with RunDirectory(sys.argv[1]).lock():\n"
        "        print('mine', flush=True)\n        time.sleep(60)\n"
        "except RunError as error:\n    print(error, flush=True)\n"
    )
    start = str(time.time() + 2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), start], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        answers = [(process.stdout.readline(), process) for process in processes if process.stdout]
        ((_, winner),) = ((answer, each) for answer, each in answers if answer == "mine\n")
        assert sum("is in use" in answer for answer, _ in answers) == 3
        with (
            pytest.raises(RunError, match=f"process {winner.pid} on "),
            hold_lock(tmp_path / ".lock"),
        ):
            pass
        winner.send_signal(signal.SIGKILL)
        winner.wait(30)
        with hold_lock(tmp_path / ".lock"):
            pass
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def elsewhere(pid: int = 12) -> str:
    """Returns what a process on another machine says that has a lock."""
    mark = replace(current_owner(), pid=pid, place="0" * 8).mark
    return to_json({"pid": pid, "host": "another", "mark": mark})


def test_a_lock_of_another_machine_says_how_to_go_on_and_goes(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    with run.lock():
        # The process has this lock for the system, and says that it is on another machine.
        (run.path / HOLDER).write_text(elsewhere())
        with (
            pytest.raises(RunError, match=r"12 on another\. .*machine is gone: --break-lock"),
            run.lock(),
        ):
            pass
        run.break_lock()
        with run.lock():
            assert f'"pid": {os.getpid()}' in (run.path / HOLDER).read_text()


@pytest.mark.parametrize("text", [None, "garbled", to_json({"pid": 1, "host": "x", "mark": "m"})])
def test_no_lock_of_a_living_process_here_is_broken(tmp_path: Path, text: str | None) -> None:
    run = RunDirectory.create(tmp_path / "run")
    with run.lock():
        if text is not None:
            (run.path / HOLDER).write_text(text.replace('"x"', f'"{socket.gethostname()}"'))
        with pytest.raises(RunError, match=r"expected a lock of another machine\. Received: that"):
            run.break_lock()
        with pytest.raises(RunError, match="is in use"), RunDirectory(run.path).lock():
            pass


def test_a_lock_that_nobody_has_needs_no_breaking(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "none").break_lock()
    assert not (tmp_path / "none").exists()
    run = RunDirectory.create(tmp_path / "run")
    (run.path / HOLDER).write_text(elsewhere())
    run.break_lock()
    with run.lock():
        pass
