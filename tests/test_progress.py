from __future__ import annotations

import io
import os
import time

import pytest

from tfxfer.progress import ConsoleProgress
from tfxfer.system.quiet import quiet_native


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_short_work_leaves_no_trace(kind: type[io.StringIO]) -> None:
    stream = kind()
    with ConsoleProgress(stream=stream) as progress:
        for done in range(1, 101):
            progress("checking images", done, 100)
        with progress.waiting("importing"):
            pass
    assert stream.getvalue() == ""


def test_long_work_is_drawn_on_a_terminal() -> None:
    stream = Terminal()
    with ConsoleProgress(delay_s=0, stream=stream) as progress:
        for done in range(1, 4):
            progress(f"training: epoch {done} of 4", done, 4)
    for words in ("training: epoch 3 of 4", "75%"):
        assert words in stream.getvalue()


def test_long_work_is_a_line_now_and_then_anywhere_else() -> None:
    stream = io.StringIO()
    with ConsoleProgress(delay_s=0, interval_s=3600, stream=stream) as progress:
        for done in range(1, 4):
            progress("checking images", done, 4)
        progress("checking images", 4, 4)
        progress("scoring images: val", 1, 2)
        progress("scoring images: test", 1, 2)
    first, second, third = stream.getvalue().splitlines()
    assert first.startswith("checking images: 25 %, about ")
    assert first.endswith(" left")
    assert second.startswith("checking images: done after ")
    # The detail is another, the work is the same: no line of its own.
    assert third.startswith("scoring images: val: 50 %")


def test_every_interval_has_its_line_although_nothing_calls() -> None:
    stream = io.StringIO()
    with (
        ConsoleProgress(delay_s=0.05, interval_s=0.1, stream=stream) as progress,
        progress.waiting("importing TensorFlow"),
    ):
        deadline = time.monotonic() + 20
        while stream.getvalue().count("so far") < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 4
    assert all(line.startswith("importing TensorFlow: ") for line in lines)
    assert lines[-1].startswith("importing TensorFlow: done after ")


def test_what_nobody_measures_has_no_percentage() -> None:
    stream = io.StringIO()
    with ConsoleProgress(delay_s=0, stream=stream) as progress:
        progress("building the model", 0, 0)
    assert stream.getvalue() == "building the model: 0 s so far\n"


def test_nothing_is_shown_where_nobody_looks() -> None:
    stream = io.StringIO()
    with ConsoleProgress(enabled=False, delay_s=0, stream=stream) as progress:
        progress("checking images", 1, 4)
        with progress.waiting("importing"):
            pass
    assert stream.getvalue() == ""


def test_lines_reach_stderr_although_native_code_is_silenced(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ConsoleProgress(delay_s=0) as progress, progress.waiting("importing"), quiet_native():
        os.write(2, b"noise")
        progress("importing", 0, 0)
    said = capfd.readouterr().err
    assert said.startswith("importing: ")
    assert "noise" not in said
