"""The files packed behind a `.tflite` file: labels, and what the metadata's schema cannot say.

They are a zip archive that follows the flatbuffer: readers of either find their own.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tfxfer.data.provenance import PROVENANCE_FILE
from tfxfer.errors import ContractError, ModelError
from tfxfer.preprocessing import Resize
from tfxfer_edge.door import IMAGE
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.packed_archive import PackedFiles

__all__ = [
    "Contract",
    "append_files",
    "find_assets",
    "list_files",
    "read_contract",
    "read_files",
    "split_labels",
]

_RESIZE_KINDS = {"fit": str, "method": str, "antialias": bool}


@dataclass(frozen=True)
class Contract:
    """What `CONTRACT_FILE` holds.

    Args:
        metadata_kind: as in `ModelCard`.
        resize: as in `ModelCard`.
        threshold: as in `ModelCard`.
        white: as in `ModelCard`.
        modality: as in `ModelCard`.
        size: as in `ModelCard`.
        contract: as in `ModelCard`.
        assets: sha256 of each of them, by name.
        head: as in `ModelCard`.
        head_options: as in `ModelCard`.
    """

    metadata_kind: str
    resize: Resize
    threshold: float | None = None
    white: int | None = None
    modality: str = IMAGE
    size: int | None = None
    contract: Mapping[str, Any] | None = None
    assets: Mapping[str, str] = field(default_factory=dict)
    head: str | None = None
    head_options: Mapping[str, Any] = field(default_factory=dict)


def list_files(card: ModelCard) -> dict[str, bytes]:
    """Returns the names and contents of the files that a card is packed with.

    Raises:
        ModelError: settings that JSON cannot hold, or an asset of a name that is taken.
    """
    contract: dict[str, Any] = {"metadata_kind": card.metadata_kind}
    if card.modality == IMAGE:
        contract["resize"] = {x.name: getattr(card.resize, x.name) for x in fields(Resize)}
    else:
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in card.assets.items()}
        contract |= {
            "modality": card.modality,
            "size": card.size,
            "contract": card.contract,
            "assets": hashes,
        }
    if card.threshold is not None:
        contract["threshold"] = card.threshold
    if card.white is not None:
        contract["white"] = card.white
    if card.head is not None:
        contract |= {"head": card.head, "head_options": dict(card.head_options)}
    try:
        files = {CONTRACT_FILE: (json.dumps(contract, indent=2) + "\n").encode()}
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"model {card.name!r}: expected head_options and contract that are JSON data. "
            f"Received: {error}."
        ) from error
    if card.labels:
        files[LABELS_FILE] = "".join(f"{label}\n" for label in card.labels).encode()
    if card.provenance is not None:
        files[PROVENANCE_FILE] = card.provenance.to_bytes()
    taken = sorted(set(files) & set(card.assets))
    if taken:
        raise ModelError(
            f"model {card.name!r}: expected assets with names of their own. Received: {taken}."
        )
    return {**files, **card.assets}


def find_assets(contract: Contract, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the files that a contract needs, as they were when it was written.

    Raises:
        ModelError: one is missing, or another.
    """
    found = {}
    for name, expected in contract.assets.items():
        received = hashlib.sha256(files[name]).hexdigest() if name in files else "no such file"
        if received != expected:
            raise ModelError(
                f"metadata: expected {name!r} with sha256 {expected[:12]}…, packed behind the "
                f"model. Received: {received[:12]}. The file may be damaged: export it again."
            )
        found[name] = files[name]
    return found


def append_files(content: bytes, files: dict[str, bytes]) -> bytes:
    """Returns the flatbuffer with files behind it, stored as they are: phones map them."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            # With a fixed date the same model is the same file.
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def read_files(content: bytes) -> dict[str, bytes]:
    """Returns the files packed behind a model, by name; none where there is no archive.

    Raises:
        ModelError: the archive is damaged, or larger than any that is meant.
    """
    return dict(PackedFiles(content))


def split_labels(data: bytes) -> tuple[str, ...]:
    """Returns the labels of a file that has one a line.

    Raises:
        ModelError: it is not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(
            "metadata: expected labels in UTF-8, one a line. "
            f"Received: byte {data[error.start]:#04x} at {error.start}."
        ) from error
    # Not splitlines, which also breaks at characters that a label may hold. MediaPipe drops the
    # carriage return of Windows, too.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def read_contract(data: bytes) -> Contract:
    """Returns what `CONTRACT_FILE` says.

    Raises:
        ModelError: it is no JSON, or holds anything else than `list_files` writes.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refuse("JSON", _first_line(error)) from error
    if not isinstance(document, dict):
        raise _refuse("a JSON object", repr(document))
    known = [x.name for x in fields(Contract)]
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise _refuse(
            f"nothing but {', '.join(known)}",
            ", ".join(unknown),
            "A newer tfxfer-edge may have written it: pip install --upgrade tfxfer-edge",
        )
    wanted = ["metadata_kind", "resize"]
    if "modality" in document:
        wanted = ["metadata_kind", "size", "contract", "assets"]
    missing = [name for name in wanted if name not in document]
    if missing:
        raise _refuse(f"{' and '.join(missing)} in it", "none")
    kind, threshold = document["metadata_kind"], document.get("threshold")
    if not isinstance(kind, str):
        raise _refuse("a word as metadata_kind", repr(kind))
    is_share = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if threshold is not None and not (is_share and 0 <= threshold <= 1):
        raise _refuse("a threshold from 0 to 1", repr(threshold))
    white = document.get("white")
    if white is not None and (type(white) is not int or white < 1):
        raise _refuse("a whole number above 0 as white", repr(white))
    head = _read_head(document)
    if "modality" in document:
        return Contract(kind, Resize(), threshold, white, **_read_samples(document), **head)
    return Contract(kind, _read_resize(document["resize"]), threshold, white, **head)


def _read_head(document: Mapping[str, Any]) -> dict[str, Any]:
    head, options = document.get("head"), document.get("head_options", {})
    if not (head is None or (isinstance(head, str) and head)) or not isinstance(options, dict):
        raise _refuse("the name of a head, and its options", f"{head!r}, {options!r}")
    return {"head": head, "head_options": options}


def _read_samples(document: Mapping[str, Any]) -> dict[str, Any]:
    modality, size = document["modality"], document["size"]
    contract, assets = document["contract"], document["assets"]
    if not isinstance(modality, str) or modality == IMAGE:
        raise _refuse("the name of another modality than images", f"modality={modality!r}")
    if type(size) is not int or size < 1:
        raise _refuse("a whole number above 0 as size", repr(size))
    if not isinstance(contract, dict):
        raise _refuse("an object as contract", repr(contract))
    are_named = isinstance(assets, dict) and all(
        isinstance(value, str) and name == Path(name).name for name, value in assets.items()
    )
    if not are_named:
        raise _refuse("the sha256 of each asset, by a name without a folder", repr(assets))
    return {"modality": modality, "size": size, "contract": contract, "assets": assets}


def _read_resize(data: Any) -> Resize:
    is_known = isinstance(data, dict) and set(data) <= set(_RESIZE_KINDS)
    if not is_known or not all(isinstance(data[x], _RESIZE_KINDS[x]) for x in data):
        raise _refuse("resize to be an object of fit, method and antialias", repr(data))
    try:
        return Resize(**data)
    except ContractError as error:
        raise _refuse("a resize that can be done", _first_line(error)) from error


def _refuse(expected: str, received: str, remedy: str = "") -> ModelError:
    line = f"metadata: {CONTRACT_FILE}: expected {expected}. Received: {received}."
    return ModelError(f"{line} {remedy}".rstrip())


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
