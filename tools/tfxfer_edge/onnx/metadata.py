"""What an `.onnx` file says of itself: the card of a `.tflite` file, as properties.

| property | holds |
| -- | -- |
| `name`, `description`, `version`, `author`, `license` | words |
| `labels` | names of the outputs, one a line, in order |
| `normalization` | `{"mean", "std"}`: what pixels 0..255 go through before the input |
| `tfxfer.contract` | the kind of task, and how a sample becomes the inputs: the `tfxfer.json` of \
a `.tflite` file |
| `tfxfer.trained_on` | 8 bytes of a hash for each sample learnt from, in Base64 |
| `tfxfer.assets` | files that the contract needs, such as a vocabulary, in Base64 |
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tfxfer.data.provenance import PROVENANCE_FILE, Provenance
from tfxfer.errors import ModelError, TfxferError
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.onnx.properties import read_properties, write_properties
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.metadata_writer import check_outputs
from tfxfer_edge.tflite.packed_files import find_assets, list_files, read_contract, split_labels

__all__ = ["read_onnx_metadata", "write_onnx_metadata"]

_WORDS = {"name": "name", "description": "description", "version": "version"}
_WORDS |= {"author": "author", "license": "licence"}
_LABELS, _NORMALIZATION = "labels", "normalization"
_CONTRACT, _TRAINED_ON, _ASSETS = "tfxfer.contract", "tfxfer.trained_on", "tfxfer.assets"
_MOST_ASSETS_BYTES = 32 << 20  # as of a `.tflite` file


def write_onnx_metadata(content: bytes, card: ModelCard, *, outputs: int) -> bytes:
    """Returns the same file with the properties that say what a card says.

    The graph stays as it is, bit for bit; the properties are read back and compared.

    Args:
        content: an `.onnx` file.
        card: what to write.
        outputs: how many scores a sample has.

    Raises:
        ModelError: labels that do not match the outputs, or properties that read back otherwise.
    """
    check_outputs(card, outputs)
    files = list_files(card)
    properties = {key: getattr(card, name) for key, name in _WORDS.items() if getattr(card, name)}
    properties[_CONTRACT] = files.pop(CONTRACT_FILE).decode()
    if LABELS_FILE in files:
        properties[_LABELS] = files.pop(LABELS_FILE).decode()
    if card.preprocessing is not None:
        values = {"mean": card.preprocessing.mean, "std": card.preprocessing.std}
        properties[_NORMALIZATION] = json.dumps(values)
    learnt = files.pop(PROVENANCE_FILE, None)
    if learnt is not None:
        properties[_TRAINED_ON] = base64.b64encode(learnt).decode()
    if files:
        assets = {name: base64.b64encode(data).decode() for name, data in files.items()}
        properties[_ASSETS] = json.dumps(assets)
    written = write_properties(content, properties)
    found = read_properties(written)
    lost = sorted(key for key, value in properties.items() if found.get(key) != value)
    if lost or read_onnx_metadata(written) is None:
        raise ModelError(
            f"model {card.name!r}: expected the metadata to be read as it was written. "
            f"Received: others under {lost}."
        )
    return written


def read_onnx_metadata(content: bytes) -> ModelCard | None:
    """Returns what an `.onnx` file says of itself; None where tfxfer-edge did not write it.

    Raises:
        ModelError: the metadata is damaged.
    """
    try:
        found = read_properties(content)
        return _read_card(found) if _CONTRACT in found else None
    except TfxferError as error:
        raise ModelError(str(error)) from error
    # Damaged JSON, Base64 and texts each fail in their own way, or are of another shape.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            "metadata: expected properties as tfxfer-edge writes them. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def _read_card(found: dict[str, str]) -> ModelCard:
    contract = read_contract(found[_CONTRACT].encode())
    learnt = found.get(_TRAINED_ON)
    return ModelCard(
        **{name: found.get(key, "") for key, name in _WORDS.items()},
        labels=split_labels(found.get(_LABELS, "").encode()),
        metadata_kind=contract.metadata_kind,
        preprocessing=_read_normalization(found.get(_NORMALIZATION), contract.resize),
        resize=contract.resize,
        threshold=contract.threshold,
        white=contract.white,
        provenance=None if learnt is None else Provenance.from_text(learnt),
        modality=contract.modality,
        size=contract.size,
        contract=contract.contract,
        assets=find_assets(contract, _read_assets(found.get(_ASSETS))),
        head=contract.head,
        head_options=contract.head_options,
    )


def _read_normalization(text: str | None, resize: Any) -> Preprocessing | None:
    if text is None:
        return None
    values = json.loads(text)
    return Preprocessing.from_mean_std(mean=values["mean"], std=values["std"], resize=resize)


def _read_assets(text: str | None) -> dict[str, bytes]:
    if text is None:
        return {}
    if len(text) > _MOST_ASSETS_BYTES * 4 // 3 + 4096:
        raise ModelError(
            f"metadata: expected files of at most {_MOST_ASSETS_BYTES:,} bytes. "
            f"Received: {len(text):,} characters of them."
        )
    return {
        str(name): base64.b64decode(data, validate=True) for name, data in json.loads(text).items()
    }
