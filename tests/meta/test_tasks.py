from __future__ import annotations

import numpy as np
import pytest

from tfxfer.errors import DataError, UsageError
from tfxfer.meta.tasks import TaskSize, check_classes, draw_task

CLASSES = np.repeat([0, 1, 2, 3], [6, 2, 5, 4])


def test_a_task_has_so_many_classes_and_so_many_samples_of_each() -> None:
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        rows, numbers = draw_task(CLASSES, TaskSize(2, 4), rng)
        assert numbers.tolist() == [0] * 4 + [1] * 4
        assert len(set(rows)) == 8
        first, second = (set(CLASSES[rows[numbers == number]]) for number in (0, 1))
        assert len(first) == len(second) == 1
        assert first != second
        seen |= {(*first, *second)}
    # The class of two samples is never drawn; the others are, each as either.
    assert seen == {(a, b) for a in (0, 2, 3) for b in (0, 2, 3) if a != b}


def test_a_task_follows_from_its_generator() -> None:
    one, again, other = (
        draw_task(CLASSES, TaskSize(3, 3), np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("text", ["", "5", "x5", "5x", "5x0", "1x5", "5 x 5", "5x5x5", "\u0665x5"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="WAYSxSHOTS"):
        TaskSize.parse(text)


def test_too_few_classes_are_told() -> None:
    check_classes(CLASSES, TaskSize(3, 4), plural="images")
    with pytest.raises(DataError, match=r"4 labels or more with 4 images each.*Received: 3"):
        check_classes(CLASSES, TaskSize(4, 4), plural="images")
