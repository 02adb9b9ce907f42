"""The folder that an app developer gets: how to run this very file, in three languages.

Android has no antialiased resize: its snippet halves a photo until the last step is small. On six
photos, at 96 and 224 px, that is 0.9 to 3.7 grey levels from Pillow's antialiased bilinear; one
bilinear step is 1.4 to 10 away, and the nearest pixel, which MediaPipe takes, 4 to 16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.files import atomic_write
from tfxfer.system.plain_text import escape_controls
from tfxfer_edge.handover.apps import describe_app, render_apps
from tfxfer_edge.handover.rendering import card_of, describe_file, render_template
from tfxfer_edge.tflite.card import LABELS_FILE
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.opening import open_model

__all__ = [
    "PROGRAM_FILE",
    "README_FILE",
    "render_classes",
    "render_python",
    "render_readme",
    "write_handover",
]

README_FILE = "README.md"
PROGRAM_FILE = "run.py"

_INPUTS = ("uint8", "int8", "float32")
_PILLOW = {"bilinear": "BILINEAR", "bicubic": "BICUBIC", "nearest": "NEAREST", "area": "BOX"}
_FITS = {
    "stretch": "stretched to the square",
    "crop": "cropped to the square in their middle",
    "pad": "padded with black to a square",
}


def write_handover(tflite_path: str | Path, *, extra: str = "") -> tuple[Path, ...]:
    """Writes `README.md`, `run.py`, classes for apps and, of labels, `labels.txt` beside a file.

    Args:
        tflite_path: the file, with metadata; names and sizes are taken from it.
        extra: Markdown for the README, such as the table of the recipes that were tried.

    Returns:
        The files that were written.

    Raises:
        ModelError: the file has no metadata, or is none that a phone feeds with one sample.
        StorageError: the folder cannot be written.
    """
    path = Path(tflite_path)
    door, model = open_model(path)
    texts = door.render_handover(model, file=path.name, extra=extra)
    labels = card_of(model).labels
    if labels:
        texts[LABELS_FILE] = "".join(f"{escape_controls(label)}\n" for label in labels)
    for name, text in texts.items():
        with atomic_write(path.parent / name) as temporary:
            temporary.write_bytes(text.encode())
    return tuple(path.parent / name for name in texts)


def render_readme(model: TFLiteModel, *, file: str, extra: str = "") -> str:
    """Returns the README of an export folder.

    Args:
        model: a file with metadata.
        file: what it is called in that folder.
        extra: Markdown that goes between the facts and the code.
    """
    context = _context(model, file)
    python = render_template("run.py.j2", context).strip()
    return render_template("README.md.j2", {**context, "extra": extra.strip(), "python": python})


def render_classes(model: TFLiteModel, *, file: str) -> dict[str, str]:
    """Returns a class for an Android and one for an iOS app, by the names of their files."""
    return render_apps(_context(model, file))


def render_python(model: TFLiteModel, *, file: str) -> str:
    """Returns the Python program, which needs LiteRT, NumPy and Pillow alone."""
    return render_template("run.py.j2", _context(model, file))


def _context(model: TFLiteModel, file: str) -> dict[str, Any]:
    card = card_of(model)
    if model.input.dtype not in _INPUTS or model.input.shape[0] not in (1, -1):
        raise ModelError(
            f"model {model.source!r}: expected one photo of {_INPUTS} at a time. "
            f"Received: {model.input.dtype} {model.input.shape}."
        )
    preprocessing = model.preprocessing
    shared = describe_file(model, file)
    # MediaPipe takes floats that are normalized with one mean and one std.
    is_fed = model.channels == 3 and (
        model.input.dtype == "uint8"
        or (model.input.dtype == "float32" and preprocessing.is_uniform)
    )
    is_answered = model.output.dtype in ("uint8", "float32")
    return {
        **shared,
        **describe_app(card.metadata_kind, card.threshold, labels=bool(card.labels)),
        "side": model.image_size,
        "is_grey": model.channels == 1,
        "input": model.input,
        "input_bytes": np.dtype(model.input.dtype).itemsize,
        "output_bytes": np.dtype(model.output.dtype).itemsize,
        "input_note": _describe_input(model),
        "mean": [round(x, 6) for x in preprocessing.mean[: model.channels]],
        "std": [round(x, 6) for x in preprocessing.std[: model.channels]],
        "is_identity": preprocessing.output_range == Preprocessing().output_range,
        "is_mediapipe": shared["is_classifier"] and is_fed and is_answered,
        "fit": card.resize.fit,
        "method": card.resize.method,
        "antialias": card.resize.antialias or card.resize.method == "area",
        "pillow_method": f"Image.Resampling.{_PILLOW[card.resize.method]}",
        "resize_words": _describe_resize(card.resize),
    }


def _describe_input(model: TFLiteModel) -> str:
    if model.input.dtype == "uint8":
        return ": the pixels as they are, 0 to 255"
    if model.input.dtype == "int8":
        return ": the pixels minus 128"
    low = ", ".join(f"{x:.4g}" for x, _ in sorted(set(model.preprocessing.output_range)))
    high = ", ".join(f"{x:.4g}" for _, x in sorted(set(model.preprocessing.output_range)))
    return f": pixel 0 is {low}, pixel 255 is {high}"


def _describe_resize(resize: Resize) -> str:
    filtered = "antialiased" if resize.antialias or resize.method == "area" else "not antialiased"
    return f"{_FITS[resize.fit]} ({resize.method}, {filtered})"
