"""Whether the files of a run are what its training wrote: `run.json` holds the sha256 of each.

Figures come of a model and of a split. A permuted head, or photos moved from train to test, would
give other figures without an error. It is no signature: whoever rewrites `run.json`, too, is not
found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfxfer.errors import RunError, StorageError
from tfxfer.system.files import file_sha256

if TYPE_CHECKING:
    from tfxfer.run.directory import RunDirectory
    from tfxfer.run.manifest import Manifest

__all__ = ["SEALED", "check_sealed", "describe_unsealed", "seal_files"]

SEALED = ("model.keras", "split.csv", "predictions.csv")
"""The files that figures come of."""

_MODEL, _SPLIT, _ANSWERS = SEALED
_REMEDIES: Mapping[str, str] = {
    _MODEL: (
        "Put the file of the training back. To measure this one all the same, as a file that no "
        "run vouches for: name it itself, with --labels"
    ),
    _SPLIT: "Put the table of the training back, or train anew with another --out",
    _ANSWERS: (
        "Put the table of the training back. Two models are compared without it: tfxfer compare "
        "A B --data DATA"
    ),
}


def seal_files(run: RunDirectory, *names: str) -> dict[str, str]:
    """Returns the sha256 of some files of a run, for its manifest; those not there are left out.

    Each is read once, in pieces.

    Args:
        run: that has just written them.
        names: of the files, some of `SEALED`; none means all of them.
    """
    paths = [run.path / name for name in names or SEALED]
    return {path.name: _hash(path) for path in paths if path.is_file()}


def check_sealed(run: RunDirectory, path: Path) -> Path:
    """Returns the path of a file of a run, once it is known to be what the training wrote.

    Whoever takes a figure from a run opens its files through this. In a run without the sha256 of
    the file nothing is checked, which `describe_unsealed` says.

    Args:
        run: whose manifest can be read.
        path: one of its own paths, such as `run.model_path`.

    Raises:
        RunError: it is another file by now.
        StorageError: it cannot be read.
    """
    expected = run.read_manifest().sha256.get(path.name)
    if expected is None or not path.is_file():
        return path  # of a file that is gone, its reader says what is missing
    received = _hash(path)
    if received != expected:
        raise RunError(
            f"run {str(run.path)!r}: expected {path.name} as its training wrote it, sha256 "
            f"{expected[:16]}…. Received: another file, sha256 {received[:16]}…: no figure of this "
            f"run holds for it. {_REMEDIES[path.name]}."
        )
    return path


def describe_unsealed(run: RunDirectory, manifest: Manifest) -> str:
    """Returns the line about what cannot be checked; empty where all can.

    Args:
        run: of the manifest.
        manifest: of a finished run.
    """
    unknown = [
        name
        for name in SEALED
        if name not in manifest.sha256 and (run.path / name).is_file()
    ]  # fmt: skip
    if not unknown:
        return ""
    return (
        f"run {str(run.path)!r} does not hold the sha256 of {' and '.join(unknown)}, as those of "
        "earlier versions: whether that is what its training wrote cannot be checked"
    )


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise StorageError(
            f"cannot read {str(path)!r}: expected a file that can be read. "
            f"Received: {error.strerror}."
        ) from error
