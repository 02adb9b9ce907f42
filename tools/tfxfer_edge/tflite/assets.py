"""What a file says of raw samples, in the words of the modality that reads them."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError, PluginError, TfxferError
from tfxfer.registry.lookup import get_modality
from tfxfer.system.scratch import make_scratch_folder

if TYPE_CHECKING:
    from tfxfer.modality import Modality
    from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["read_packed_contract", "unpack_assets"]


def read_packed_contract(model: SampleModel) -> tuple[Modality, int, Any]:
    """Returns the modality, the size of the inputs and the contract that a file states.

    Raises:
        ModelError: it states none, or one that its modality does not read.
        PluginError: no installed distribution brings the modality.
    """
    card = model.card
    if card is None or card.contract is None or card.size is None:
        raise ModelError(
            f"model {model.source!r}: expected metadata of tfxfer-edge, which says how a sample "
            "becomes the inputs. Received: none. Export it again from its run."
        )
    modality = get_modality(card.modality)
    try:
        folder = unpack_assets(card.assets) if card.assets else None
        contract = modality.read_contract(card.contract, assets=folder)
    except PluginError:
        raise
    except TfxferError as error:
        raise ModelError(
            f"model {model.source!r}: expected a contract that modality {card.modality!r} reads. "
            f"Received: {error}"
        ) from error
    return modality, card.size, contract


def unpack_assets(assets: Mapping[str, bytes]) -> Path:
    """Returns a folder with these files, which is there as long as this process is.

    Equal files are written once.
    """
    digest = hashlib.sha256()
    for name, data in sorted(assets.items()):
        digest.update(f"{name}:{hashlib.sha256(data).hexdigest()};".encode())
    folder = _scratch() / digest.hexdigest()
    if not folder.is_dir():
        beside = Path(tempfile.mkdtemp(dir=_scratch()))
        for name, data in assets.items():
            (beside / name).write_bytes(data)
        try:
            beside.rename(folder)
        except OSError:  # another thread was faster
            shutil.rmtree(beside)
    return folder


@functools.cache
def _scratch() -> Path:
    folder = make_scratch_folder("assets")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
