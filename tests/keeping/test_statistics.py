"""Classes known by where their features lie: nothing is lost beside all the samples at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tfxfer.errors import DataError, RunError
from tfxfer.keeping.statistics import (
    ClassStatistics,
    add_statistics,
    fit_discriminant,
    measure_statistics,
    read_statistics,
    write_statistics,
)

LABELS = ("a", "b", "c", "d")


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray]:
    """160 samples of 4 classes in 6 directions, whose scatter is not round."""
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(4), 40)
    means = rng.normal(size=(4, 6))
    stretch = rng.normal(size=(6, 6))
    return means[classes] + rng.normal(size=(160, 6)) @ stretch, classes


def test_parts_together_are_what_all_would_have_been(
    samples: tuple[np.ndarray, np.ndarray],
) -> None:
    features, classes = samples
    whole = measure_statistics(features, classes, LABELS)
    # Some classes in one part, some in the other, and one in both.
    first = classes * 40 + np.arange(160) % 40 < 100
    parts = [measure_statistics(features[x], classes[x], LABELS) for x in (first, ~first)]
    assert [len(part.labels) for part in parts] == [3, 2]
    both = add_statistics(*parts)
    assert both.labels == whole.labels
    np.testing.assert_array_equal(both.counts, whole.counts)
    np.testing.assert_allclose(both.means, whole.means)
    np.testing.assert_allclose(both.scatter, whole.scatter)
    # The scatter between the two means of one class is not forgotten.
    assert not np.allclose(parts[0].scatter + parts[1].scatter, whole.scatter)


def test_the_discriminant_is_that_of_scikit_learn(samples: tuple[np.ndarray, np.ndarray]) -> None:
    features, classes = samples
    kernel, bias = fit_discriminant(
        measure_statistics(features, classes, LABELS), LABELS, shrinkage=0.0
    )
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4).fit(features, classes)
    ours, expected = features @ kernel + bias, theirs.decision_function(features)
    # Scores that differ by one number a sample are the same answer with the same confidence.
    ours, expected = (x - x.mean(axis=1, keepdims=True) for x in (ours, expected))
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)
    kernel, bias = fit_discriminant(measure_statistics(features, classes, LABELS), LABELS)
    shrunk = features @ kernel + bias
    assert not np.allclose(shrunk - shrunk.mean(axis=1, keepdims=True), expected, rtol=0.01)


def test_the_outputs_are_in_the_order_of_the_labels(
    samples: tuple[np.ndarray, np.ndarray],
) -> None:
    found = measure_statistics(*samples, LABELS)
    kernel, bias = fit_discriminant(found, LABELS)
    turned = fit_discriminant(found, LABELS[::-1])
    np.testing.assert_allclose(turned[0], kernel[:, ::-1])
    np.testing.assert_allclose(turned[1], bias[::-1])


def test_what_nothing_can_be_said_of_is_refused(samples: tuple[np.ndarray, np.ndarray]) -> None:
    features, classes = samples
    found = measure_statistics(features[:80], classes[:80], LABELS)
    with pytest.raises(DataError, match="none of 'c'"):
        fit_discriminant(found, LABELS)
    with pytest.raises(DataError, match="all the same"):
        fit_discriminant(measure_statistics(np.ones((4, 2)), np.arange(4), LABELS), LABELS)
    other = measure_statistics(features[:, :5], classes, LABELS)
    with pytest.raises(RunError, match="another network"):
        add_statistics(found, other)


def test_what_is_stored_comes_back(samples: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    found = measure_statistics(*samples, LABELS)
    path = tmp_path / "trust" / "statistics.npz"
    write_statistics(path, found)
    again = read_statistics(path)
    assert again.labels == LABELS
    np.testing.assert_array_equal(again.counts, found.counts)
    np.testing.assert_allclose(again.means, found.means, rtol=1e-6)
    np.testing.assert_allclose(again.scatter, found.scatter, rtol=1e-6)


def test_what_was_not_stored_here_is_refused(
    samples: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "statistics.npz"
    found = measure_statistics(*samples, LABELS)
    for wrong in (
        ClassStatistics(LABELS[:3], found.counts, found.means, found.scatter),
        ClassStatistics(LABELS, found.counts, found.means, found.scatter[:2]),
        ClassStatistics(LABELS, found.counts * 0, found.means, found.scatter),
        ClassStatistics(LABELS, found.counts, found.means * np.nan, found.scatter),
    ):
        write_statistics(path, wrong)
        with pytest.raises(RunError, match="--keep statistics wrote"):
            read_statistics(path)
    path.write_bytes(b"no archive")
    with pytest.raises(RunError, match="--keep statistics wrote"):
        read_statistics(path)
