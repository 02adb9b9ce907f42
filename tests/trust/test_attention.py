"""Shares of attention against what a ruler says."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.errors import DataError, UsageError
from tfxfer.picture import Picture
from tfxfer.trust.attention import Box, cover_box, cover_mask, measure_attention, parse_box


def make_picture(width: int, height: int, seen: tuple[float, ...] = (0, 0, 1, 1)) -> Picture:
    pixels = np.zeros((height // 10, width // 10, 3), np.uint8)  # shrunk, as large photos are
    return Picture(pixels, (width, height), seen)  # type: ignore[arg-type]


def test_a_box_is_pixels_or_fractions() -> None:
    assert parse_box("10,20,30,40") == Box(10, 20, 30, 40, in_pixels=True)
    assert parse_box("0, .5, 1, 1") == Box(0, 0.5, 1, 1, in_pixels=False)


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "3,0,1,2", "0,0,nan,1", "-1,0,1,1"])
def test_no_box(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected LEFT,TOP,RIGHT,BOTTOM"):
        parse_box(text)


@pytest.mark.parametrize("text", ["100,0,200,50", "0.25,0,0.5,0.25"])
def test_pixels_of_the_original_and_fractions_are_the_same_place(text: str) -> None:
    covered = cover_box(parse_box(text), make_picture(400, 200), (8, 8))
    expected = np.zeros((8, 8))
    expected[:2, 2:4] = 1
    np.testing.assert_allclose(covered, expected)


def test_a_box_covers_parts_of_pixels() -> None:
    covered = cover_box(parse_box("0,0,0.3125,0.5"), make_picture(400, 200), (2, 4))
    np.testing.assert_allclose(covered, [[1, 0.25, 0, 0], [0, 0, 0, 0]])


def test_what_the_network_sees_of_a_crop_and_of_bars() -> None:
    left_half = parse_box("0,0,0.5,1")
    # Of 400 x 200 the middle square is 100..300: half of it lies in the left half.
    cropped = cover_box(left_half, make_picture(400, 200, (0.25, 0, 0.75, 1)), (2, 2))
    np.testing.assert_allclose(cropped, [[1, 0], [1, 0]])
    # With bars above and below the picture is the middle half of the rows.
    padded = cover_box(left_half, make_picture(400, 200, (0, -0.5, 1, 1.5)), (4, 2))
    np.testing.assert_allclose(padded, [[0, 0], [1, 0], [1, 0], [0, 0]])
    with pytest.raises(DataError, match="expected one inside of what the network sees"):
        cover_box(parse_box("0,0,0.2,1"), make_picture(400, 200, (0.25, 0, 0.75, 1)), (2, 2))
    with pytest.raises(DataError, match="400 x 200"):
        cover_box(parse_box("500,0,600,10"), make_picture(400, 200), (2, 2))


def make_mask(white: np.ndarray, size: tuple[int, int]) -> Picture:
    return Picture(np.repeat(255 * white[..., None], 3, axis=2).astype(np.uint8), size)


def test_white_of_a_mask_is_inside() -> None:
    white = np.zeros((10, 20), int)
    white[:5, 10:] = 1
    inside = cover_mask(make_mask(white, (200, 100)), make_picture(400, 200), (4, 4))
    expected = np.zeros((4, 4))
    expected[:2, 2:] = 1
    np.testing.assert_array_equal(inside, expected)
    bars = cover_mask(make_mask(white, (20, 10)), make_picture(400, 200, (0, -0.5, 1, 1.5)), (4, 4))
    np.testing.assert_array_equal(bars, [[0] * 4, [0, 0, 1, 1], [0] * 4, [0] * 4])


def test_a_mask_of_another_picture() -> None:
    white = np.ones((10, 10), int)
    with pytest.raises(DataError, match=r"aspect ratio, 400 x 200 pixels\. Received: 10 x 10"):
        cover_mask(make_mask(white, (10, 10)), make_picture(400, 200), (4, 4))
    with pytest.raises(DataError, match="expected white"):
        cover_mask(make_mask(0 * white, (10, 10)), make_picture(200, 200), (4, 4))


def test_shares() -> None:
    heat = np.array([[0.5, 0.25], [0.25, 0]], np.float32)
    found = measure_attention(heat, np.array([[1, 0], [0.5, 0]]))
    assert found.outside == pytest.approx(0.375)
    assert found.area_outside == pytest.approx(0.625)
    assert found.describe() == ("38 % of the attention is outside, where 62 % of the picture is")
    assert found.to_dict() == {"outside": found.outside, "area_outside": found.area_outside}


def test_no_heat_has_no_share() -> None:
    found = measure_attention(np.zeros((2, 2), np.float32), np.array([[1, 0], [0, 0]]))
    assert found.outside is None
    assert "no attention" in found.describe()
