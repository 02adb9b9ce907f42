"""A child that answers one question after the other, or of which is said how it ended."""

from __future__ import annotations

import sys
import time

import psutil
import pytest

from tfxfer.system.dialogue import Dialogue, DialogueError

ECHO = """
print("a banner")
os.write(1, b"native")
while True:
    question, payload = read_question()
    if question == "hang":
        import time
        time.sleep(600)
    if question == "crash":
        os.abort()
    if question == "fail":
        raise ValueError("first")
    answer([question, len(payload)])
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups")


def test_one_answer_for_each_question() -> None:
    with Dialogue(ECHO) as child:
        assert child.ask("ü", timeout_s=60) == ["ü", 0]
        # More than any pipe holds.
        assert child.ask({"a": 1}, b"x" * (3 << 20), timeout_s=60) == [{"a": 1}, 3 << 20]
        pid = child.pid
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(pid)


def test_one_that_hangs_is_ended() -> None:
    started = time.monotonic()
    with Dialogue(ECHO) as child:
        child.ask(1, timeout_s=60)
        with pytest.raises(DialogueError, match=r"did not answer within 0\.5 s") as caught:
            child.ask("hang", b"x" * (3 << 20), timeout_s=0.5)
        assert caught.value.hung
        # What is asked afterwards is answered by nobody, and at once.
        with pytest.raises(DialogueError, match="did not answer"):
            child.ask(2, timeout_s=60)
    assert time.monotonic() - started < 30


@posix
def test_one_that_crashes() -> None:
    with Dialogue(ECHO) as child, pytest.raises(DialogueError, match="signal 6") as caught:
        child.ask("crash", timeout_s=60)
    assert not caught.value.hung


def test_one_that_ends_with_an_error() -> None:
    with (
        Dialogue(ECHO) as child,
        pytest.raises(DialogueError, match="exit code 1: ValueError: first"),
    ):
        child.ask("fail", timeout_s=60)


def test_one_that_never_reads() -> None:
    with (
        Dialogue("import time\ntime.sleep(600)") as child,
        pytest.raises(DialogueError, match="did not answer"),
    ):
        child.ask(1, b"x" * (3 << 20), timeout_s=1)
