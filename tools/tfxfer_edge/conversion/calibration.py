"""Calibration samples, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import DataError, UsageError
from tfxfer.images.pixels import check_pixels
from tfxfer_edge.conversion.ends import ModelInput

__all__ = ["MIN_IMAGES", "Calibration", "collect", "collect_samples"]

MIN_IMAGES = 10
Calibration = Arrays | Iterable[Any] | None


def collect(
    calibration: Calibration, *, image_shape: tuple[int, int, int], recipe: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns calibration pixels, and notes for people.

    Args:
        calibration: pixels 0..255, an array (images, …) or an iterable of images or batches;
            batches may be (images, targets).
        image_shape: height, width and channels of the model's input.
        recipe: the recipe's name, for messages.

    Raises:
        UsageError: no images. Noise is never a default: ranges found on it fit no photo.
        DataError: images of another size, not 0..255, or all of one colour.
    """
    if calibration is None:
        raise UsageError(
            f"recipe {recipe!r}: expected calibration, real images as pixels 0..255. "
            "Received: none. About 100 of the training split, of all classes, are enough."
        )
    pixels = _as_array(calibration, image_shape)
    if len(pixels) == 0:
        raise DataError("calibration: expected at least one image. Received: none.")
    check_pixels(pixels, where="calibration")
    flat = pixels.reshape(len(pixels), -1)
    constant = int((flat.min(axis=1) == flat.max(axis=1)).sum())
    if constant == len(pixels):
        raise DataError(
            f"calibration: expected photos. Received: {constant} images, each of one value only."
        )
    notes = []
    if constant:
        notes.append(f"calibration: {constant} of {len(pixels)} images are of one value only")
    if len(pixels) < MIN_IMAGES:
        notes.append(
            f"calibration: {len(pixels)} images are few, ranges may be too narrow; 100 are usual"
        )
    return pixels, tuple(notes)


def collect_samples(
    calibration: Calibration, *, inputs: Sequence[ModelInput], recipe: str, plural: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns calibration samples by the name of the input, and notes for people.

    Args:
        calibration: an array for each input, by name; one array where there is one input.
        inputs: of the model.
        recipe: its name, for messages.
        plural: what samples are called.

    Raises:
        UsageError: there are none.
        DataError: not one row for each input, or rows of another shape.
    """
    if calibration is None:
        raise UsageError(
            f"recipe {recipe!r}: expected calibration, real {plural} as the model takes them. "
            "Received: none. About 100 of the training split, of all classes, are enough."
        )
    named = calibration if isinstance(calibration, dict) else {inputs[0].name: calibration}
    found = {name: np.asarray(values) for name, values in named.items()}
    shapes = {name: values.shape for name, values in found.items()}
    wanted = {item.name: item.shape for item in inputs}
    rows = {shape[:1] for shape in shapes.values()}
    if {name: shape[1:] for name, shape in shapes.items()} != wanted or len(rows) != 1:
        raise DataError(
            f"calibration: expected {plural} of shape {wanted}, as many of each. "
            f"Received: {shapes}."
        )
    ((count,),) = rows
    if count == 0:
        raise DataError(f"calibration: expected at least one of the {plural}. Received: none.")
    notes = []
    if count < MIN_IMAGES:
        notes.append(
            f"calibration: {count} {plural} are few, ranges may be too narrow; 100 are usual"
        )
    return {item.name: found[item.name] for item in inputs}, tuple(notes)


def _as_array(calibration: np.ndarray | Iterable[Any], image_shape: tuple[int, ...]) -> np.ndarray:
    if isinstance(calibration, np.ndarray):
        return _as_batch(calibration, image_shape)
    parts = [
        _as_batch(np.asarray(item[0] if isinstance(item, tuple) else item), image_shape)
        for item in calibration
    ]
    if not parts:
        raise DataError("calibration: expected at least one image. Received: none.")
    return np.concatenate(parts)


def _as_batch(array: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[1:] != image_shape or array.dtype.kind not in "uif":
        raise DataError(
            f"calibration: expected images {tuple(image_shape)}, as the model takes them. "
            f"Received: shape={array.shape}, dtype={array.dtype}."
        )
    return array
