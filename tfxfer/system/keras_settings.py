"""What another project may have told Keras, by variables and `keras.json`, read without Keras.

One rule for `tfxfer doctor`, which reports, and for whatever is about to train, score or export.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tfxfer.errors import SetupError
from tfxfer.system.shell import remove_file, set_variable, unset_variable

__all__ = [
    "VARIABLES",
    "KerasSetting",
    "Misfit",
    "check_keras_settings",
    "find_misfits",
    "list_settings",
    "locate_keras_home",
    "read_keras_config",
]

_BACKENDS = ("tensorflow", "jax")
# What preprocessing, stages and caches are written for, and Keras's own default.
_EXPECTED = {"image_data_format": "channels_last", "floatx": "float32"}
# Keras's switches for a quick try of a script: they end every training early without a word.
_LIMITS = {"max_epochs": "KERAS_MAX_EPOCHS", "max_steps_per_epoch": "KERAS_MAX_STEPS_PER_EPOCH"}

VARIABLES = ("KERAS_BACKEND", "KERAS_HOME", *_LIMITS.values())
"""Environment variables that are read here."""

_PROGRAM = "keras.config"
"""Origin of what the running program itself told Keras."""


@dataclass(frozen=True)
class KerasSetting:
    """One thing that Keras is told.

    Args:
        name: as in `keras.json`: `backend`, `image_data_format`, `floatx`, or a limit.
        value: as text.
        origin: the variable, the path of `keras.json`, or `keras.config`, the program itself.
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Misfit:
    """A setting that makes Keras another one than tfxfer is written for.

    Args:
        what: where it comes from, what was expected and received.
        remedy: the line that mends it.
        mends: modules whose failure to import the remedy mends, too.
        is_file: whether it stands in `keras.json`, which another project may want to keep.
    """

    what: str
    remedy: str
    mends: frozenset[str] = frozenset()
    is_file: bool = False


def locate_keras_home(variables: Mapping[str, str]) -> Path:
    """Returns the folder of Keras's settings and downloads, as Keras itself chooses it."""
    if variables.get("KERAS_HOME"):
        return Path(os.path.expanduser(variables["KERAS_HOME"]))  # noqa: PTH111 - never raises
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108


def read_keras_config(path: Path) -> dict[str, str]:
    """Returns what a `keras.json` says; nothing where it cannot be read, as for Keras."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: str(settings[key]) for key in settings} if isinstance(settings, dict) else {}


def list_settings(
    variables: Mapping[str, str], config: Mapping[str, str], *, path: str
) -> tuple[KerasSetting, ...]:
    """Returns what Keras is told before it starts: a variable wins over `keras.json`.

    Args:
        variables: the environment.
        config: what `keras.json` says.
        path: of that file.
    """
    found = {name: KerasSetting(name, value, path) for name, value in config.items()}
    if variables.get("KERAS_BACKEND"):
        found["backend"] = KerasSetting("backend", variables["KERAS_BACKEND"], "KERAS_BACKEND")
    for name, variable in _LIMITS.items():
        found.pop(name, None)  # Keras reads them from the environment alone
        if variable in variables:
            found[name] = KerasSetting(name, variables[variable], variable)
    return tuple(found.values())


def find_misfits(
    settings: Iterable[KerasSetting], *, has_jax: bool, platform: str = sys.platform
) -> Iterator[Misfit]:
    """Yields what is not as tfxfer needs it, the backend first. Pure.

    Args:
        settings: what Keras is told.
        has_jax: whether JAX is installed.
        platform: as `sys.platform`.
    """
    by_name = {setting.name: setting for setting in settings}
    if "backend" in by_name:
        backend, origin = by_name["backend"].value, by_name["backend"].origin
        if backend not in _BACKENDS:
            yield Misfit(
                f"{origin}: expected the backend tensorflow or jax. Received: {backend}.",
                set_variable("KERAS_BACKEND", "tensorflow", platform=platform),
                # What imports the backend and does not find it is mended, too.
                frozenset({"keras", backend}),
            )
        elif backend == "jax" and not has_jax:
            yield Misfit(
                f"{origin}: expected jax to be installed, which it asks for. Received: none.",
                "pip install jax",
                frozenset({"jax", "jaxlib"}),
            )
    for name, expected in _EXPECTED.items():
        setting = by_name.get(name)
        if setting is not None and setting.value != expected:
            # Of a file, Keras writes a new one with its defaults; no variable stands above it.
            in_program = setting.origin == _PROGRAM
            yield Misfit(
                f"{setting.origin}: expected {name} {expected}. Received: {setting.value}.",
                f"keras.config.set_{name}({expected!r})"
                if in_program
                else remove_file(setting.origin, platform=platform),
                is_file=not in_program,
            )
    for name, variable in _LIMITS.items():
        setting = by_name.get(name)
        if setting is not None:
            yield Misfit(
                f"{setting.origin}: expected no {name}, which ends every training early. "
                f"Received: {setting.value}.",
                f"keras.config.set_{name}(None)"
                if setting.origin == _PROGRAM
                else unset_variable(variable, platform=platform),
                frozenset({"keras"}),
            )


def check_keras_settings() -> None:
    """Refuses to go on with a Keras that another project has set up in a way of its own.

    Call it before any work, and before Keras is imported where that is possible: a Keras that is
    there already is asked what it is set to, another one is read from where it will look.

    Raises:
        SetupError: names the setting, the variable or file that it comes from, and the remedy.
    """
    path = locate_keras_home(os.environ) / "keras.json"
    settings = list_settings(os.environ, read_keras_config(path), path=str(path))
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is not None:
        settings = _observe(config, settings)
    # Whether JAX is there costs a look at every folder of the path: only who wants it asks.
    wants_jax = any(x.name == "backend" and x.value == "jax" for x in settings)
    has_jax = not wants_jax or find_spec("jax") is not None
    for misfit in find_misfits(settings, has_jax=has_jax):
        spare = f" Or leave the file to its project: {set_variable('KERAS_HOME', 'FOLDER')}"
        raise SetupError(
            f"{misfit.what} {misfit.remedy}{spare if misfit.is_file else ''}",
            what=misfit.what,
            remedy=misfit.remedy,
        )


def _observe(config: Any, settings: Iterable[KerasSetting]) -> tuple[KerasSetting, ...]:
    """Returns what a running Keras is set to, and where that came from."""
    told = {setting.name: setting for setting in settings}
    found = []
    for name in ("backend", *_EXPECTED, *_LIMITS):
        value = getattr(config, name)()
        if value is None:
            continue
        known = told.get(name)
        same = known is not None and known.value == str(value)
        found.append(known if same and known else KerasSetting(name, str(value), _PROGRAM))
    return tuple(found)
