"""Views of an image: the plain one, and varied ones. Never part of the exported graph."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from tfxfer.images.decode import resize_image, sample_box
from tfxfer.preprocessing import Resize
from tfxfer.system.arguments import check_word

__all__ = ["AUGMENT_LEVELS", "make_views"]

AUGMENT_LEVELS = ("none", "light", "strong")

# Phones resize in other ways than the training pipeline: MediaPipe stretches close to
# nearest-neighbour, which alone changed 8 % of a linear probe's answers on ELPV. Antialiased
# bilinear keeps half of the draws, being what a careful app does.
_RESIZES = (
    ("bilinear", True),
    ("bilinear", True),
    ("bilinear", True),
    ("bilinear", False),
    ("nearest", False),
    ("bicubic", True),
    ("area", True),
)


# ITU-R BT.601: what grey a colour is.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class _Strength:
    """How far a view may go from the plain image.

    Args:
        area: smallest share of the image that a crop keeps.
        ratio: largest change of the crop's aspect ratio, up or down.
        colour: largest relative change of brightness, contrast and saturation.
        rotation_deg: largest rotation, either way.
        spoil: chance each of blur, JPEG artefacts and an erased rectangle.
    """

    area: float
    ratio: float
    colour: float
    rotation_deg: float
    spoil: float


# Crops: Szegedy et al. 2015 and torchvision take 0.08 to 1; with pretrained weights and small sets
# that loses the object too often, so both levels start higher.
_STRENGTHS = {
    "light": _Strength(area=0.6, ratio=4 / 3, colour=0.1, rotation_deg=0.0, spoil=0.0),
    "strong": _Strength(area=0.35, ratio=4 / 3, colour=0.3, rotation_deg=15.0, spoil=0.15),
}


def make_views(
    image: Image.Image,
    *,
    size_px: int,
    resize: Resize,
    level: str,
    views: Sequence[int],
    seed: int,
    index: int,
    flip: bool = True,
) -> np.ndarray:
    """Returns views of one image.

    View 0 is the plain resize at every level. Any other view is drawn from `(seed, index, view)`
    alone, so it does not depend on which thread makes it, in which order, or with which others.

    Args:
        image: RGB, as `open_image` returns it.
        size_px: side of the square.
        resize: how the plain view is made.
        level: `none`, `light` or `strong`.
        views: numbers of the views; 0 is the plain one.
        seed: of the run.
        index: of the image in its split.
        flip: whether views may be mirrored left to right. False where left and right differ, such
            as text or arrows.

    Shapes: uint8 (views, size_px, size_px, 3).
    """
    check_level(level)
    out = np.empty((len(views), size_px, size_px, 3), np.uint8)
    plain: np.ndarray | None = None
    for row, view in enumerate(views):
        if view == 0 or level == "none":
            if plain is None:
                plain = resize_image(image, size_px, resize)
            out[row] = plain
        else:
            rng = np.random.default_rng((seed, index, view))
            out[row] = _vary(image, size_px, resize, _STRENGTHS[level], rng, flip)
    return out


def check_level(level: str) -> None:
    """Raises `UsageError` where no such level exists."""
    check_word(level, AUGMENT_LEVELS, where="augment", name="level")


def _vary(
    image: Image.Image,
    size_px: int,
    resize: Resize,
    strength: _Strength,
    rng: np.random.Generator,
    flip: bool,
) -> np.ndarray:
    if resize.fit == "pad":
        # Cropping would undo the padding that the plain view has: the square is varied instead.
        image = Image.fromarray(resize_image(image, 2 * size_px, resize))
    size = (size_px, size_px)
    box = _draw_box(image.size, strength, rng, keep_shape=resize.fit == "crop")
    method, antialias = _RESIZES[int(rng.integers(len(_RESIZES)))]
    # Halves the time on large photos; what it costs is far below the change of colour.
    view = sample_box(image, size, box, method, antialias, reducing_gap=1.1)
    if flip and rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if strength.rotation_deg:
        view = _rotate(view, float(rng.uniform(-1, 1)) * strength.rotation_deg)
    pixels = _jitter(view, strength.colour, rng)
    return _degrade(pixels, rng, strength.spoil) if strength.spoil else pixels


def _draw_box(
    size: tuple[int, int], strength: _Strength, rng: np.random.Generator, *, keep_shape: bool
) -> tuple[float, float, float, float]:
    width, height = size
    if keep_shape:
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        width = height = side
    else:
        left = top = 0.0
    area = rng.uniform(strength.area, 1.0)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(strength.ratio) / 2)
    # Relative to the image's own shape, since the plain view stretches that to the square.
    across = min(1.0, math.sqrt(area) * stretch) * width
    down = min(1.0, math.sqrt(area) / stretch) * height
    left += rng.random() * (width - across)
    top += rng.random() * (height - down)
    # Pillow refuses a box that floating point pushed past the edge.
    return (left, top, min(left + across, float(size[0])), min(top + down, float(size[1])))


def _rotate(view: Image.Image, degrees: float) -> Image.Image:
    # Enlarged just enough that no black corner shows: a network would learn from corners.
    angle = math.radians(abs(degrees))
    zoom = 1 / (math.cos(angle) + math.sin(angle))
    cos, sin = math.cos(math.radians(degrees)) * zoom, math.sin(math.radians(degrees)) * zoom
    middle = view.width / 2
    matrix = (
        cos, -sin, middle - middle * (cos - sin),
        sin, cos, middle - middle * (cos + sin),
    )  # fmt: skip
    return view.transform(
        view.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )


def _jitter(view: Image.Image, most: float, rng: np.random.Generator) -> np.ndarray:
    brightness, contrast, saturation = 1 + rng.uniform(-most, most, 3)
    middle = float(rng.uniform(100, 155))
    # All three are linear in the pixel: one matrix and one pass instead of three.
    mix = saturation * np.eye(3) + (1 - saturation) * np.array(_LUMA)
    matrix = np.hstack([mix * brightness * contrast, np.full((3, 1), middle * (1 - contrast))])
    return np.array(view.convert("RGB", tuple(matrix.ravel().tolist())))


def _degrade(pixels: np.ndarray, rng: np.random.Generator, chance: float) -> np.ndarray:
    blur, artefacts, erase = rng.random(3) < chance
    if blur:
        image = Image.fromarray(pixels)
        radius = float(rng.uniform(0.5, 1.5)) * pixels.shape[0] / 224
        pixels = np.array(image.filter(ImageFilter.GaussianBlur(radius)))
    if artefacts:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(30, 80)))
        with Image.open(buffer, formats=("JPEG",)) as image:
            pixels = np.array(image.convert("RGB"))
    if erase:
        # Zhong et al. 2020, random erasing with random values; at most a fifth of the image here.
        side = pixels.shape[0]
        tall, wide = (rng.uniform(0.15, 0.45, 2) * side).astype(int).clip(1)
        top, left = rng.integers(0, side - tall + 1), rng.integers(0, side - wide + 1)
        pixels[top : top + tall, left : left + wide] = rng.integers(0, 256, 3, np.uint8)
    return pixels
