"""The command that asks for a training, as a person types it."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from tfxfer.job.request import TrainRequest

__all__ = ["write_command"]

_NAMES = {"budget_seconds": "budget", "from_run": "from"}
_NEGATIVES = {"cache": "no-cache", "calibrate": "no-calibration"}
# What the command line cannot say, or says in another way below.
_OTHERS = ("data", "head_options", "view_options")


def write_command(request: TrainRequest) -> str:
    """Returns the command that repeats a training; what is as by default is not typed.

    Args:
        request: what was asked for.

    Example:
        >>> write_command(TrainRequest("my photos", "tiny", budget_seconds=90.0, cache=False))
        "tfxfer train 'my photos' --backbone tiny --budget 90s --no-cache"
    """
    words = ["tfxfer", "train", request.data]
    for item in dataclasses.fields(request):
        value = getattr(request, item.name)
        if item.name in _OTHERS or value == item.default:
            continue
        if item.name in _NEGATIVES:
            words.append(f"--{_NEGATIVES[item.name]}")
            continue
        words.append(f"--{_NAMES.get(item.name, item.name).replace('_', '-')}")
        if value is not True:
            words += _write_value(item.name, value)
    if request.view_options == {"flip": False}:
        words.append("--no-flip")
    return shlex.join(words)


def _write_value(name: str, value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [",".join(map(str, value))]
    return [f"{value:g}s" if name == "budget_seconds" else str(value)]
