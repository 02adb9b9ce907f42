"""A large image a band of rows at a time: what is made on the way is never as large as the image.

Pillow and NumPy make a whole new image at every step, and five of 120 megapixels are more than a
machine has to give for one photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PIL import Image

__all__ = ["convert_bands", "list_bands"]

BAND_PIXELS = 4_000_000
"""Of which a step holds a few at most: 16 MB each as RGBA. A photo of 4 megapixels is one band."""


def list_bands(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Yields the first row of each band and the row after its last, from the top down.

    Example:
        >>> list(list_bands(2_000_000, 5))
        [(0, 2), (2, 4), (4, 5)]
    """
    rows = max(1, BAND_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def convert_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Returns an image as RGB, converted a band at a time.

    Args:
        image: of any mode.
        convert: returns a part of it as RGB; each pixel is converted by itself.
    """
    width, height = image.size
    if width * height <= BAND_PIXELS:
        return convert(image)
    whole = Image.new("RGB", image.size)
    for top, bottom in list_bands(width, height):
        whole.paste(convert(image.crop((0, top, width, bottom))), (0, top))
    return whole
