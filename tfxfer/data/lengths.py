"""How long samples are where that differs: what a size cuts, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.sample import Sample

__all__ = ["LengthPicture", "group_lengths", "measure_lengths", "picture_lengths"]

_CHUNK = 4096  # samples measured between two words on how far it is
_BINS = 12
_BAR_CHARACTERS = 24
_WINDOW_BATCHES = 32
"""Batches whose samples are sorted together. Of more, epochs would be less random; with 32 batches
of 32, a batch is as wide as a thirty-second of the lengths."""


@dataclass(frozen=True)
class LengthPicture:
    """How long the samples of a data set are.

    Args:
        unit: that lengths count.
        size: of the model's input; what is longer is cut.
        samples: how many.
        median: of the lengths.
        p95: 95 of 100 are at most as long.
        longest: of them.
        longer: how many are longer than the size.
        cut: share of all length that lies beyond the size.
        edges: of the histogram's bins, rising, one more than there are bins.
        counts: samples in each bin; the last one holds its upper edge, too.
    """

    unit: str
    size: int
    samples: int
    median: float
    p95: float
    longest: int
    longer: int
    cut: float
    edges: tuple[int, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("edges", "counts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def describe(self, plural: str) -> str:
        """Returns it in a line.

        Args:
            plural: what samples are called.
        """
        words = (
            f"lengths in {self.unit}: half of the {plural} have at most {self.median:g}, 95 % at "
            f"most {self.p95:g}, the longest {self.longest:,}; the input takes {self.size:,}"
        )
        if not self.longer:
            return f"{words}, and nothing is cut"
        verb = "is" if self.longer == 1 else "are"
        return (
            f"{words}: {self.longer:,} {plural if self.longer != 1 else 'of them'} {verb} longer "
            f"({_percent(self.longer / self.samples)}), and {_percent(self.cut)} of all "
            f"{self.unit} are cut"
        )

    def draw(self) -> list[tuple[str, str, str]]:
        """Returns the histogram as rows of a table: range of lengths, samples, bar."""
        most = max(self.counts)
        rows = []
        for low, high, count in zip(self.edges[:-1], self.edges[1:], self.counts, strict=True):
            last = high if high == self.edges[-1] else high - 1
            name = f"{low:,}" if low >= last else f"{low:,} to {last:,}"
            bar = "#" * max(round(_BAR_CHARACTERS * count / most), int(count > 0))
            rows.append((name, f"{count:,}", bar))
        return rows


def measure_lengths(
    samples: Sequence[Sample],
    modality: Modality,
    contract: Any,
    *,
    progress: Progress | None = None,
) -> np.ndarray | None:
    """Returns how long samples are, uncut; None where all of a kind are alike.

    Args:
        samples: that can be read.
        modality: measures them.
        contract: of the backbone, fitted.
        progress: told of samples measured.

    Shapes: int64 (samples,).
    """
    parts: list[np.ndarray] = []
    for start in range(0, len(samples), _CHUNK):
        found = modality.measure_lengths(samples[start : start + _CHUNK], contract=contract)
        if found is None:
            return None
        parts.append(np.asarray(found, np.int64))
        if progress is not None:
            done = min(start + _CHUNK, len(samples))
            progress(f"measuring {modality.plural}", done, len(samples))
    return np.concatenate(parts) if parts else None


def picture_lengths(lengths: np.ndarray, *, size: int, unit: str) -> LengthPicture:
    """Returns how long samples are, and what of them a size cuts.

    Args:
        lengths: of the samples, one or more.
        size: of the model's input.
        unit: that both count.

    Shapes: int64 (samples,).
    """
    longest = int(lengths.max())
    # Each bin twice as wide as the one before would hide where most texts are; equal ones would
    # put all but a novel into the first: equal up to the size, or to the longest below it.
    step = max(1, -(-min(size, longest) // _BINS))
    edges = list(range(0, min(size, longest) + 1, step))
    if edges[-1] < min(size, longest):
        edges.append(edges[-1] + step)
    if edges[-1] < longest:
        edges.append(longest)
    if len(edges) < 2:
        edges.append(edges[-1] + 1)
    counts, _ = np.histogram(lengths, np.array(edges))
    total = int(lengths.sum())
    return LengthPicture(
        unit=unit,
        size=size,
        samples=len(lengths),
        median=float(np.median(lengths)),
        p95=float(np.percentile(lengths, 95, method="inverted_cdf")),
        longest=longest,
        longer=int((lengths > size).sum()),
        cut=float(np.maximum(lengths - size, 0).sum() / total) if total else 0.0,
        edges=tuple(edges),
        counts=tuple(int(count) for count in counts),
    )


def group_lengths(
    order: np.ndarray, lengths: np.ndarray, *, batch_size: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns the places of an order in another one, whose batches hold samples of like length.

    Samples are sorted within windows of the order, and the batches of all windows shuffled. What
    does not fill a batch stays last, so that it does not always hold the longest.

    Args:
        order: indices of samples, as an epoch drew them.
        lengths: of all samples.
        batch_size: samples a step.
        rng: of the shuffling.

    Shapes: int64 (n,) and (samples,); returns int64 (n,), each of 0..n-1 once.

    Source:
        Bucketing by sorted windows ("pools") as in Ott et al. 2019, fairseq, and torchtext's
        BucketIterator; here with batches of a fixed number of samples, so that a step weighs the
        same whatever it holds.
    """
    whole = len(order) // batch_size * batch_size
    places = np.arange(len(order))
    window = batch_size * _WINDOW_BATCHES
    for start in range(0, whole, window):
        part = places[start : min(start + window, whole)]
        places[start : start + len(part)] = part[np.argsort(lengths[order[part]], kind="stable")]
    batches = places[:whole].reshape(-1, batch_size)
    return np.concatenate([rng.permutation(batches, axis=0).reshape(-1), places[whole:]])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "less than 0.1 %"
