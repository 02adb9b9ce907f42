"""Imports a component in a process of its own, so that one that hangs or crashes harms nobody."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from tfxfer.errors import TfxferError
from tfxfer.registry.component import Component
from tfxfer.registry.discovery import GROUPS, read_name
from tfxfer.system.process import ask_child

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["find_fault"]


def find_fault(component: Component, *, timeout_s: float) -> str | None:
    """Returns what is wrong with a component, found out in another process; None if nothing."""
    (group,) = (group for group, kind in GROUPS.items() if kind == component.kind)
    outcome = ask_child(
        "from tfxfer.registry.isolation import _check\n"
        "from tfxfer.registry.lookup import Registry\n"
        "answer(_check(read_question(), Registry))",
        {
            "point": [component.name, component.value, group],
            "distribution": component.distribution,
        },
        timeout_s=timeout_s,
    )
    if not outcome.answers:
        return f"its import {outcome.end} [{component.origin}]"
    error: str | None = outcome.answers[0]
    return error


def _check(
    question: Mapping[str, Any], make_registry: Callable[[list[EntryPoint]], Registry]
) -> str | None:
    """Runs in the process of a check: returns what is wrong.

    The class `Registry` is handed in, since its own module leads to this one.
    """
    point = EntryPoint(*question["point"])
    try:
        dist = importlib.metadata.distribution(question["distribution"])
        installed = [p for p in dist.entry_points if p.group in GROUPS and _key(p) == _key(point)]
    except (importlib.metadata.PackageNotFoundError, ValueError):
        installed = []
    registry = make_registry(installed[:1] or [point])
    (component,) = registry.list()
    try:
        registry.load_component(component)
    except TfxferError as error:
        return str(error)
    return None


def _key(point: EntryPoint) -> tuple[str, str, str]:
    return point.group, read_name(GROUPS[point.group], point.name), point.value
