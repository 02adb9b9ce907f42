from __future__ import annotations

from typing import Any

import pytest

from tfxfer.backbone import Backbone, check_size
from tfxfer.errors import ModelError


class Between(Backbone):
    """Takes 2 to 40 tokens."""

    name = family = "between"
    default_size = 16  # type: ignore[assignment]
    min_size = 2  # type: ignore[assignment]
    max_size = 40

    def build(self, inputs: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(("size", "expected"), [(None, 16), (2, 2), (40, 40)])
def test_sizes_from_the_smallest_to_the_largest_are_taken(size: int | None, expected: int) -> None:
    assert check_size(Between(), size, "tokens") == expected


@pytest.mark.parametrize(
    ("size", "words"), [(1, "at least 2 tokens"), (41, "at most 40 tokens. Received: size=41")]
)
def test_others_are_refused(size: int, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        check_size(Between(), size, "tokens")


def test_without_a_largest_any_size_is_taken() -> None:
    without = type("Without", (Between,), {"max_size": None})
    assert check_size(without(), 4_000, "tokens") == 4_000
