"""Near copies of texts: MinHash proposes pairs, the Jaccard index of their shingles confirms them.

A split that parts a message from one that differs in a digit tests what was learnt by heart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfxfer_text.texts import normalize_text

if TYPE_CHECKING:
    from tfxfer.progress import Progress

__all__ = ["LEAST_LIKENESS", "compare_shingles", "find_near_texts", "list_shingles"]

LEAST_LIKENESS = 0.8
"""Jaccard index from which two texts are near copies: of a message of 150 characters, a telephone
number may differ. As in Lee et al. 2022, https://arxiv.org/abs/2107.06499, section 4.2."""

_WIDTH = 5  # characters in a shingle; words would leave out languages without spaces
_MOST = 1024  # shingles kept of a text; of more the lowest hashes, which are a random sample
_BANDS, _ROWS = 16, 4
"""A pair whose index is .8 shares a band with probability 1 - (1 - .8**4)**16 = .9998."""
_MOST_LEADERS = 32  # of one bucket: what many unlike texts share proposes nothing worth looking at
_CHUNK = 512  # texts whose hashes are in memory together
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # of Fibonacci hashing, 2**64 over the golden ratio
_WORD = np.uint64(32)


def list_shingles(text: str) -> np.ndarray:
    """Returns hashes of the runs of five characters in a text, each once, in rising order.

    Case, spaces and forms of one character make no difference. Of a long text the 1,024 lowest are
    kept, a sample that is the same for equal parts of two texts.

    Shapes: uint32 (shingles,), at least one.

    Source:
        Shingles: Broder 1997, On the resemblance and containment of documents; the lowest hashes
        are his "sketch" of fixed size.
    """
    codes = np.frombuffer(normalize_text(text).encode("utf-32-le"), np.uint32).astype(np.uint64)
    if len(codes) < _WIDTH:
        codes = np.concatenate([codes, np.zeros(_WIDTH - len(codes), np.uint64)])
    count = len(codes) - _WIDTH + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(_WIDTH):
        hashes = (hashes ^ codes[place : place + count]) * _MULTIPLIER
        hashes ^= hashes >> _WORD
    found: np.ndarray = np.unique((hashes >> _WORD).astype(np.uint32))
    return found[:_MOST]


def compare_shingles(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the Jaccard index of two texts, 0 to 1; of long ones an estimate.

    Args:
        one: from `list_shingles`.
        other: of another text.

    Shapes: uint32 (shingles,) each.
    """
    both = len(np.intersect1d(one, other, assume_unique=True))
    if max(len(one), len(other)) < _MOST:
        return both / (len(one) + len(other) - both)
    union = np.union1d(one, other)[: min(len(one), len(other), _MOST)]
    shared = np.isin(union, one, assume_unique=True) & np.isin(union, other, assume_unique=True)
    return float(shared.mean())


def find_near_texts(
    shingles: Sequence[np.ndarray], *, progress: Progress | None = None
) -> np.ndarray:
    """Returns the group of each text, the index of its first one.

    Every text of a group is like the first one itself: a chain of small changes joins nothing. The
    work grows in proportion to the texts.

    Args:
        shingles: of each text, from `list_shingles`.
        progress: told of texts compared.

    Shapes: returns int64 (texts,).
    """
    groups = np.arange(len(shingles))
    buckets: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
    for start in range(0, len(shingles), _CHUNK):
        part = shingles[start : start + _CHUNK]
        for number, bands in enumerate(_hash_bands(part), start):
            found = [bucket[band] for bucket, band in zip(buckets, bands, strict=True)]
            leader = _find_leader(number, found, shingles)
            groups[number] = leader
            if leader == number:
                for leaders in found:
                    if len(leaders) < _MOST_LEADERS:
                        leaders.append(number)
        if progress is not None:
            progress("comparing texts", min(start + _CHUNK, len(shingles)), len(shingles))
    return groups


def _find_leader(number: int, found: list[list[int]], shingles: Sequence[np.ndarray]) -> int:
    """Returns the first text of the group that one belongs to, which may be its own."""
    own = shingles[number]
    for leader in sorted({index for leaders in found for index in leaders}):
        sizes = sorted((len(own), len(shingles[leader])))
        # The index of two sets is at most the ratio of their sizes.
        if sizes[0] < LEAST_LIKENESS * sizes[1]:
            continue
        if compare_shingles(own, shingles[leader]) >= LEAST_LIKENESS:
            return leader
    return number


def _hash_bands(part: Sequence[np.ndarray]) -> list[list[int]]:
    """Returns a number for each band of each text: texts that share one may be alike."""
    joined = np.concatenate(part).astype(np.uint64)
    starts = np.concatenate([[0], np.cumsum([len(each) for each in part])[:-1]])
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    terms = rng.integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64)
    lowest = np.stack(
        [
            np.minimum.reduceat((joined * factor + term) >> _WORD, starts)
            for factor, term in zip(factors, terms, strict=True)
        ],
        axis=1,
    ).reshape(len(part), _BANDS, _ROWS)
    bands = np.zeros((len(part), _BANDS), np.uint64)
    for row in range(_ROWS):
        bands = (bands ^ lowest[:, :, row]) * _MULTIPLIER
        bands ^= bands >> _WORD
    numbers: list[list[int]] = bands.tolist()
    return numbers
