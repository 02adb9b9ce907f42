"""What a run's network expects of raw values, and the files without which that means nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import RunError, StorageError, TfxferError
from tfxfer.run.directory import RunDirectory
from tfxfer.system.files import atomic_write, describe_storage_error

if TYPE_CHECKING:
    from tfxfer.modality import Modality

__all__ = ["read_run_contract", "write_assets"]


def write_assets(run: RunDirectory, files: Mapping[str, Path]) -> None:
    """Copies what the samples' modality needs into a run's `assets/`, each file in one step.

    Args:
        run: whose lock is held.
        files: where they are, by the names that they get.

    Raises:
        StorageError: one of them cannot be read, or there is no room for it.
    """
    if not files:
        return
    try:
        run.assets.mkdir(exist_ok=True)
        for name, source in files.items():
            with atomic_write(run.assets / name) as temporary:
                shutil.copyfile(source, temporary)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            describe_storage_error(error, run.assets, also=run.assets.parents)
            or f"cannot copy {error.filename!r} to {str(run.assets)!r}: {error.strerror}."
        ) from error


def read_run_contract(run: RunDirectory, modality: Modality) -> Any:
    """Returns what a run's network expects of raw values, as its training settled it.

    Args:
        run: the run.
        modality: of its samples.

    Raises:
        RunError: `run.json` does not say, or says something else.
        TfxferError: the modality refuses it, or an asset is not what it was.
    """
    stored = run.read_manifest().preprocessing
    if stored is None:
        raise RunError(
            f"run {str(run.path)!r}: expected a training that was begun. Received: no "
            f"preprocessing. Go on with it: tfxfer train --resume --out {run.path}"
        )
    try:
        # A modality that has no assets need not know the word.
        if run.assets.is_dir():
            return modality.read_contract(stored, assets=run.assets)
        return modality.read_contract(stored)
    except TfxferError:
        raise
    except (TypeError, ValueError, LookupError) as error:  # what an author's reader may raise
        raise RunError(
            f"run {str(run.path)!r}: expected preprocessing that modality {modality.name!r} "
            f"reads. Received: {stored!r}: {error}."
        ) from error
