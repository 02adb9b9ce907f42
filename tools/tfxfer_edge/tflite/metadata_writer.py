"""Writes what MediaPipe Tasks and the Android Task Library read from a `.tflite` file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.arguments import check_kind
from tfxfer_edge.door import IMAGE, find_door
from tfxfer_edge.tflite.card import ModelCard, check_labels, check_utf8
from tfxfer_edge.tflite.flatbuffer import as_text, read_model, write_model
from tfxfer_edge.tflite.image_metadata import find_ends
from tfxfer_edge.tflite.metadata_content import pack_card
from tfxfer_edge.tflite.metadata_reader import read_card, read_metadata
from tfxfer_edge.tflite.metadata_schema import METADATA_NAME
from tfxfer_edge.tflite.packed_archive import PackedFiles
from tfxfer_edge.tflite.packed_files import append_files, list_files, read_files
from tfxfer_edge.tflite.probe import End, Probe, probe_ends

__all__ = ["check_outputs", "rehearse_metadata", "write_metadata"]

_SHOWN = 200  # characters of a value in a message
_TOLERANCE = 1e-5  # relative; the schema's floats have 24 bits


def write_metadata(content: bytes, card: ModelCard) -> bytes:
    """Returns the same model with metadata that MediaPipe and the Task Library read.

    The result is read back and compared, and its outputs for a noise image must be those of
    `content`, bit for bit.

    Args:
        content: a `.tflite` file with one output; what metadata it has is replaced.
        card: what to write.

    Raises:
        ModelError: labels that do not match the outputs, inputs that do not fit the card, such as
            bytes that do not stand for the preprocessing, or a result that differs.
    """
    check_kind(
        content,
        (bytes, bytearray),
        where="write_metadata",
        name="content",
        expected="the bytes of a .tflite file, such as Path(…).read_bytes()",
        error=ModelError,
    )
    check_kind(
        card, ModelCard, where="write_metadata", name="card", expected="a tfxfer_edge.ModelCard"
    )
    door = find_door(card.modality)
    before = probe_ends(content, fills=door.fills)
    metadata, files = _rehearse(card, before)
    model = read_model(content)
    _embed(model, metadata)
    written = append_files(write_model(model), files)
    if before != probe_ends(written, fills=door.fills):
        raise ModelError(
            f"model {card.name!r}: expected the same outputs after its metadata was written. "
            "Received: others."
        )
    _compare(card, read_metadata(written))
    packed = read_files(written)
    if packed != files:
        raise ModelError(
            f"model {card.name!r}: expected {sorted(files)} packed behind it, as they were. "
            f"Received: {sorted(packed)}."
        )
    return written


def rehearse_metadata(card: ModelCard, inputs: Sequence[End], *, outputs: int) -> None:
    """Refuses a card that could be written behind no file of a model, before there is one.

    What only a file can tell is left to `write_metadata`, such as whether its bytes stand for the
    preprocessing.

    Args:
        card: what to write.
        inputs: of the float file.
        outputs: how many scores a sample has.

    Raises:
        ModelError: as `write_metadata`.
    """
    probe = Probe(tuple(inputs), End("scores", "float32", (1, outputs), (0.0, 0)), b"")
    _rehearse(card, probe)


def _rehearse(card: ModelCard, probe: Probe) -> tuple[bytes, dict[str, bytes]]:
    """Returns the metadata's own flatbuffer and the files packed behind, read back and compared."""
    check_outputs(card, int(np.prod(probe.output.shape[1:])))
    find_door(card.modality).check_card(card, probe)
    metadata, files = pack_card(card, probe), list_files(card)
    packed = PackedFiles(append_files(b"", files))
    try:
        found = read_card(metadata, packed)
    except ModelError as error:
        raise ModelError(f"model {card.name!r}: {error}") from error
    _compare(card, found)
    return metadata, files


def check_outputs(card: ModelCard, outputs: int) -> None:
    """Refuses words and labels that cannot be those of a model.

    Args:
        card: with the labels.
        outputs: how many scores a sample has.

    Raises:
        ModelError: what a file cannot hold, labels that are blank or alike, or not one an output.
    """
    for name in ("name", "description", "version", "author", "licence"):
        check_utf8(getattr(card, name), what=f"model {card.name!r}", name=name)
    check_labels(card.labels, what=f"model {card.name!r}")
    if not card.labels and card.metadata_kind != "features":
        raise ModelError(
            f"model {card.name!r}: expected the labels of a {card.metadata_kind}. Received: none."
        )
    if card.labels and len(card.labels) != outputs:
        raise ModelError(
            f"model {card.name!r}: expected {outputs} labels, one per output. "
            f"Received: {len(card.labels)}."
        )


def _embed(model: Any, metadata: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entries = [x for x in model.metadata or [] if as_text(x.name) == METADATA_NAME]
    if entries:
        model.buffers[entries[0].buffer] = buffer
        return
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def _compare(card: ModelCard, found: ModelCard | None) -> None:
    wanted = card
    if card.modality == IMAGE:
        preprocessing = replace(card.preprocessing or Preprocessing(), resize=card.resize)
        wanted = replace(card, preprocessing=preprocessing)
    for item in fields(ModelCard):
        ours, theirs = getattr(wanted, item.name), getattr(found, item.name, None)
        if isinstance(ours, Preprocessing) and isinstance(theirs, Preprocessing):
            same = _is_same(ours, theirs)
        else:
            same = ours == theirs
        if not same:
            raise ModelError(
                f"model {card.name!r}: expected the metadata to be read as it was written. "
                f"Received: {item.name}={_shorten(theirs)} for {_shorten(ours)}."
            )


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_same(left: Preprocessing, right: Preprocessing) -> bool:
    return left.resize == right.resize and bool(
        np.allclose(find_ends(left), find_ends(right), rtol=_TOLERANCE, atol=_TOLERANCE)
    )
