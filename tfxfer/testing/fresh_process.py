"""What importing a plugin brings, found out in a process that has imported nothing yet."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tfxfer.system.process import ask_child

__all__ = ["HEAVY", "Imports", "find_imports"]

HEAVY = ("tensorflow", "keras", "jax", "torch")
"""Packages that take seconds to import."""

_IMPORT_TIMEOUT_S = 60.0

_IMPORT = """
import importlib, runpy
question = read_question()
error = None
try:
    try:
        importlib.import_module(question["module"])
    except ModuleNotFoundError as missing:
        # pytest gives a test module a name that is on no path.
        if not question["file"] or not question["module"].startswith(missing.name):
            raise
        runpy.run_path(question["file"])
except BaseException as raised:
    error = f"{type(raised).__name__}: {raised}"
heavy = [name for name in question["heavy"] if name in sys.modules]
answer({"heavy": heavy, "error": error})
"""


@dataclass(frozen=True)
class Imports:
    """What importing a module in a process of its own brought.

    Args:
        heavy: which of `HEAVY` came with it.
        error: what it raised; None where it imported.
    """

    heavy: tuple[str, ...]
    error: str | None


def find_imports(module: str, *, timeout_s: float = _IMPORT_TIMEOUT_S) -> Imports:
    """Returns what importing a module brings, found out in another process.

    Args:
        module: by its name; one that only lives in a file, as a test does, is run from there.
        timeout_s: how long the import may take, in seconds.
    """
    question = {
        "module": module,
        "file": getattr(sys.modules.get(module), "__file__", None),
        "heavy": HEAVY,
    }
    outcome = ask_child(_IMPORT, question, timeout_s=timeout_s)
    if not outcome.answers:
        return Imports((), f"it {outcome.end}")
    (answer,) = outcome.answers
    return Imports(tuple(answer["heavy"]), answer["error"])
