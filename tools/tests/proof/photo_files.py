"""Files of the six photos' classifier, with metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tfxfer import Preprocessing
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos

__all__ = ["content_of", "write_file"]

CARD = ModelCard(name="photos", labels=photos.LABELS)


def write_file(
    folder: Path, content: bytes, preprocessing: Preprocessing | None = None, **options: Any
) -> Path:
    """Writes a model with its metadata into a folder."""
    card = replace(CARD, preprocessing=preprocessing, **options)
    path = folder / "photos.tflite"
    path.write_bytes(write_metadata(content, card))
    return path


def content_of(name: str) -> tuple[bytes, Preprocessing | None]:
    """Returns a file, and what pixels go through before it."""
    if name == "in_graph":
        return photos.float_in_graph(), None
    if name == "core":
        return photos.float_core(), photos.MINUS_ONE_TO_ONE
    return photos.quantized(), photos.MINUS_ONE_TO_ONE
