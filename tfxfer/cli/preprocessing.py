"""What pixels go through before a model that does not say it, as users write it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

__all__ = ["PreprocessingType", "parse_preprocessing", "preprocessing_option"]

_RANGES = {"0..1": (0.0, 255.0), "-1..1": (127.5, 127.5)}


class PreprocessingType(click.ParamType):
    """What `parse_preprocessing` takes."""

    name = "preprocessing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns what the text names."""
        if not isinstance(value, str):
            return value
        try:
            return parse_preprocessing(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_preprocessing(text: str) -> Any:
    """Returns what `--preprocessing` names: `in_graph`, or a `Preprocessing`.

    Args:
        text: `in_graph`; `0..1` or `-1..1`, what pixels become; or MEAN/STD in pixel units, one
            number each or three with commas.

    Raises:
        ValueError: none of them.

    Example:
        >>> parse_preprocessing("127.5/127.5") == parse_preprocessing("-1..1")
        True
    """
    from tfxfer.preprocessing import Preprocessing

    if text == "in_graph":
        return text
    if text in _RANGES:
        mean, std = _RANGES[text]
        return Preprocessing.from_mean_std(mean=mean, std=std)
    try:
        means, stds = ([float(number) for number in part.split(",")] for part in text.split("/"))
        if {len(means), len(stds)} - {1, 3} or not all(
            math.isfinite(number) for number in (*means, *stds)
        ):
            raise ValueError
        if not all(std > 0 for std in stds):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"expected in_graph, 0..1, -1..1, or MEAN/STD in pixel units such as 127.5/127.5. "
            f"Received: {text!r}"
        ) from None
    triples = [part * 3 if len(part) == 1 else part for part in (means, stds)]
    return Preprocessing.from_mean_std(mean=triples[0], std=triples[1])


def preprocessing_option(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds what pixels go through before a model file that does not say it of itself."""
    return click.option(
        "--preprocessing",
        type=PreprocessingType(),
        help="For a model file that does not say it, such as one of another tool: in_graph, 0..1, "
        "-1..1, or MEAN/STD in pixel units.",
    )(command)
