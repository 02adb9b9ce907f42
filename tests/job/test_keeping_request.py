"""What `--from` and `--keep` cannot be asked for together with."""

from __future__ import annotations

from typing import Any

import pytest

from tfxfer.errors import UsageError
from tfxfer.job.request import TrainRequest


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"from_run": "r", "keep": "relations", "schedule": "head"}, "--keep relations with a"),
        ({"keep": "l2sp", "schedule": "head"}, "--keep l2sp with a schedule"),
        ({"keep": "l2sp", "weights": "none"}, "weights that are worth keeping"),
        ({"from_run": "r", "baselines": ("probe",)}, "--baselines without --from"),
    ],
)
def test_what_would_hold_nothing_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainRequest("photos", "tiny", **asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"from_run": "r", "keep": "relations"},
        {"from_run": "r", "keep": "l2sp", "schedule": "head"},
        {"keep": "l2sp"},
    ],
)
def test_what_holds_something_is_taken(asked: dict[str, Any]) -> None:
    assert TrainRequest("photos", "tiny", **asked).keep == asked["keep"]
