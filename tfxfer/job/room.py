"""Whether the disks hold what a training is about to write, told before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import StorageError
from tfxfer.training.plan import FitPlan

__all__ = ["Need", "check_room", "list_needs"]

_ITEM_BYTES = 4  # weights are float32, and so is what an optimizer keeps of each
_SMALL_BYTES = 4 * 2**20  # tables, figures and records


@dataclass(frozen=True)
class Need:
    """Room that something takes.

    Args:
        what: takes it, in words.
        folder: that it goes to, which need not be there yet.
        size_bytes: at most.
        remedy: the option that names another folder.
    """

    what: str
    folder: Path
    size_bytes: int
    remedy: str


def list_needs(model: Any, plan: FitPlan, out: Path, *, held_bytes: int = 0) -> tuple[Need, ...]:
    """Returns what a training writes, and where.

    A checkpoint holds the best weights and those of the network that is trained; of each value that
    is trained two moments of the optimizer, the running average, and what it goes on from. While
    one is written, the one before is there, too.

    Args:
        model: of the run.
        plan: of its training.
        out: the run directory.
        held_bytes: of cached activations that are there already.
    """
    weights = sum(_ITEM_BYTES * int(np.prod(item.shape)) for item in model.weights)
    trained = _ITEM_BYTES * max(item.trainable_parameters for item in plan.phases)
    checkpoint = 2 * weights + 4 * trained
    needs = [Need("checkpoints", out, 2 * checkpoint, "--out")]
    needs.append(Need("the model", out, weights + _SMALL_BYTES, "--out"))
    if plan.cache_place == "disk":
        folder = Path(plan.cache_folder)
        cache = max(0, plan.cache_bytes - held_bytes)
        needs.append(Need("cached activations", folder, cache, "--cache-dir"))
    return tuple(needs)


def check_room(needs: Sequence[Need]) -> None:
    """Refuses a training that would end with a full disk.

    Raises:
        StorageError: what goes to one disk does not fit there.
    """
    by_disk: dict[int, list[Need]] = {}
    for need in needs:
        by_disk.setdefault(_find_existing(need.folder).stat().st_dev, []).append(need)
    for group in by_disk.values():
        place = _find_existing(group[0].folder)
        free, whole = shutil.disk_usage(place).free, sum(need.size_bytes for need in group)
        if whole <= free:
            continue
        parts = ", ".join(f"{_show(need.size_bytes)} for {need.what}" for need in group)
        options = " or ".join(dict.fromkeys(need.remedy for need in group))
        raise StorageError(
            f"room for the training: expected {_show(whole)} free at {str(place)!r}: {parts}. "
            f"Received: {_show(free)}. Free some space, or name a folder on another disk: {options}"
        )


def _find_existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _show(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"
