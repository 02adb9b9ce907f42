from __future__ import annotations

import numpy as np
import pytest

from tfxfer import DataError
from tfxfer.images.modality import ImageModality
from tfxfer.images.pixels import check_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (PIXELS / 255, "fractions up to 1, which look divided"),
        (PIXELS / 127.5 - 1, "values from -1 to 1"),
        (PIXELS + 1, "values from 1 to 256"),
        ((PIXELS * 257).astype(np.uint16), "to 6.55e\\+04"),
        (np.where(PIXELS.max() == PIXELS, np.nan, PIXELS), "values from nan"),
        (np.where(PIXELS.max() == PIXELS, np.inf, PIXELS), "to inf"),
    ],
)
def test_another_range_is_refused(pixels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=rf"^here: expected pixels 0\.\.255, .*{words}"):
        check_pixels(pixels, where="here")
    for inputs in (pixels, {"pixels": pixels}):
        with pytest.raises(DataError, match=r"^here: .*0\.\.255"):
            ImageModality().check_inputs(inputs, where="here")


@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS,
        PIXELS.astype(np.uint8),
        np.zeros_like(PIXELS),
        PIXELS > 127,  # masks
        (PIXELS > 127).astype(np.float32),
        PIXELS[:0],
    ],
)
def test_pixels_are_taken(pixels: np.ndarray) -> None:
    check_pixels(pixels, where="here")
