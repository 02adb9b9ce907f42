"""`trust/weights.csv`: how much each training sample counts, so that `--resume` does the same."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfxfer.errors import RunError
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_text
from tfxfer.system.files import write_table
from tfxfer.system.plain_text import pack_text, unguard_cell, unpack_text

__all__ = ["read_weights", "write_weights"]

_COLUMNS = ("path", "weight")


def write_weights(path: Path, names: Sequence[str], weights: np.ndarray) -> None:
    """Writes a row for each sample, whole or not at all.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    rows = [
        {"path": pack_text(name), "weight": repr(float(weight))}
        for name, weight in zip(names, weights, strict=True)
    ]
    write_table(path, rows, columns=_COLUMNS)


def read_weights(path: Path, names: Sequence[str]) -> np.ndarray:
    """Returns what `write_weights` wrote, bit by bit.

    Args:
        path: of the table.
        names: of the samples whose weights are wanted.

    Shapes: returns float32 (samples,).

    Raises:
        RunError: it is something else, or of other samples.
    """
    where = f"weights {str(path)!r}"
    try:
        text = read_text(path, MOST_TABLE_BYTES)
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if not lines or tuple(lines[0]) != _COLUMNS or any(len(line) != 2 for line in lines):
            raise ValueError("other columns")
        found = {unpack_text(unguard_cell(name)): float(cell) for name, cell in lines[1:]}
        if not all(math.isfinite(weight) and weight >= 0 for weight in found.values()):
            raise ValueError("a weight below 0, or none")
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(
            f"{where}: expected the table that this run began with. Received: {error}. "
            "Train anew with another --out."
        ) from error
    if set(found) != set(names):
        raise RunError(
            f"{where}: expected a weight of each training sample of the run. Received: "
            f"{len(found):,} rows of others. Train anew with another --out."
        )
    return np.array([found[name] for name in names], np.float32)
