"""Imports what is installed in another process, since an import may hang, crash or take long."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tfxfer.doctor.environment import DEVICES, Device, Package, Trial
from tfxfer.system.process import ask_child

__all__ = ["MODULES", "choose_modules", "try_imports"]

# TensorFlow first: keras imports it, and on what then hangs or crashes is said who is to blame.
MODULES = {
    "tensorflow": "tensorflow",
    "jax": "jax",
    "keras": "keras",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "litert-quantizer": "litert_quantizer",
    "tf-keras": "tf_keras",
    "tensorflow-hub": "tensorflow_hub",
    "tensorflow-text": "tensorflow_text",
    "keras-hub": "keras_hub",
    "mediapipe": "mediapipe",
}
_ON_TENSORFLOW = {"keras", "tf_keras", "tensorflow_hub", "tensorflow_text", "keras_hub", DEVICES}
_ON_KERAS = {"keras_hub", "tensorflow_hub"}


def choose_modules(packages: Mapping[str, Package], *, has_tensorflow: bool) -> tuple[str, ...]:
    """Returns the modules whose import is worth a try, in order."""
    names = {*packages, *(["tensorflow"] if has_tensorflow else [])}
    return tuple(module for name, module in MODULES.items() if name in names)


def try_imports(
    modules: Sequence[str], *, backend: str, timeout_s: float
) -> tuple[tuple[Trial, ...], tuple[Device, ...] | None]:
    """Imports modules one after the other, and lists the devices of the backend.

    Args:
        modules: in order. What needs TensorFlow is not tried where that fails.
        backend: `tensorflow` or `jax`; it is asked for its devices if it is among the modules.
        timeout_s: how long all of it may take, in seconds; what a crash cuts off starts anew.

    Returns:
        How each went, and the devices; None where they could not be listed. What was not tried is
        not there.
    """
    steps = list(modules)
    if backend in steps:
        steps.insert(steps.index(backend) + 1, DEVICES)
    trials: list[Trial] = []
    devices: tuple[Device, ...] | None = None
    while steps:
        found, listed = _run(steps, timeout_s)
        trials += found
        devices = devices if listed is None else listed
        if found[-1].hung:
            break  # the rest would take as long
        consequences = _find_consequences(trials, backend)
        steps = [step for step in steps[len(found) :] if step not in consequences]
    consequences = _find_consequences(trials, backend)
    return tuple(trial for trial in trials if trial.module not in consequences), devices


def _find_consequences(trials: Iterable[Trial], backend: str) -> set[str]:
    """Returns the steps that fail because another did: their fault is told once."""
    failed = {trial.module for trial in trials if trial.error}
    found: set[str] = set()
    if "tensorflow" in failed:
        found |= _ON_TENSORFLOW
    if backend in failed:
        found |= {DEVICES, "keras", *_ON_KERAS}
    if "keras" in failed:
        found |= _ON_KERAS
    return found


def _run(steps: Sequence[str], timeout_s: float) -> tuple[list[Trial], tuple[Device, ...] | None]:
    """Tries steps in one process, until it is through or dies of one."""
    outcome = ask_child(
        "from tfxfer.doctor.trials import _try_steps\n"
        "for line in _try_steps(read_question()):\n    answer(line)\n",
        list(steps),
        timeout_s=timeout_s,
    )
    lines = outcome.answers
    trials = [Trial(**line["trial"]) for line in lines if "trial" in line]
    devices = [
        tuple(Device(*each) for each in line["devices"]) for line in lines if "devices" in line
    ]
    if len(trials) < len(steps):
        step = steps[len(trials)]
        trials.append(Trial(step, f"it {outcome.end}", signal=outcome.signal, hung=outcome.hung))
    return trials, devices[-1] if devices else None


def _try_steps(steps: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Runs in the process of the trials: yields how each step went."""
    backend = ""
    for step in steps:
        error, missing = None, ""
        try:
            if step == DEVICES:
                yield {"devices": _list_devices(backend)}
            else:
                backend = step
                importlib.import_module(step)
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - any code may run here
            text = (str(raised).strip().splitlines() or ["no message"])[0]
            error = f"{type(raised).__name__}: {text}"
            missing = (raised.name or "") if isinstance(raised, ModuleNotFoundError) else ""
        yield {"trial": {"module": step, "error": error, "missing": missing}}


def _list_devices(backend: str) -> list[tuple[str, str]]:
    module: Any = sys.modules[backend]
    if backend == "jax":
        return [(device.platform, str(device)) for device in module.devices()]
    found = module.config.list_physical_devices()
    return [(device.device_type.lower(), device.name) for device in found]
