"""Ctrl-C and SIGTERM wait for the step that is under way: once, and not for long."""

from __future__ import annotations

import functools
import io
import signal
import sys
import time

import pytest

from tfxfer.cli import output as module
from tfxfer.cli.main import _pass_over
from tfxfer.cli.output import Output, Session


@pytest.fixture
def session() -> Session:
    return Session(io.StringIO())


@pytest.fixture
def output(session: Session) -> Output:
    return Output(session=session)


def test_a_signal_waits_for_the_step(session: Session, output: Output) -> None:
    output.hold_signals(True)
    session.take_signal(signal.SIGINT, KeyboardInterrupt())
    assert output.interrupted
    output.hold_signals(False)
    with pytest.raises(KeyboardInterrupt):
        output.check_interrupt()


def test_between_steps_it_does_not_wait(session: Session, output: Output) -> None:
    output.check_interrupt()
    assert not output.interrupted
    stop = SystemExit("terminated")
    with pytest.raises(SystemExit) as caught:
        session.take_signal(signal.SIGINT, stop)
    assert caught.value is stop
    # Whoever swallowed it: it comes again, and it is the same.
    with pytest.raises(SystemExit):
        output.check_interrupt()


def test_a_second_signal_does_not_wait(session: Session, output: Output) -> None:
    output.hold_signals(True)
    session.take_signal(signal.SIGINT, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        session.take_signal(signal.SIGINT, KeyboardInterrupt())
    session.end_patience()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_step_that_takes_long_is_not_waited_for(
    session: Session, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    before = signal.signal(
        signal.SIGINT, lambda number, _: session.take_signal(number, KeyboardInterrupt())
    )
    try:
        output.hold_signals(True)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(60)
        # Once it is obeyed, nothing comes after it.
        session.stop = None
        output.hold_signals(True)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            output.check_interrupt()
        time.sleep(0.2)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_that_a_collector_swallowed_is_passed_over_and_nothing_else(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        session.take_signal(signal.SIGINT, KeyboardInterrupt())

    class Dying:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    def report(error: BaseException) -> str:
        Dying(error)
        return capsys.readouterr().err

    monkeypatch.setattr(sys, "unraisablehook", functools.partial(_pass_over, session))

    assert report(caught.value) == ""
    assert "ValueError: lost" in report(ValueError("lost"))
    assert "KeyboardInterrupt" in report(KeyboardInterrupt())
