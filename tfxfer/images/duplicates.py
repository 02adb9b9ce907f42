"""Which images are copies of one another: resized, re-encoded, or in another format.

What 8 x 8 pixels, a difference hash and 16 x 16 pixels do not rule out, a comparison of 64 x 64
pixels confirms, and a group is a star: every member matches the group's first image. Chains would
join unlike images where all look alike: with a difference hash at 4 bits alone, 719 of ELPV's 2,624
cells fall into one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from PIL import Image

from tfxfer.progress import Progress

__all__ = ["THUMBNAIL_PX", "difference_hash", "find_near_duplicates", "make_thumbnail"]

THUMBNAIL_PX = 64

_HASH_BLOCKS = 8
_HASH_BITS = 2 * _HASH_BLOCKS * (_HASH_BLOCKS - 1)
_COARSE_BLOCKS = 16
# Pairs of one block: their correlations stay in a core's cache while they are looked at.
_BLOCK_ROWS = 256
_BLOCK_COLUMNS = 4096
_CONFIRM_ROWS = 2048
# Pairs are compared one by one while they are so few of a block; then a matrix product is quicker.
_FEW_PAIRS = 1 / 16
# Of a correlation in float32, so that rounding rules out no pair.
_ROUNDING = 1e-5

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
    """Returns 112 signs per thumbnail: 1 where one of 8 x 8 blocks is darker than its neighbour.

    The neighbours are the one to the right and the one below. Of two hashes `(112 - a @ b) / 2`
    signs differ: a matrix product counts the bits of many pairs at once.

    Shapes: thumbnails (images, 64, 64); returns float32 (images, 112), -1 or 1.
    """
    blocks = _block_means(thumbnails, _HASH_BLOCKS)
    right = blocks[:, :, 1:] > blocks[:, :, :-1]
    below = blocks[:, 1:, :] > blocks[:, :-1, :]
    size = _HASH_BITS // 2
    bits = np.concatenate([side.reshape(len(thumbnails), size) for side in (right, below)], axis=1)
    return 2 * bits.astype(np.float32) - 1


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
    """What proposals are made from.

    Args:
        hashes: float32 (images, 112).
        contrast: standard deviation of 64 x 64 pixels, in grey levels: (images,).
        coarse: 16 x 16 pixels less their mean: float32 (images, 256).
        directions: 8 x 8 pixels less their mean, over their length: float32 (images, 64).
        coarsest: standard deviation of 8 x 8 pixels: (images,).
        squares: of `coarse`, summed: (images,).
    """

    hashes: np.ndarray
    contrast: np.ndarray
    coarse: np.ndarray
    directions: np.ndarray
    coarsest: np.ndarray
    squares: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def of(cls, thumbnails: np.ndarray) -> _Features:
        """Returns those of some images."""
        small, coarse = (
            _center(_block_means(thumbnails, blocks)) for blocks in (_HASH_BLOCKS, _COARSE_BLOCKS)
        )
        lengths = np.sqrt(np.square(small).sum(axis=1))
        return cls(
            difference_hash(thumbnails),
            _contrast(thumbnails),
            coarse,
            small / np.maximum(lengths, 1e-6)[:, None],
            lengths / _HASH_BLOCKS,
            np.square(coarse).sum(axis=1),
        )

    @classmethod
    def join(cls, parts: Sequence[_Features]) -> _Features:
        """Returns those of all."""
        return cls(
            *(
                np.concatenate(arrays)
                for arrays in zip(*(each.arrays for each in parts), strict=True)
            )
        )

    def take(self, chosen: np.ndarray | slice) -> _Features:
        """Returns those of some."""
        return _Features(*(array[chosen] for array in self.arrays))


def _measure(thumbnails: np.ndarray) -> _Features:
    starts = range(0, max(1, len(thumbnails)), _CONFIRM_ROWS)
    return _Features.join(
        [_Features.of(thumbnails[start : start + _CONFIRM_ROWS]) for start in starts]
    )


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
    """Yields each image with the later ones that fewer pixels do not rule out."""
    least = _find_least_correlations(features, limit)
    count = len(least)
    for top in range(0, count, _BLOCK_ROWS):
        if progress:
            progress("comparing images", top, count)
        found = [
            _propose_block(features, least, top, left, limit)
            for left in range(top, count, _BLOCK_COLUMNS)
        ]
        one, other = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((other, one))
        rows, starts = np.unique(one[order], return_index=True)
        yield from zip(rows.tolist(), np.split(other[order], starts[1:]), strict=False)
    if progress:
        progress("comparing images", count, count)


def _propose_block(
    features: _Features, least: np.ndarray, top: int, left: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of some images with some later ones that may be copies."""
    rows, columns = (
        slice(start, start + size) for start, size in ((top, _BLOCK_ROWS), (left, _BLOCK_COLUMNS))
    )
    correlations = features.directions[rows] @ features.directions[columns].T
    near = correlations >= least[rows, None]
    near |= correlations >= least[columns]
    # `nonzero` takes fifty times as long where there is next to nothing to find.
    one, other = np.divmod(np.flatnonzero(near), near.shape[1])
    # An image is not compared with those before it, which have been compared with it.
    is_later = other + left > one + top
    one, other = one[is_later], other[is_later]
    first, second = features.take(rows), features.take(columns)
    alike = _multiply_pairs(first.hashes, second.hashes, one, other)
    is_near = alike >= _HASH_BITS - 2 * _MAX_HASH_BITS
    one, other = one[is_near], other[is_near]
    is_near = _is_alike(
        _multiply_pairs(first.coarse, second.coarse, one, other),
        (first.squares[one], second.squares[other]),
        (first.contrast[one], second.contrast[other]),
        pixels=_COARSE_BLOCKS**2,
        limit=limit,
    )
    return top + one[is_near], left + other[is_near]


