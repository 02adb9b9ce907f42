"""A child answers, or it is said how it ended; what it started ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tfxfer.system.process import Child, Outcome, ask_child

from ..peak import PEAK_BYTES

HANG = "import time\ntime.sleep(600)"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups")


def ask(code: str, question: object = None, *, timeout_s: float = 60) -> Outcome:
    return ask_child(code, question, timeout_s=timeout_s)


def test_what_is_printed_is_no_answer() -> None:
    outcome = ask(
        "print('a banner')\nos.write(1, b'native')\n"
        "question = read_question()\nanswer(question)\n"
        "print('more')\nanswer([question['a'], None])",
        {"a": "ü\ud800"},
    )
    assert outcome.answers == ({"a": "ü\ud800"}, ["ü\ud800", None])
    assert (outcome.signal, outcome.hung) == (0, False)


def test_it_imports_what_we_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_of_this_test.py").write_text("VALUE = 3")
    monkeypatch.syspath_prepend(tmp_path)
    assert ask("import module_of_this_test as found\nanswer(found.VALUE)").answers == (3,)
    # And nothing that lies where it is started.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [x for x in sys.path if x not in ("", str(tmp_path))])
    assert ask("import module_of_this_test\nanswer(3)").answers == ()


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("raise ValueError('first')", "ended Python with exit code 1: ValueError: first"),
        ("sys.exit(7)", "ended Python with exit code 7: no message"),
        ("os.write(2, b'noise \\xff\\n\\n')\nos._exit(3)", "exit code 3: noise \ufffd"),
        ("os._exit(0)", "ended Python with exit code 0: no message"),
    ],
)
def test_how_it_ended_is_said(code: str, end: str) -> None:
    outcome = ask(f"answer(1)\nanswers.write('[1, ')\nanswers.flush()\n{code}\nanswer(2)")
    # What it had said until then is there; what was cut off is not.
    assert outcome.answers == (1,)
    assert outcome.end.endswith(end)


@posix
def test_a_signal_is_told() -> None:
    outcome = ask("os.abort()")
    assert (outcome.signal, outcome.hung) == (signal.SIGABRT, False)
    assert outcome.end.startswith("ended Python with signal 6")


def mark(path: Path) -> str:
    """Returns code that makes a file: how far a child is, however slow the machine."""
    return f"open({str(path)!r}, 'w').close()\n"


def wait_for(path: Path) -> None:
    end = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_hangs_is_ended(tmp_path: Path) -> None:
    with Child(f"answer(1)\n{mark(tmp_path / 'hangs')}{HANG}") as child:
        wait_for(tmp_path / "hangs")
        started = time.monotonic()
        outcome = child.ask(None, timeout_s=0.5)
        took = time.monotonic() - started
    assert (outcome.answers, outcome.hung) == ((1,), True)
    assert outcome.end == "did not end within 0.5 s"
    # Ten minutes if nobody ended it.
    assert took < 300


@pytest.mark.parametrize(
    "code",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
        "import atexit, time\natexit.register(time.sleep, 600)",
    ],
)
def test_what_it_leaves_behind_does_not_hold_it(code: str) -> None:
    outcome = ask(f"{code}\nanswer(1)", timeout_s=300)
    assert (outcome.answers, outcome.hung) == ((1,), False)


GRANDCHILD = (
    "import subprocess\n"
    "process = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "answer(process.pid)\n"
)


@posix
@pytest.mark.parametrize(("rest", "timeout_s"), [("", 60), ("os._exit(3)", 60), (HANG, 0.5)])
def test_what_it_started_ends_with_it(rest: str, timeout_s: float, tmp_path: Path) -> None:
    with Child(f"{GRANDCHILD}{mark(tmp_path / 'started')}{rest}") as child:
        wait_for(tmp_path / "started")
        (pid,) = child.ask(None, timeout_s=timeout_s).answers
    assert is_gone(pid)


@posix
def test_an_interruption_ends_it_and_what_it_started(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with (  # noqa: PT012 - it has to have started something
        pytest.raises(KeyboardInterrupt),
        Child(f"{GRANDCHILD}open({str(path)!r}, 'w').write(str(process.pid) + ';')\n{HANG}"),
    ):
        while not path.exists() or not path.read_text().endswith(";"):
            time.sleep(0.05)
        raise KeyboardInterrupt
    assert is_gone(int(path.read_text().rstrip(";")))


def is_gone(pid: int) -> bool:
    for _ in range(200):
        # Nobody may have fetched its exit code in a container without an init.
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_the_look_for_what_is_gone_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with subprocess.Popen([sys.executable, "-c", HANG]) as process:
        assert not is_gone(process.pid)
        process.kill()


def test_it_works_before_it_is_asked(tmp_path: Path) -> None:
    with Child(f"{mark(tmp_path / 'works')}answer(read_question())") as child:
        wait_for(tmp_path / "works")
        assert child.ask(3, timeout_s=60).answers == (3,)


def test_a_child_that_nobody_asks_is_ended() -> None:
    with Child(HANG) as child:
        pid = child._process.pid
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(("held", "most"), [(0, 256 << 20), (384 << 20, 768 << 20)])
def test_the_peak_of_a_child_is_its_own(held: int, most: int) -> None:
    ours = bytearray(b"x") * (1 << 30)
    code = f"theirs = bytearray(b'x') * {held}\nanswer({PEAK_BYTES})\n"
    (peak,) = ask_child(code, None, timeout_s=60).answers
    assert len(ours) > most
    assert held <= peak < most
