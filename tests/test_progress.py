from __future__ import annotations

import io

import pytest

from tfxfer.progress import ConsoleProgress


def test_short_work_leaves_no_trace() -> None:
    stream = io.StringIO()
    with ConsoleProgress(enabled=True, stream=stream) as progress:
        for done in range(1, 101):
            progress("checking images", done, 100)
    assert stream.getvalue() == ""


def test_long_work_is_drawn() -> None:
    stream = io.StringIO()
    with ConsoleProgress(enabled=True, delay_s=0, stream=stream) as progress:
        for done in range(1, 4):
            progress("checking images", done, 4)
    assert "checking images" in stream.getvalue()
    assert "3/4" in stream.getvalue()


@pytest.mark.parametrize("enabled", [False, None])
def test_nothing_is_drawn_where_nobody_looks(enabled: bool | None) -> None:
    stream = io.StringIO()
    with ConsoleProgress(enabled=enabled, delay_s=0, stream=stream) as progress:
        progress("checking images", 1, 4)
    assert stream.getvalue() == ""
