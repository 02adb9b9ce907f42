"""Looks at this machine: metadata of distributions, hardware, disks, and imports on demand."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

from tfxfer.doctor.environment import PROCESS, Device, Environment, Package, Trial
from tfxfer.doctor.hardware import find_caches, find_gpus, find_volumes
from tfxfer.doctor.leftovers import find_leftovers, list_places
from tfxfer.doctor.trials import choose_modules, try_imports
from tfxfer.registry.component import normalise_name
from tfxfer.registry.discovery import GROUPS
from tfxfer.registry.lookup import Registry
from tfxfer.system import keras_settings

__all__ = ["collect"]

_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "KAGGLEHUB_CACHE",
    "TFHUB_CACHE_DIR",
    "TF_USE_LEGACY_KERAS",
    *keras_settings.VARIABLES,
)


def collect(
    *,
    path: Sequence[str] | None = None,
    registry: Registry | None = None,
    variables: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    folders: Sequence[Path] = (),
) -> Environment:
    """Returns what is installed and how it is set up. Imports nothing heavy in this process.

    Args:
        path: folders to look for distributions in; None is `sys.path`.
        registry: what plugins bring; None is what the distributions found offer.
        variables: the environment; None is that of this process.
        timeout_s: how long importing may take, in seconds; None imports nothing at all, and asks
            no backend for its devices.
        folders: where leftovers are looked for, too; see `list_places`.
    """
    everything = os.environ if variables is None else variables
    settings = {name: everything[name] for name in _VARIABLES if name in everything}
    packages, points, unreadable = _read_distributions(path)
    config = keras_settings.locate_keras_home(settings) / "keras.json"
    found: dict[str, Any] = {
        # Not platform.python_version(), which is no version for packaging on a build from git.
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": sys.platform,
        "packages": packages,
        "unreadable": unreadable,
        "variables": settings,
        "keras_config": str(config),
        "keras_settings": keras_settings.read_keras_config(config),
        "gpus": find_gpus(),
        "volumes": find_volumes(settings),
        "caches": find_caches(settings),
        "leftovers": find_leftovers(list_places(folders)),
        "components": (registry or Registry(points)).list(),
    }
    environment = Environment(**found)
    if timeout_s is None:
        return environment
    trials: tuple[Trial, ...]
    devices: tuple[Device, ...] | None
    try:
        trials, devices = try_imports(
            choose_modules(packages, has_tensorflow=environment.tensorflow is not None),
            backend=environment.backend,
            timeout_s=timeout_s,
        )
    except OSError as error:  # no room for a temporary file, or no memory for a process
        trials, devices = (Trial(PROCESS, str(error)),), None
    return Environment(**found, trials=trials, devices=devices)


def _read_distributions(
    path: Sequence[str] | None,
) -> tuple[dict[str, Package], list[EntryPoint], tuple[str, ...]]:
    """Returns packages, our entry points, and the folders that cannot be read."""
    found: Iterable[Distribution] = (
        importlib.metadata.distributions()
        if path is None
        else importlib.metadata.distributions(path=list(path))
    )
    packages: dict[str, Package] = {}
    points: list[EntryPoint] = []
    unreadable: list[str] = []
    for dist in found:
        # One malformed distribution costs itself, not the others.
        try:
            metadata = dist.metadata
            name, version = str(metadata["Name"] or ""), str(metadata["Version"] or "")
            if not name or not version:
                raise ValueError("metadata without a name or a version")
            package = Package(normalise_name(name), version, tuple(dist.requires or ()))
            text = dist.read_text("entry_points.txt") or ""
            theirs = list(dist.entry_points) if "tfxfer." in text else []
        except Exception:  # noqa: BLE001 - whatever is wrong with one
            folder = getattr(dist, "_path", None)
            if folder is not None:  # without one there is nothing that anybody could remove
                unreadable.append(str(folder))
            continue
        # The first one on the path is the one that is imported.
        if package.name not in packages:
            packages[package.name] = package
            points += [point for point in theirs if point.group in GROUPS]
    return packages, points, tuple(unreadable)
