"""What a watch has seen of a training, as data, so that a later process goes on with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfxfer.errors import RunError
from tfxfer.system.files import to_plain
from tfxfer.system.records import read_record
from tfxfer.trust.course import Finding

__all__ = ["describe_watch", "restore_watch"]

_SETS = ("said", "acted", "fallen")


@dataclass(frozen=True)
class _State:
    """The fields of `Watch` that its findings follow from; losses of NaN are null in JSON."""

    findings: list[Finding]
    said: list[str]
    acted: list[str]
    fallen: list[str]
    before: list[float]
    losses: list[float]
    val_losses: list[float]
    rates: list[float]
    scores: list[float]
    slices: dict[str, list[float]]
    overall: list[float]
    wait: int
    ask_from: int


_NAMES = {name: name if name == "findings" else f"_{name}" for name in _State.__dataclass_fields__}


def describe_watch(watch: Any) -> dict[str, Any]:
    """Returns what a `Watch` has seen, in JSON's types."""
    found = {name: getattr(watch, attribute) for name, attribute in _NAMES.items()}
    found["findings"] = [finding.to_dict() for finding in watch.findings]
    plain: dict[str, Any] = to_plain(found)
    return plain


def restore_watch(watch: Any, state: Any) -> None:
    """Gives a `Watch` what an earlier one had seen.

    Args:
        watch: of the same training, within the same phase.
        state: from `describe_watch`, or the JSON of it.

    Raises:
        RunError: it is something else.
    """
    found = read_record(_State, state, where="watch", error=RunError, has_nan=True)
    for name, attribute in _NAMES.items():
        value = getattr(found, name)
        setattr(watch, attribute, set(value) if name in _SETS else value)
