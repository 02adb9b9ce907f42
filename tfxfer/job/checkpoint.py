"""What `--resume` goes on from: the state after a phase, and the weights of that state."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import RunError
from tfxfer.run.directory import RunDirectory
from tfxfer.schedule import FitState
from tfxfer.system.archives import ARCHIVE_FAULTS
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_record

__all__ = ["load_checkpoint", "save_checkpoint"]

_STATE = "state.json"


@dataclass(frozen=True)
class _Checkpoint:
    """What `state.json` holds: the name of a file of weights, and the state they are of."""

    weights: str
    state: Mapping[str, Any]


def save_checkpoint(run: RunDirectory, model: Any, state: FitState) -> None:
    """Writes the weights of a model after a phase, then the state that names them."""
    # The state names its weights, so that the two files are never of different phases.
    name = f"{len(state.records)}-{state.records[-1].name}.npz"
    with atomic_write(run.checkpoints / name) as temporary:
        # Not Keras's HDF5: on a full disk that library ends the process with a segmentation fault.
        # And not numpy straight to disk: its zip file would be left open.
        content = io.BytesIO()
        np.savez(content, *model.get_weights())
        # A view of its buffer would outlive it in the traceback of a full disk.
        temporary.write_bytes(content.getvalue())
    with atomic_write(run.checkpoints / _STATE) as temporary:
        document = {"weights": name, "state": state.to_dict()}
        temporary.write_text(to_json(document), encoding="utf-8")


def load_checkpoint(run: RunDirectory, model: Any) -> FitState | None:
    """Gives a model the weights of the last finished phase and returns the state; None if none is.

    Raises:
        RunError: a checkpoint that cannot be read.
    """
    path = run.checkpoints / _STATE
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        checkpoint = read_record(_Checkpoint, document, where=str(path), error=RunError)
        content = (run.checkpoints / Path(checkpoint.weights).name).read_bytes()
        stored = np.load(io.BytesIO(content))
        model.set_weights([stored[name] for name in stored.files])
        return FitState.from_dict(checkpoint.state)
    except (*ARCHIVE_FAULTS, TypeError, RecursionError) as error:
        raise RunError(
            f"run {str(run.path)!r}: expected a checkpoint that can be read. Received: "
            f"{type(error).__name__}: {error}. Train anew with --overwrite."
        ) from error
