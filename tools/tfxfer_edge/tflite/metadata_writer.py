"""Writes what MediaPipe Tasks and the Android Task Library read from a `.tflite` file."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.arguments import check_kind
from tfxfer_edge.door import IMAGE, find_door
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.flatbuffer import as_text, read_model, write_model
from tfxfer_edge.tflite.image_metadata import find_ends
from tfxfer_edge.tflite.metadata_content import pack_card
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_schema import METADATA_NAME
from tfxfer_edge.tflite.packed_files import append_files, list_files, read_files
from tfxfer_edge.tflite.probe import probe_ends

__all__ = ["check_labels", "write_metadata"]

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
    check_labels(card, int(np.prod(before.output.shape[1:])))
    door.check_card(card, before)
    model = read_model(content)
    _embed(model, pack_card(card, before))
    files = list_files(card)
    written = append_files(write_model(model), files)
    if before != probe_ends(written, fills=door.fills):
        raise ModelError(
            f"model {card.name!r}: expected the same outputs after its metadata was written. "
            "Received: others."
        )
    _compare(card, written, files)
    return written


def check_labels(card: ModelCard, outputs: int) -> None:
    """Refuses labels that cannot be those of a model.

    Args:
        card: with the labels.
        outputs: of the model.

    Raises:
        ModelError: blank ones, two alike, or not one for each output.
    """
    # Not in the card's constructor: the 1001 labels of ImageNet's files have `crane` twice.
    bad = [x for x in card.labels if not x.strip() or "\n" in x or "\r" in x]
    bad += [x for x in card.labels if card.labels.count(x) > 1]
    if bad:
        raise ModelError(
            f"model {card.name!r}: expected labels of one line each, not blank and no two alike. "
            f"Received: label={bad[0]!r}."
        )
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


def _compare(card: ModelCard, written: bytes, files: dict[str, bytes]) -> None:
    found = read_metadata(written)
    wanted = card
    if card.modality == IMAGE:
        preprocessing = replace(card.preprocessing or Preprocessing(), resize=card.resize)
        wanted = replace(card, preprocessing=preprocessing)
    for item in fields(ModelCard):
        ours, theirs = getattr(wanted, item.name), getattr(found, item.name)
        if isinstance(ours, Preprocessing) and isinstance(theirs, Preprocessing):
            same = _is_same(ours, theirs)
        else:
            same = ours == theirs
        if not same:
            raise ModelError(
                f"model {card.name!r}: expected the metadata to be read as it was written. "
                f"Received: {item.name}={theirs!r} for {ours!r}."
            )
    packed = read_files(written)
    if packed != files:
        raise ModelError(
            f"model {card.name!r}: expected {sorted(files)} packed behind it, as they were. "
            f"Received: {sorted(packed)}."
        )


def _is_same(left: Preprocessing, right: Preprocessing) -> bool:
    return left.resize == right.resize and bool(
        np.allclose(find_ends(left), find_ends(right), rtol=_TOLERANCE, atol=_TOLERANCE)
    )
