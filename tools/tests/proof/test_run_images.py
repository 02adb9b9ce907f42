"""Whatever is measured on a few samples is measured on samples of all classes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tfxfer_edge.proof.run_images import choose_rows


def split_of(labels: list[str]) -> Any:
    class Split:
        raw_labels = labels

        def __len__(self) -> int:
            return len(labels)

    return Split()


@pytest.mark.parametrize("samples", [10, 30])
def test_more_classes_than_samples_are_not_the_first_by_name(samples: int) -> None:
    labels = [f"{number:03}" for number in range(100) for _ in range(3)]
    chosen = [int(labels[row]) for row in choose_rows(split_of(labels), samples=samples, seed=0)]
    assert len(set(chosen)) == samples
    # By name they would be 0 to 29.
    assert max(chosen) > 60
    assert abs(np.mean(chosen) - 49.5) < 20


def test_numbers_are_not_the_lowest() -> None:
    # Of a regression every sample may have a label of its own.
    labels = [f"{value:.2f}" for value in np.linspace(0, 9.99, 400)]
    chosen = [float(labels[row]) for row in choose_rows(split_of(labels), samples=40, seed=0)]
    assert np.mean(chosen) == pytest.approx(5, abs=1.5)


def test_as_many_of_each_class_as_there_are() -> None:
    labels = ["a"] * 50 + ["b"] * 3 + ["c"] * 50
    chosen = choose_rows(split_of(labels), samples=33, seed=0)
    assert chosen == sorted(set(chosen))
    assert Counter(labels[row] for row in chosen) == {"a": 15, "b": 3, "c": 15}
    assert chosen == choose_rows(split_of(labels), samples=33, seed=0)
    assert chosen != choose_rows(split_of(labels), samples=33, seed=1)
