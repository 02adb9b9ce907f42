"""Heat maps laid over the pictures they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfxfer.picture import Picture

__all__ = ["fit_heat", "overlay", "put_side_by_side"]

_COLOURS = "inferno"
"""From black to light yellow, each step as visible as the next, also printed in grey:
https://matplotlib.org/stable/users/explain/colors/colormaps.html"""

_GAP_PX, _PAPER = 8, (255, 255, 255)


def overlay(picture: Picture, heat: np.ndarray, *, strength: float = 0.75) -> np.ndarray:
    """Returns a picture with its heat map over it, in the picture's own aspect ratio.

    Cold places show the picture alone; the warmer a place, the more the colour covers it.

    Args:
        picture: from `Modality.read_picture`.
        heat: 0..1, from `explain`, over what the network saw of it.
        strength: how much of the picture the warmest place hides, 0..1.

    Shapes: heat (rows, columns); returns uint8 RGB, as `picture.pixels`.
    """
    import matplotlib

    fitted = fit_heat(picture, heat)
    colour = 255 * matplotlib.colormaps[_COLOURS](fitted)[..., :3]
    cover = strength * fitted[..., None]
    mixed = picture.pixels * (1 - cover) + colour * cover
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def fit_heat(picture: Picture, heat: np.ndarray) -> np.ndarray:
    """Returns a heat map in the picture's frame; 0 where the network saw nothing.

    Shapes: heat (rows, columns); returns float32 (height, width) of `picture.pixels`.
    """
    rows, columns = heat.shape
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = picture.seen
    across, down = columns / (right - left), rows / (bottom - top)
    # From a pixel of the picture to one of the map, both counted from their outer edges.
    matrix = (across / width, 0.0, -left * across, 0.0, down / height, -top * down)
    image = Image.fromarray(np.asarray(heat, np.float32)).transform(
        (width, height), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(image).clip(0, 1)


def put_side_by_side(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Returns pictures of one height beside each other, each under its caption.

    Shapes: uint8 (height, width, 3) each; returns uint8 (height + caption, widths + gaps, 3).
    """
    height = max(item.shape[0] for item in pictures)
    font = _load_font(max(12, round(height / 24)))
    line = round(1.6 * font.size)
    width = sum(item.shape[1] for item in pictures) + _GAP_PX * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, line + height), _PAPER)
    pen, left = ImageDraw.Draw(sheet), 0
    for item, caption in zip(pictures, captions, strict=True):
        room = item.shape[1]
        pen.text((left, line / 2), _shorten(caption, font, room), (0, 0, 0), font, anchor="lm")
        sheet.paste(Image.fromarray(item), (left, line))
        left += room + _GAP_PX
    return np.array(sheet)


def _load_font(size: int) -> ImageFont.FreeTypeFont:
    """Returns DejaVu Sans, which matplotlib carries: it knows more scripts than Pillow's own."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def _shorten(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"
