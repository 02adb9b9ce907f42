"""Loads a saved model where the plugin was never imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from tfxfer.data.arrays import list_arrays
from tfxfer.keras_private import flatten_layers
from tfxfer.system.process import Child
from tfxfer.system.scratch import scratch_folder
from tfxfer.testing.check import check, fail
from tfxfer.testing.subject import Subject

__all__ = ["find_custom_modules", "reload", "start_loader"]

_LOAD_TIMEOUT_S = 300.0
_TOLERANCE = 1e-5  # of the outputs' own scale; the same file on the same machine gives 0

_LOAD = """
import importlib


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tfxfer":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Blocker())
step, error = "import keras", None
try:
    import keras
    import numpy as np

    question = read_question()
    for module in question["modules"]:
        step = f"import {module}"
        importlib.import_module(module)
    step = "load"
    model = keras.models.load_model(question["model"])
    step = "call"
    stored = np.load(question["values"])
    arrays = [stored[name] for name in stored.files]
    rows = []
    for number in range(len(arrays[0])):
        one = [values[number : number + 1] for values in arrays]
        rows.append(model(one if len(one) > 1 else one[0], training=False))
    np.save(question["outputs"], np.concatenate([np.asarray(row) for row in rows]))
except BaseException as raised:
    error = f"{type(raised).__name__}: {raised}"
answer({"step": step, "error": error})
"""


def start_loader() -> Child:
    """Returns a process that imports Keras, where `import tfxfer` fails, and waits for `reload`.

    Importing takes longer than all it does then: who knows that it will be needed starts it early.
    """
    return Child(_LOAD)


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
    """Saves the model as a run does, and loads it where `import tfxfer` fails."""
    from tfxfer.inference.keras_model import save_model

    model = subject.model
    what = f"saved model of {subject.kind} {subject.name!r}"
    modules = find_custom_modules(model)
    with scratch_folder("check") as folder:
        save_model(model, folder / "model.keras")
        np.savez(folder / "values.npz", *list_arrays(subject.values))
        question = {
            "modules": modules,
            "model": str(folder / "model.keras"),
            "values": str(folder / "values.npz"),
            "outputs": str(folder / "outputs.npy"),
        }
        with subject.loader or start_loader() as process:
            outcome = process.ask(question, timeout_s=_LOAD_TIMEOUT_S)
        if not outcome.answers:
            _fail_to_load(what, "start", f"it {outcome.end}", modules)
        (answer,) = outcome.answers
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


def _fail_to_load(what: str, step: str, error: str, modules: Sequence[str]) -> NoReturn:
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
