"""Weights of samples come back from a run bit by bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import RunError
from tfxfer.job.sample_weights import read_weights, write_weights

NAMES = ("a/1.jpg", "=b,2.jpg", "c\x1b.jpg")


def test_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    place = tmp_path / "trust" / "weights.csv"
    weights = np.array([1 / 3, 2e-7, 9.999999], np.float32)
    write_weights(place, NAMES, weights)
    assert "\x1b" not in place.read_text()
    np.testing.assert_array_equal(read_weights(place, NAMES), weights)
    # In whatever order they are asked for.
    np.testing.assert_array_equal(read_weights(place, NAMES[::-1]), weights[::-1])


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "name,weight\na,1\n",
        "path,weight\na/1.jpg\n",
        "path,weight\na/1.jpg,heavy\n",
        "path,weight\na/1.jpg,-1\n",
        "path,weight\na/1.jpg,nan\n",
        "path,weight\nb.jpg,1\n",
        "path,weight\na/1.jpg,1\nb.jpg,1\n",
    ],
)
def test_another_table_is_refused(tmp_path: Path, text: str | None) -> None:
    place = tmp_path / "weights.csv"
    if text is not None:
        place.write_text(text)
    with pytest.raises(RunError, match="Train anew"):
        read_weights(place, ("a/1.jpg",))


def test_a_table_of_these_samples_is_read(tmp_path: Path) -> None:
    place = tmp_path / "weights.csv"
    place.write_text("path,weight\na/1.jpg,0.5\n")
    assert read_weights(place, ("a/1.jpg",)).tolist() == [0.5]
