"""What may be lost, as people write it."""

from __future__ import annotations

from typing import Any

import pytest

from tfxfer.errors import UsageError
from tfxfer_edge.proof.limits import Limit, parse_limit


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (1, Limit(1.0)),
        (0.0, Limit(0.0)),
        ("1.5", Limit(1.5)),
        ("2%", Limit(2.0, is_share=True)),
        (" 0.5 % ", Limit(0.5, is_share=True)),
        (None, None),
    ],
)
def test_points_and_shares(written: Any, meant: Limit | None) -> None:
    assert parse_limit(written) == meant


@pytest.mark.parametrize("written", ["", "%", "two", "-1", "-1%", "nan", "inf%", True, [1], "1%%5"])
def test_what_is_neither(written: Any) -> None:
    with pytest.raises(UsageError, match=r"max_drop: expected points.*such as 2%"):
        parse_limit(written)


def test_a_share_is_of_what_the_float_model_has() -> None:
    limit = Limit(2.0, is_share=True)
    assert limit.to_points(80.0) == pytest.approx(1.6)
    assert limit.to_points(-50.0) == pytest.approx(1.0)  # a metric may be below 0
    assert Limit(2.0).to_points(80.0) == 2.0