def _find_least_correlations(features: _Features, limit: float) -> np.ndarray:
    """Returns how much of 8 x 8 pixels each image must share with a copy of more contrast.

    Averaging blocks never enlarges a residual. So what the fainter of two copies does not share is
    at most the greatest residual of its contrast, which is at least that of the pair.

    Shapes: returns float32 (images,), the least correlation; -2 where it may be any.
    """
    share = _find_most_residual(features.contrast, limit) / np.maximum(features.coarsest, 1e-6)
    least = np.sqrt(np.maximum(1 - np.square(share), 0)) - _ROUNDING
    found: np.ndarray = np.where(share < 1, least, -2).astype(np.float32)
    return found


def _multiply_pairs(
    first: np.ndarray, second: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Returns the scalar product of each pair, `first[one]` and `second[other]`."""
    if len(one) < _FEW_PAIRS * len(first) * len(second):
        return np.einsum("ij,ij->i", first[one], second[other])
    products: np.ndarray = (first @ second.T)[one, other]
    return products


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
    most = _find_most_residual(contrast, limit)
    alike: np.ndarray = (residual <= most) & (dots > 0) & (contrast >= _MIN_CONTRAST)
    return alike


def _find_most_residual(contrast: np.ndarray, limit: float) -> np.ndarray:
    """Returns what may be left of an image of some contrast, in grey levels."""
    most: np.ndarray = np.minimum(
        limit * (1 + _CONTRAST_SLACK * contrast), _MAX_RELATIVE_RESIDUAL * contrast
    )
    return most


def _contrast(thumbnails: np.ndarray) -> np.ndarray:
    pixels = _center(thumbnails)
    return np.sqrt(np.einsum("ij,ij->i", pixels, pixels) / pixels.shape[1])


def _center(values: np.ndarray) -> np.ndarray:
    # No -1 for the size of a row: of no images numpy cannot tell it.
    flat = values.reshape(len(values), int(np.prod(values.shape[1:]))).astype(np.float32)
    return flat - flat.mean(axis=1, keepdims=True)


def _block_means(thumbnails: np.ndarray, blocks: int) -> np.ndarray:
    side = THUMBNAIL_PX // blocks
    shape = (len(thumbnails), blocks, side, blocks, side)
    # Along one axis at a time: numpy takes five times as long for both at once.
    rows = thumbnails.reshape(shape).sum(axis=4, dtype=np.float32)
    means: np.ndarray = rows.sum(axis=2) / side**2
    return means
