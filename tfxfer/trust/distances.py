"""How far two distributions are apart: channel by channel, as Gaussians, and by a kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfxfer.errors import DataError

__all__ = [
    "FrechetSpace",
    "channel_distance",
    "find_width",
    "gaussian_distance",
    "measure_mmd",
]

PERMUTATIONS = 999
"""Permutations of an MMD test, so that the smallest p-value is 1/1,000."""

_ROUNDING = 1e-12  # of sums of kernels, which are at most 1
_BLOCK = 200  # permutations computed at once


def channel_distance(
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    source_mean: np.ndarray,
    source_variance: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Returns the Fréchet distance of each channel's normal distribution, normalised; their mean.

    `((mean - source mean)² + (deviation - source deviation)²) / (source variance + epsilon)`.

    Some channels of real networks are all but constant: of EfficientNet-Lite0 one in a hundred has
    a variance below .0003, some have 0. Divided by that alone, they are most of the distance. With
    the layer's own epsilon the unit is what the network itself divides by.

    Args:
        mean: of the samples.
        variance: of the samples.
        source_mean: what the layer remembers.
        source_variance: the same.
        epsilon: of the layer.

    Shapes: (…, channels) and (channels,); returns (…).

    Returns:
        Non-negative distances, 0 for equal moments. A channel that is dead for all samples counts
        about 1, one whose mean is off by a standard deviation, too.

    Source:
        Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X, for normal
        distributions in one dimension. That it is divided by the source's variance is ours.
    """
    shift = np.square(mean - source_mean)
    # Rounding may leave a constant channel a variance below 0.
    spread = np.square(np.sqrt(np.maximum(variance, 0)) - np.sqrt(source_variance))
    found: np.ndarray = ((shift + spread) / (source_variance + epsilon)).mean(axis=-1)
    return found


def gaussian_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Returns the squared Fréchet distance between two normal distributions.

    Shapes: means (features,), covariances (features, features), symmetric, no eigenvalue below 0.

    Source:
        Dowson and Landau 1982, eq. 4; Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6.
        The root of a product of two covariances is taken of `A^½ B A^½`, which is symmetric and
        has the same trace.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    cross = np.sqrt(np.maximum(product, 0)).sum()
    traces = np.trace(covariance) + np.trace(other_covariance)
    shift = np.square(mean - other_mean).sum()
    return max(0.0, float(shift + traces - 2 * cross))


