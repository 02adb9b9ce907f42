"""Which images are copies of one another: resized, re-encoded, or in another format.

A difference hash proposes pairs, a comparison of 64 x 64 pixels confirms them, and a group is a
star: every member matches the group's first image. Chains would join unlike images where all look
alike: with a difference hash at 4 bits alone, 719 of ELPV's 2,624 cells fall into one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfxfer.progress import Progress

__all__ = ["THUMBNAIL_PX", "difference_hash", "find_near_duplicates", "make_thumbnail"]

THUMBNAIL_PX = 64

_HASH_BLOCKS = 8
_COARSE_BLOCKS = 16
# 256 rows against 100,000 images: 200 MB of intermediate results.
_BLOCK_ROWS = 256
_CONFIRM_ROWS = 2048

# Of 112 bits. Copies at half size, JPEG quality 50 or WebP 80 of all images of ELPV, NEU surface
# defects and flowers5 differ by at most 23; copies at half size and quality 50 together by 30.
_MAX_HASH_BITS = 32

# Root mean square of what is left of one thumbnail after the best brightness and contrast, in grey
# levels, over 1 + 0.04 * standard deviation. One change (half size, JPEG quality 50, WebP 80)
# leaves at most 0.60 on ELPV, 0.67 on NEU, 0.75 on flowers5; half size and quality 50 together
# 0.78, 1.23 and 1.76. Unlike images start at 0.70 on ELPV (21 of 3.4 million pairs below 0.91),
# 1.85 on NEU and 5.5 on flowers5. At 1.25 the largest group is 5 of ELPV's 2,624, and there is none
# on NEU.
_CLOSE_RESIDUAL = 0.75
_MAX_RESIDUAL = 1.25
_CONTRAST_SLACK = 0.04

# And never more than this share of the contrast, or all faint images would be alike. Copies reach
# 0.17, half size and quality 50 together 0.24.
_MAX_RELATIVE_RESIDUAL = 0.3

# Below this standard deviation, in grey levels, there is nothing to compare. ELPV's faintest: 4.2.
_MIN_CONTRAST = 1.5


def make_thumbnail(image: Image.Image) -> np.ndarray:
    """Returns what duplicates are found by: grey, stretched to the square.

    Shapes: uint8 (64, 64).
    """
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    grey = image.convert("L")
    return np.array(grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def difference_hash(thumbnails: np.ndarray) -> np.ndarray:
    """Returns 112 bits per thumbnail: whether each of 8 x 8 blocks is darker than its neighbours.

    Shapes: thumbnails (images, 64, 64); returns uint64 (images, 2).
    """
    blocks = _block_means(thumbnails, _HASH_BLOCKS)
    right = blocks[:, :, 1:] > blocks[:, :, :-1]
    below = blocks[:, 1:, :] > blocks[:, :-1, :]
    count = len(thumbnails)
    bits = np.zeros((count, 128), bool)
    bits[:, :56] = right.reshape(count, -1)
    bits[:, 56:112] = below.reshape(count, -1)
    return np.packbits(bits, axis=1).view(np.uint64)


def find_near_duplicates(thumbnails: np.ndarray, *, progress: Progress | None = None) -> np.ndarray:
    """Returns the group of each image: the index of the image that the group is a star around.

    Shapes: thumbnails uint8 (images, 64, 64); returns int64 (images,), its own index where an
        image is no copy.
    """
    # Close copies first: or an image that is a little like another joins that one, and its own
    # copy, which is like it alone, stays outside.
    groups = np.arange(len(thumbnails))
    features = _measure(thumbnails)
    for limit in (_CLOSE_RESIDUAL, _MAX_RESIDUAL):
        _group_around_leaders(thumbnails, features, groups, limit, progress)
    return groups


@dataclass(frozen=True, eq=False)
class _Features:
    """What proposals are made from: hash, standard deviation, 16 x 16 pixels less their mean."""

    hashes: np.ndarray
    contrast: np.ndarray
    coarse: np.ndarray

    def take(self, indices: np.ndarray) -> _Features:
        return _Features(self.hashes[indices], self.contrast[indices], self.coarse[indices])


def _measure(thumbnails: np.ndarray) -> _Features:
    chunks = []
    for start in range(0, len(thumbnails), _CONFIRM_ROWS):
        some = thumbnails[start : start + _CONFIRM_ROWS]
        coarse = _center(_block_means(some, _COARSE_BLOCKS))
        chunks.append((difference_hash(some), _contrast(some), coarse))
    if not chunks:
        return _Features(np.empty((0, 2), np.uint64), np.empty(0), np.empty((0, 0)))
    hashes, contrast, coarse = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return _Features(hashes, contrast, coarse)


def _group_around_leaders(
    thumbnails: np.ndarray,
    features: _Features,
    groups: np.ndarray,
    limit: float,
    progress: Progress | None,
) -> None:
    """Joins groups, in place, whose every member is within the limit of the first group's star."""
    stars = np.flatnonzero(groups == np.arange(len(groups)))
    sizes = np.bincount(groups, minlength=len(groups))
    for star, candidates in _propose(features.take(stars), limit, progress):
        first = int(stars[star])
        # What joined since it was proposed is settled, which keeps a still camera's ten thousand
        # frames from being compared each with each.
        if groups[first] != first:
            continue
        others = stars[candidates]
        others = others[groups[others] == others]
        alike = others[_confirm(thumbnails, first, others, limit)]
        for other in alike.tolist():
            members = np.flatnonzero(groups == other) if sizes[other] > 1 else np.array([other])
            if len(members) == 1 or _confirm(thumbnails, first, members, limit).all():
                groups[members] = first
                sizes[first] += len(members)


