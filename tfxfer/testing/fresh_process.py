"""What a plugin does in a Python process of its own: imports, and models loaded without tfxfer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfxfer.keras_private import flatten_layers
from tfxfer.testing.check import check, fail
from tfxfer.testing.subject import Subject

__all__ = [
    "HEAVY",
    "FreshProcess",
    "Imports",
    "find_custom_modules",
    "find_imports",
    "reload",
    "start_loader",
]

HEAVY = ("tensorflow", "keras", "jax", "torch")
"""Packages that take seconds to import."""

_IMPORT_TIMEOUT_S = 60.0
_LOAD_TIMEOUT_S = 300.0
_TOLERANCE = 1e-5  # of the outputs' own scale; the same file on the same machine gives 0

_IMPORT = """
import contextlib, importlib, json, runpy, sys
sys.path[:] = json.loads(sys.argv[1])
question = json.load(sys.stdin)
error = None
with contextlib.redirect_stdout(sys.stderr):
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
print(json.dumps({"heavy": heavy, "error": error}))
"""

_LOAD = """
import contextlib, importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tfxfer":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Blocker())
step, error = "import keras", None
with contextlib.redirect_stdout(sys.stderr):
    try:
        import keras
        import numpy as np

        question = json.load(sys.stdin)
        for module in question["modules"]:
            step = f"import {module}"
            importlib.import_module(module)
        step = "load"
        model = keras.models.load_model(question["model"])
        step = "call"
        rows = [model(image[None], training=False) for image in np.load(question["pixels"])]
        np.save(question["outputs"], np.concatenate([np.asarray(row) for row in rows]))
    except BaseException as raised:
        error = f"{type(raised).__name__}: {raised}"
print(json.dumps({"step": step, "error": error}))
"""


class FreshProcess:
    """Python code in a process of its own that answers one question; use as a context manager.

    Args:
        code: reads `sys.path` from its first argument and a question from stdin, both JSON; its
            last line on stdout is the answer, an object with `error`.
    """

    def __init__(self, code: str) -> None:
        # Files instead of pipes: what a plugin starts may outlive it and would keep a pipe open.
        self._answer = tempfile.TemporaryFile("w+")  # noqa: SIM115 - __exit__ closes it
        self._noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the same
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", code, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=self._answer,
            stderr=self._noise,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._answer.close()
        self._noise.close()

    def ask(self, question: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Returns the answer; its `error` says where there is none."""
        try:
            self._process.communicate(json.dumps(question), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return {"step": "start", "error": f"it did not end within {timeout_s:g} s"}
        self._answer.seek(0)
        self._noise.seek(0)
        lines = self._answer.read().strip().splitlines()
        if self._process.returncode or not lines:
            last = (self._noise.read().strip().splitlines() or ["no message"])[-1]
            error = f"Python ended with exit code {self._process.returncode}: {last}"
            return {"step": "start", "error": error}
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer


def start_loader() -> FreshProcess:
    """Returns a process that imports Keras, where `import tfxfer` fails, and waits for `reload`.

    Importing takes longer than all it does then: who knows that it will be needed starts it early.
    """
    return FreshProcess(_LOAD)


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
    with FreshProcess(_IMPORT) as process:
        answer = process.ask(question, timeout_s=timeout_s)
    return Imports(tuple(answer.get("heavy", ())), answer["error"])


def find_custom_modules(model: Any) -> tuple[str, ...]:
    """Returns the modules that define layers of the model which are not Keras's own."""
    import keras

    classes = {type(item) for item in (*flatten_layers(model), *model.operations)}
    modules = {item.__module__ for item in classes if item is not keras.Model}
    return tuple(sorted(m for m in modules if m.partition(".")[0] not in ("keras", "tfxfer")))


@check(
    "a fresh process without tfxfer loads the saved model and computes equal outputs",
    requires=("model",),
)
def reload(subject: Subject) -> None:
    """Saves the model, and loads it where `import tfxfer` fails."""
    import keras

    model = subject.model
    what = f"saved model of {subject.kind} {subject.name!r}"
    modules = find_custom_modules(model)
    with tempfile.TemporaryDirectory(prefix="tfxfer-check-") as name:
        folder = Path(name)
        # Without its loss, as a run saves it.
        keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(folder / "model.keras")
        np.save(folder / "pixels.npy", subject.pixels)
        question = {
            "modules": modules,
            "model": str(folder / "model.keras"),
            "pixels": str(folder / "pixels.npy"),
            "outputs": str(folder / "outputs.npy"),
        }
        with subject.loader or start_loader() as process:
            answer = process.ask(question, timeout_s=_LOAD_TIMEOUT_S)
        if answer["error"] is not None:
            _fail_to_load(what, answer["step"], answer["error"], modules)
        found = np.load(folder / "outputs.npy")
    off = _distance(found, subject.outputs)
    if not off <= _TOLERANCE:
        fail(
            what,
            expected=f"outputs equal within {_TOLERANCE:g} of their scale",
            received=f"difference={off:.3g}",
            fix="Something of the model is not in the file: get_config must return every argument.",
        )


def _fail_to_load(what: str, step: str, error: str, modules: Sequence[str]) -> None:
    first = " ".join(error.split())[:400]
    if step.startswith("import "):
        fix = (
            f"Keep {step.removeprefix('import ')!r}, which defines layers of the model, free of "
            "tfxfer: a module that imports Keras alone, in a package whose __init__ imports the "
            "rest only when asked."
        )
    else:
        named = f" Layers of your own come from {', '.join(modules)}." if modules else ""
        fix = (
            f"Use Keras's layers, or register yours with "
            f"keras.saving.register_keras_serializable and a whole get_config.{named}"
        )
    fail(
        what,
        expected="keras.models.load_model to work where tfxfer is not installed",
        received=f"step={step!r}, {first}",
        fix=fix,
    )


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference, in units of the expected values' scale."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-6))