class FrechetSpace:
    """Features of some samples, in which subsets of them are compared as normal distributions.

    With fewer samples than features all that differs lies in the span of the samples; outside of
    it a shrunken covariance is the same in every direction. So the eigenvalues of small matrices
    are enough: 512 samples of 1,280 features take a tenth of the time.

    Args:
        features: of all samples.

    Shapes: (samples, features).

    Source:
        Heusel et al. 2017, https://arxiv.org/abs/1706.08500, for the distance; Ledoit and Wolf
        2004, https://doi.org/10.1016/S0047-259X(03)00096-4, for the shrinkage, which Heusel et al.
        do without: they have 50,000 images, we have some hundreds.
    """

    def __init__(self, features: np.ndarray) -> None:
        centred = features - np.mean(features, axis=0, dtype=np.float64)
        self._coordinates, self._outside = centred, 0
        if len(centred) < centred.shape[1]:
            values, vectors = np.linalg.eigh(centred @ centred.T)
            # One at least: samples that are all equal span nothing.
            kept = max(1, int((values > values[-1] * 1e-12).sum()))
            self._coordinates = vectors[:, -kept:] * np.sqrt(np.maximum(values[-kept:], 0))
            self._outside = centred.shape[1] - kept

    def measure(self, first: np.ndarray, second: np.ndarray) -> float:
        """Returns the squared Fréchet distance between two subsets of the samples.

        Shapes: indices or masks of the samples.
        """
        mean, covariance, rest = self._fit(first)
        other_mean, other_covariance, other_rest = self._fit(second)
        inside = gaussian_distance(mean, covariance, other_mean, other_covariance)
        return inside + self._outside * float(np.sqrt(rest) - np.sqrt(other_rest)) ** 2

    def _fit(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Returns mean and shrunken covariance in the span, and the variance outside of it."""
        inside = self._coordinates[chosen]
        mean, features = inside.mean(axis=0), len(inside.T) + self._outside
        centred = inside - mean
        plain = centred.T @ centred / len(centred)
        share = _find_shrinkage(centred, plain, features)
        level = share * float(np.trace(plain)) / features
        return mean, (1 - share) * plain + level * np.eye(len(plain)), level


def _find_shrinkage(centred: np.ndarray, covariance: np.ndarray, features: int) -> float:
    """Returns the share of the identity in Ledoit and Wolf's covariance.

    All of it follows from lengths, which are the same in the span as among all features.

    Args:
        centred: samples about their mean.
        covariance: of them.
        features: how many there are, those outside of the span included.

    Source:
        Ledoit and Wolf 2004, lemmas 3.2 to 3.5; what `sklearn.covariance.ledoit_wolf_shrinkage`
        computes among all features.
    """
    square = float(np.square(covariance).sum())
    distance = square - float(np.trace(covariance)) ** 2 / features
    error = float(np.square(np.square(centred).sum(axis=1)).mean()) - square
    if distance <= 0 or error <= 0:
        return 0.0
    return min(1.0, error / len(centred) / distance)


def measure_mmd(
    source: np.ndarray,
    target: np.ndarray,
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    width: float | None = None,
) -> tuple[float, float]:
    """Returns the squared maximum mean discrepancy of two sets of features, and its p-value.

    Args:
        source: features, at least two rows.
        target: features of other samples, at least two rows.
        seed: of the permutations.
        permutations: of the samples between the sets.
        width: of the kernel, a squared distance; None is `find_width` of both sets. Discrepancies
            of one width can be compared with one another.

    Shapes: (samples, features), with as many features.

    Returns:
        The unbiased estimate, which may be a little below 0, and how often sets that are drawn
        from all samples at random are as far apart.

    Raises:
        DataError: fewer than two rows, or the numbers of features differ.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html: eq. 3, and section 8 for
        the median distance as the width of the Gaussian kernel. The p-value counts the sample
        itself: Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585.
    """
    source, target = _check_features(source, target)
    kernel = _make_kernel(np.concatenate([source, target]).astype(np.float64), width)
    first, count = len(source), len(kernel)
    owner = (np.arange(count) < first).astype(np.float64)
    value = float(_compare_sides(kernel, owner[None], first)[0])
    rng = np.random.default_rng(seed)
    # The same shares, summed in another order, are off by rounding: they are as far apart.
    least = value - _ROUNDING * max(1.0, abs(value))
    reached = sum(
        int((_compare_sides(kernel, block, first) >= least).sum())
        for block in _iter_permutations(owner, permutations, rng)
    )
    return value, (1 + reached) / (1 + permutations)


def find_width(features: np.ndarray) -> float:
    """Returns the median squared distance of two samples, and 0.5 where most are equal.

    Where they are, any width tells them from the others.

    Shapes: (samples, features).
    """
    squares = _square_distances(features.astype(np.float64))
    median = float(np.median(squares[np.triu_indices(len(squares), 1)]))
    return median if median > 0 else 0.5


def _make_kernel(features: np.ndarray, width: float | None) -> np.ndarray:
    """Returns the Gaussian kernel of all pairs, 0 for a sample with itself."""
    squares = _square_distances(features)
    kernel: np.ndarray = np.exp(-squares / (2 * (find_width(features) if width is None else width)))
    np.fill_diagonal(kernel, 0)
    return kernel


def _square_distances(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(axis=0)
    norms = np.square(centred).sum(axis=1)
    found: np.ndarray = np.maximum(norms[:, None] + norms[None] - 2 * centred @ centred.T, 0)
    return found


def _compare_sides(kernel: np.ndarray, owners: np.ndarray, first: int) -> np.ndarray:
    """Returns the discrepancy for each way to share the samples out.

    Shapes: kernel (samples, samples), owners (ways, samples), 1 for the first set.
    """
    second = len(kernel) - first
    rows = owners @ kernel
    inside = (rows * owners).sum(axis=1)
    across = rows.sum(axis=1) - inside
    other = kernel.sum() - inside - 2 * across
    found: np.ndarray = (
        inside / (first * (first - 1))
        + other / (second * (second - 1))
        - 2 * across / (first * second)
    )
    return found


def _iter_permutations(
    owner: np.ndarray, count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    for start in range(0, count, _BLOCK):
        rows = np.tile(owner, (min(_BLOCK, count - start), 1))
        yield rng.permuted(rows, axis=1)


def _check_features(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    source, target = np.asarray(source), np.asarray(target)
    shapes = source.shape, target.shape
    ranks = {source.ndim, target.ndim}
    if ranks != {2} or min(len(source), len(target)) < 2 or shapes[0][1] != shapes[1][1]:
        raise DataError(
            "features: expected two arrays (samples, features) with at least two rows each and as "
            f"many columns. Received: shapes={shapes}."
        )
    return source, target
