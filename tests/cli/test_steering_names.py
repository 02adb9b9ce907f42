"""Names of files reach a terminal with their control characters as visible escapes."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tfxfer.cli.output import Output

NAME = "a\x1b[2J\u202eb.jpg"
SHOWN = "a\\x1b[2J\\u202eb.jpg"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_results_steer_no_terminal(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, output = kind(), Output()
    monkeypatch.setattr("sys.stdout", stream)
    output.show(f"{NAME}\nsecond")
    output.show_table(("IMAGE",), [(NAME,)])
    assert "\x1b[2J" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()
    assert f"{SHOWN}\nsecond\n" in stream.getvalue()
    assert stream.getvalue().count(SHOWN) == 2


@pytest.mark.parametrize("say", [Output.print, Output.warn, Output.alarm])
def test_remarks_steer_no_terminal(
    say: Callable[[Output, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(Output(), NAME)
    assert SHOWN in capsys.readouterr().err
