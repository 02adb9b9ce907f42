from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfxfer.images.luma import take_luma


def test_luma_is_pillows_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 300, 3), np.uint8)
    found = take_luma(pixels)
    assert found.shape == (300, 300, 1)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))
    # The control: the plain mean of the channels is something else.
    assert np.abs(found[..., 0] - pixels.mean(axis=-1)).max() > 20


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5, 3), (0, 4, 4, 3)])
def test_any_number_of_pixels(shape: tuple[int, ...]) -> None:
    assert take_luma(np.full(shape, 255, np.uint8)).shape == (*shape[:-1], 1)
