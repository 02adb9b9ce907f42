"""Imports a component in a process of its own, so that one that hangs or crashes harms nobody."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from tfxfer.errors import TfxferError
from tfxfer.registry.component import Component
from tfxfer.registry.discovery import GROUPS

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["find_fault"]


def find_fault(component: Component, *, timeout_s: float) -> str | None:
    """Returns what is wrong with a component, found out in another process; None if nothing."""
    (group,) = (group for group, kind in GROUPS.items() if kind == component.kind)
    question = json.dumps(
        {
            "path": sys.path,
            "point": [component.name, component.value, group],
            "distribution": component.distribution,
        }
    )
    code = (
        "import json, sys; question = json.loads(sys.argv[1]); sys.path[:] = question['path'];"
        "from tfxfer.registry.lookup import Registry;"
        "from tfxfer.registry.isolation import _answer; _answer(question, Registry)"
    )
    # Files instead of pipes: what a plugin starts may outlive it and would keep a pipe open.
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as noise:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", code, question],
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=noise,
            start_new_session=True,
        )
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return f"its import did not end within {timeout_s:g} s [{component.origin}]"
        finally:
            if process.poll() is None:
                _end(process)
        answer.seek(0)
        noise.seek(0)
        text = answer.read()
        if not text:
            last = (noise.read().strip().splitlines() or ["no message"])[-1]
            return (
                f"its import ended Python with exit code {process.returncode}: {last} "
                f"[{component.origin}]"
            )
    error: str | None = json.loads(text)["error"]
    return error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and, where there are process groups, all that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:  # pragma: no cover - Windows
        process.kill()
    process.wait()


def _answer(
    question: Mapping[str, Any], make_registry: Callable[[list[EntryPoint]], Registry]
) -> None:
    """Runs in the process of a check: writes {"error": …} to what was stdout.

    The class `Registry` is handed in, since its own module leads to this one.
    """
    # Whatever the plugin prints must not get between us and the answer.
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        point = EntryPoint(*question["point"])
        try:
            dist = importlib.metadata.distribution(question["distribution"])
            installed = [p for p in dist.entry_points if _key(p) == _key(point)]
        except (importlib.metadata.PackageNotFoundError, ValueError):
            installed = []
        registry = make_registry(installed[:1] or [point])
        (component,) = registry.list()
        error = None
        try:
            registry.load_component(component)
        except TfxferError as problem:
            error = str(problem)
        json.dump({"error": error}, answer)
    # A plugin's threads or exit handlers must not make the process hang after its answer.
    os._exit(0)


def _key(point: EntryPoint) -> tuple[str, str, str]:
    return point.group, point.name, point.value
