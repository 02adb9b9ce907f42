"""Types of options that several commands take."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tfxfer.errors import DataError
from tfxfer.system.bounded import MOST_LABELS_BYTES, read_text
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "FRACTION",
    "TIME",
    "Names",
    "break_lock_option",
    "column_options",
    "min_score_option",
    "model_options",
    "parse_time",
    "read_labels",
    "sample_column_option",
    "seed_option",
    "size_option",
    "weights_option",
]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)(?![a-z])\s*",
    re.ASCII,
)


def parse_time(text: str) -> float:
    """Returns the seconds that a time such as `90s`, `10m`, `10 mins` or `1h30m` stands for.

    Raises:
        ValueError: it is no such time, or nothing at all.

    Example:
        >>> parse_time("90s"), parse_time("10 mins"), parse_time("1h30m")
        (90.0, 600.0, 5400.0)
    """
    stripped = text.strip().lower()
    parts = list(_PART.finditer(stripped))
    seconds = sum(float(part[1]) * _SECONDS[part[2][0]] for part in parts)
    if "".join(part[0] for part in parts) != stripped or seconds <= 0:
        hint = f" Did you mean {stripped}s or {stripped}m?" if stripped.isdecimal() else ""
        raise ValueError(
            f"expected a time above zero such as 90s, 10m or 1h. Received: {text!r}.{hint}"
        )
    return seconds


class _Time(click.ParamType):
    """Seconds, typed with a unit."""

    name = "time"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


TIME = _Time()
"""Option type: `--budget 10m` arrives as 600.0."""


class _Fraction(click.ParamType):
    """A number 0..1, or the name of a stage."""

    name = "stage or fraction"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "STAGE|FRACTION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | float:
        try:
            number = float(value)
        except ValueError:
            return str(value)
        if not 0 <= number <= 1:
            self.fail(f"expected a stage's name or a fraction 0..1. Received: {value}", param, ctx)
        return number


FRACTION = _Fraction()
"""Option type: `--unfreeze-from 0.5` arrives as a number, `block_8` as text."""


class Names(click.ParamType):
    """Several words of a list, with commas between them.

    Args:
        words: that may be given.
    """

    name = "names"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Returns the words, each once."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))
        for name in names or ("",):
            if name not in self._words:
                hint = did_you_mean(name, self._words)
                expected = ", ".join(self._words)
                self.fail(f"expected some of: {expected}. Received: {name!r}.{hint}", param, ctx)
        return names


size_option = click.option(
    "--size",
    "--image-size",
    "size",
    type=click.IntRange(1),
    help="Of the input: the side of an image in pixels.  [default: the backbone's]",
)
"""Adds the size of a model that is built."""

weights_option = click.option(
    "--weights",
    default="default",
    show_default=True,
    help="Named source, path of a file, or `none` for random weights.",
)
"""Adds the weights of a model that is trained."""


def seed_option(words: str) -> Callable[[Any], Any]:
    """Returns what adds a seed.

    Args:
        words: its help, which says what is drawn with it.
    """
    return click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help=words)


break_lock_option = click.option(
    "--break-lock",
    is_flag=True,
    help="Write to the run although a process on another machine has its lock: that one is gone.",
)
"""Adds the way on from a lock that nobody here can look into."""


def model_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds what a model file outside of a run does not say of itself."""
    command = click.option(
        "--labels",
        "labels_file",
        help="File with one label a line, in the outputs' order; for a model outside of a run.",
    )(command)
    return click.option(
        "--head",
        help="For a model outside of a run.  [default: what the installed heads declare]",
    )(command)


def column_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds what the columns of a table are called, where that is not as ever."""
    command = click.option(
        "--label-column",
        metavar="NAME",
        help="Of a table, the column that holds the labels.  [default: label]",
    )(command)
    return sample_column_option(command)


def sample_column_option(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds what the column of a table is called that holds the samples."""
    return click.option(
        "--sample-column",
        "--text-column",
        "sample_column",
        metavar="NAME",
        help="Of a table, the column that holds the samples, such as texts, or their files.  "
        "[default: what their kind calls it: text, path]",
    )(command)


def min_score_option(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds the score below which a model is not sure."""
    return click.option(
        "--min-score",
        type=click.FloatRange(0, 1),
        metavar="S",
        help="Give no answer whose score is below S, 0 to 1: the model is not sure of it.",
    )(command)


def read_labels(path: str | None) -> tuple[str, ...] | None:
    """Returns the lines of a labels file."""
    if path is None:
        return None
    try:
        # Not splitlines: it also breaks at characters that a label may hold.
        lines = read_text(Path(path), MOST_LABELS_BYTES, encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(
            f"labels {path!r}: expected a text file with one label a line. Received: {error}."
        ) from error
    # As the labels of DATA: harmless to print, and equal to those of a run.
    return tuple(escape_controls(line.removesuffix("\r")) for line in lines if line.strip("\r"))