def _propose(
    features: _Features, limit: float, progress: Progress | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each image with the later ones that hash and 16 x 16 pixels do not rule out."""
    hashes, contrast, coarse = features.hashes, features.contrast, features.coarse
    squares = np.square(coarse).sum(axis=1)
    count = len(hashes)
    for top in range(0, count, _BLOCK_ROWS):
        if progress:
            progress("comparing images", top, count)
        rows, columns = slice(top, top + _BLOCK_ROWS), slice(top, count)
        near = _hash_distance(hashes[rows], hashes[columns]) <= _MAX_HASH_BITS
        near = np.triu(near, 1)
        one, other = np.nonzero(near)
        dots = coarse[rows] @ coarse[columns].T
        # Averaging blocks never enlarges a residual: this rules out no pair that would pass.
        near[one, other] = _is_alike(
            dots[one, other],
            (squares[rows][one], squares[columns][other]),
            (contrast[rows][one], contrast[columns][other]),
            pixels=_COARSE_BLOCKS**2,
            limit=limit,
        )
        for row in np.flatnonzero(near.any(axis=1)).tolist():
            yield top + row, top + np.flatnonzero(near[row])
    if progress:
        progress("comparing images", count, count)


def _confirm(thumbnails: np.ndarray, first: int, others: np.ndarray, limit: float) -> np.ndarray:
    """Returns which of the other images are copies of the first, by their 64 x 64 pixels."""
    one = _center(thumbnails[[first]])[0]
    alike = [np.empty(0, bool)]
    for start in range(0, len(others), _CONFIRM_ROWS):
        some = thumbnails[others[start : start + _CONFIRM_ROWS]]
        pixels = _center(some)
        alike.append(
            _is_alike(
                pixels @ one,
                (np.square(one).sum(), np.square(pixels).sum(axis=1)),
                (_contrast(thumbnails[[first]]), _contrast(some)),
                pixels=THUMBNAIL_PX**2,
                limit=limit,
            )
        )
    return np.concatenate(alike)


def _is_alike(
    dots: np.ndarray,
    squares: tuple[np.ndarray, np.ndarray],
    contrasts: tuple[np.ndarray, np.ndarray],
    *,
    pixels: int,
    limit: float,
) -> np.ndarray:
    """Whether the residual of the best fit of one image to the other is within both limits."""
    # Scaled to the fainter of the two, so that noise is not blown up by the fit.
    explained = np.square(dots) / np.maximum(np.maximum(*squares), 1e-6)
    residual = np.sqrt(np.maximum(np.minimum(*squares) - explained, 0) / pixels)
    contrast = np.minimum(*contrasts)
    most = np.minimum(limit * (1 + _CONTRAST_SLACK * contrast), _MAX_RELATIVE_RESIDUAL * contrast)
    alike: np.ndarray = (residual <= most) & (dots > 0) & (contrast >= _MIN_CONTRAST)
    return alike


def _contrast(thumbnails: np.ndarray) -> np.ndarray:
    pixels = _center(thumbnails)
    return np.sqrt(np.einsum("ij,ij->i", pixels, pixels) / pixels.shape[1])


def _center(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(len(values), values[0].size).astype(np.float32)
    return flat - flat.mean(axis=1, keepdims=True)


def _block_means(thumbnails: np.ndarray, blocks: int) -> np.ndarray:
    side = THUMBNAIL_PX // blocks
    shape = (len(thumbnails), blocks, side, blocks, side)
    # Along one axis at a time: numpy takes five times as long for both at once.
    rows = thumbnails.reshape(shape).sum(axis=4, dtype=np.float32)
    means: np.ndarray = rows.sum(axis=2) / side**2
    return means


def _hash_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    distance = np.zeros((len(first), len(second)), np.uint8)
    for word in range(first.shape[1]):
        distance += _count_bits(first[:, None, word] ^ second[None, :, word])
    return distance


def _count_bits(words: np.ndarray) -> np.ndarray:
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    # numpy 1.26 has no such function.
    table = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
    return table[words[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)
