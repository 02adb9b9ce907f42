"""Calibration images: real pixels, checked, with the two extremes always among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfxfer.errors import DataError, UsageError
from tfxfer.images.pixels import check_pixels

__all__ = ["MIN_IMAGES", "Calibration", "collect"]

MIN_IMAGES = 10
Calibration = np.ndarray | Iterable[Any] | None


def collect(
    calibration: Calibration, *, image_shape: tuple[int, int, int], recipe: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns calibration pixels, a black and a white image first, and notes for people.

    Black and white make the range of the input that of its contract: calibrated on dark photos
    only, bright pixels would clip.

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
    ends = np.stack([np.zeros(image_shape), np.full(image_shape, 255.0)]).astype(pixels.dtype)
    return np.concatenate([ends, pixels]), tuple(notes)


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
