"""What a file is timed on: photos of its own export where they are at hand, else noise like photos.

What a kernel costs depends on what it is fed with: zeros and small numbers are cheaper than photos.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfxfer.data.spread import spread_rows
from tfxfer.errors import ImageError, ModelError
from tfxfer.images.decode import open_image, resize_image
from tfxfer.images.luma import take_luma
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.timing.latency import NOISE

__all__ = ["Photos", "find_photos", "paint_noise"]

_IMAGES = 8


@dataclass(frozen=True)
class Photos:
    """What one file is fed with.

    Args:
        words: what it is, for people.
        inputs: images as the input tensor holds them; None for a model that takes none.
    """

    words: str
    inputs: np.ndarray | None


def find_photos(path: Path, model: TFLiteModel | None = None) -> Photos:
    """Returns what a file is timed on.

    Args:
        path: the file; an `export.json` beside it names the images that it was calibrated with.
        model: the same, opened; None opens a `.tflite` file.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        model = model or TFLiteModel(path)
        size, channels = model.image_size, model.channels
        model.encode(np.zeros((1, size, size, channels), np.uint8))
    except ModelError:
        # No model of one image, or nothing says what pixels go through: the runtime judges it.
        return Photos(f"{NOISE}; it is no image model whose preprocessing is known", None)
    resize = None if model.card is None else model.card.resize
    files = _list_images(path.parent / "export.json")
    try:
        pixels = [resize_image(open_image(file), size, resize) for file in files]
        pixels = [take_luma(x) for x in pixels] if channels == 1 else pixels
    except (ImageError, OSError):
        pixels = []
    if pixels:
        words = f"{len(pixels)} of the images that it was calibrated with"
        return Photos(words, model.encode(np.stack(pixels)))
    return Photos(
        "noise like that of photos (seed 0), for no export.json beside it leads to its images",
        model.encode(paint_noise(_IMAGES, size, channels=channels)),
    )


def _list_images(manifest: Path) -> list[Path]:
    """Returns some of the images that an `export.json` names, from all over its list."""
    try:
        calibration = json.loads(manifest.read_text(encoding="utf-8"))["calibration"]
        root, names = Path(calibration["data"]), list(calibration["files"])
        return [root / names[row] for row in spread_rows(len(names), _IMAGES)]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # of no export, or of one that was edited: the noise is said


def paint_noise(images: int, size: int, *, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Returns noise whose power falls with the square of the frequency, as that of photos does.

    Args:
        images: how many.
        size: of their sides, in pixels.
        channels: of a pixel.
        seed: of the noise.

    Shapes: uint8 (images, size, size, channels).

    Source:
        Field 1987, https://doi.org/10.1364/JOSAA.4.002379: amplitude spectra of natural images.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    frequency[0, 0] = np.inf  # the mean is set below
    shape = (images, size, size, channels)
    spectrum = np.fft.fft2(rng.normal(size=shape), axes=(1, 2)) / frequency[None, :, :, None]
    waves = np.fft.ifft2(spectrum, axes=(1, 2)).real
    waves /= np.maximum(waves.std(axis=(1, 2, 3), keepdims=True), 1e-9)
    return np.clip(128 + 50 * waves, 0, 255).astype(np.uint8)
