"""The look of a photo as the low frequencies of its spectrum, which another photo can be given.

Only coefficients in a small window change, so that these alone are computed, by two products with
the rows of the Fourier matrix that they need, and not the whole transform.
"""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["WINDOWS", "find_reach", "give_amplitudes", "measure_amplitudes"]

WINDOWS = (0.01, 0.05, 0.09)
"""Sizes of the window, β, as shares of the side; those of the source, of which each view draws."""


def find_reach(side_px: int, window: float) -> int | None:
    """Returns up to which frequency a window reaches; None where it holds none.

    Args:
        side_px: of the square.
        window: β, from 0, which holds nothing, to 0.5, which holds all.

    Units: cycles per image.

    Example:
        >>> find_reach(224, 0.09), find_reach(96, 0.01), find_reach(224, 0.0)
        (20, 0, None)
    """
    return None if window <= 0 else min(int(window * side_px), (side_px - 1) // 2)


def measure_amplitudes(images: np.ndarray) -> np.ndarray:
    """Returns the amplitudes of low frequencies, as far as the largest window reaches.

    Args:
        images: pixels, any number of them at a time.

    Shapes: (n, side, side, 3); returns float32 (n, 2 r + 1, 2 r + 1, 3), frequency 0 in the middle,
        with r of `find_reach`.
    """
    reach = find_reach(images.shape[1], max(WINDOWS))
    assert reach is not None
    found = [np.abs(_transform(image.astype(np.float32), reach)) for image in images]
    side = 2 * reach + 1
    return np.stack(found) if found else np.zeros((0, side, side, images.shape[-1]), np.float32)


def give_amplitudes(
    image: np.ndarray, amplitudes: np.ndarray, *, window: float, share: float = 1.0
) -> np.ndarray:
    """Returns a photo with another one's amplitudes at low frequencies, and its own phases.

    Args:
        image: pixels, of any dtype.
        amplitudes: of a photo of that size, from `measure_amplitudes`, that reach at least as far.
        window: β.
        share: how far amplitudes go from the photo's own (0) to the other one's (1).

    Shapes: (side, side, 3), (k, k, 3); returns float32 (side, side, 3), not clipped.

    Source:
        Yang and Soatto 2020, FDA: Fourier Domain Adaptation for Semantic Segmentation, eq. 3,
        https://arxiv.org/abs/2004.05498. A share below 1 is as in Xu et al. 2021,
        https://arxiv.org/abs/2105.14241. With β = 0 nothing changes, as the text has it; by the
        formula of the mask alone the mean would.
    """
    pixels = image.astype(np.float32)
    reach = find_reach(len(pixels), window)
    if reach is None:
        return pixels
    own = _transform(pixels, reach)
    beyond = len(amplitudes) // 2 - reach
    inner = slice(beyond, len(amplitudes) - beyond)
    size = np.abs(own)
    # A coefficient of 0 has no phase: it is given that of a cosine.
    direction = np.where(size > 0, own / np.maximum(size, np.finfo(np.float32).tiny), 1)
    change = share * (amplitudes[inner, inner] - size) * direction
    return pixels + _transform_back(change, len(pixels))


@functools.lru_cache(maxsize=8)
def _list_waves(side: int, reach: int) -> np.ndarray:
    """Returns the waves of frequencies -reach to reach, complex64 (2 reach + 1, side)."""
    turns = np.outer(np.arange(-reach, reach + 1), np.arange(side)) / side
    return np.exp(-2j * np.pi * turns).astype(np.complex64)


def _transform(pixels: np.ndarray, reach: int) -> np.ndarray:
    waves = _list_waves(len(pixels), reach)
    down = np.tensordot(waves, pixels, axes=(1, 0))
    return np.asarray(np.tensordot(waves, down, axes=(1, 1)).swapaxes(0, 1))


def _transform_back(coefficients: np.ndarray, side: int) -> np.ndarray:
    # A window has each frequency with its opposite, so that the sum is real.
    waves = _list_waves(side, len(coefficients) // 2).conj()
    down = np.tensordot(waves, coefficients, axes=(0, 0))
    return np.asarray(np.tensordot(waves, down, axes=(0, 1)).swapaxes(0, 1).real) / side**2
