from __future__ import annotations

import pytest

from tfxfer.data.identity import make_keys, shorten_sha256
from tfxfer.data.provenance import Provenance
from tfxfer.data.record import Record
from tfxfer.data.table import SplitRow
from tfxfer.errors import ModelError

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_it_goes_round_as_bytes_and_as_text() -> None:
    known = Provenance(frozenset((ONE, OTHER)))
    assert len(known.to_bytes()) == 16
    assert Provenance.from_bytes(known.to_bytes()) == known
    assert Provenance.from_text(known.to_text()) == known
    assert known.find_known([OTHER, "0" * 16, ""]).tolist() == [True, False, False]


@pytest.mark.parametrize("data", [b"", b"seven.."])
def test_bytes_that_are_none(data: bytes) -> None:
    with pytest.raises(ModelError, match="8 bytes a sample"):
        Provenance.from_bytes(data)


def test_text_that_is_none() -> None:
    with pytest.raises(ModelError, match="Base64"):
        Provenance.from_text("no?")
    with pytest.raises(ModelError, match="hexadecimal"):
        Provenance(frozenset(("x" * 16,)))


def test_what_chose_the_epoch_counts_and_the_test_does_not() -> None:
    rows = [SplitRow(f"{n}.png", "a", part, f"{n}.png", f"{n:016x}")
            for n, part in enumerate(("train", "val", "test"))]  # fmt: skip
    found = Provenance.of_rows(rows)
    assert found is not None
    assert found.find_known([row.fingerprint for row in rows]).tolist() == [True, True, False]
    # A split of tfxfer 0.1 knows paths alone: nothing is better than half of it.
    assert Provenance.of_rows([*rows, SplitRow("3.png", "a", "train", "3.png")]) is None


def test_a_sample_is_known_by_its_content_and_a_group_by_its_name() -> None:
    records = [Record("a.png", "x"), Record("b.png", "x", group="p1"), Record("c.png", "x")]
    keys = make_keys(records, ["s1", "s2", ""], [0, 1, 2])
    assert keys == ["s1", "group:p1", "path:c.png"]
    # A copy of a patient's photo follows the patient.
    assert make_keys(records, ["s1", "s2", ""], [1, 1, 2])[0] == "group:p1"
    assert shorten_sha256("ab" * 32) == "ab" * 8
