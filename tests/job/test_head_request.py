"""What a head cannot be asked for together with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tfxfer.data.record import Record, Source
from tfxfer.errors import UsageError
from tfxfer.job.head_request import check_classes_left, check_head
from tfxfer.job.request import TrainRequest
from tfxfer.registry.lookup import get_head

ALONE = {"schedule": "head"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "b", "reweight": "target"}, "--reweight: expected a head that is trained"),
        ({"domain": "camera"}, "--domain: expected a head that is trained"),
        ({"fair": "equal_opportunity", "slice": "a"}, "--fair: expected a head that is trained"),
        ({"style": "b", "style_method": "fda", **ALONE}, "--style: expected a head"),
        ({"from_run": "r", "keep": "distill", **ALONE}, "--keep distill: expected a head"),
        ({"keep": "statistics"}, "whose last layer follows from the features"),
    ],
)
def test_what_a_computed_head_leaves_nothing_for(asked: dict[str, Any], words: str) -> None:
    request = TrainRequest("photos", "tiny", **asked)
    with pytest.raises(UsageError, match=words):
        check_head(request, get_head("prototype"))
    check_head(request, get_head("classification"))


def test_what_trains_below_a_computed_head_is_taken() -> None:
    for asked in ({"style": "b"}, {"keep": "l2sp"}, {"balance": "weights"}):
        check_head(TrainRequest("photos", "tiny", **asked), get_head("prototype"))


def test_labels_that_are_no_groups_are_not_balanced() -> None:
    request = TrainRequest("photos", "tiny", balance="weights")
    with pytest.raises(UsageError, match="--balance: expected a head with groups"):
        check_head(request, get_head("regression"))


def test_classes_of_which_nothing_is_left_are_not_computed_after_fine_tuning() -> None:
    earlier: Any = SimpleNamespace(manifest=SimpleNamespace(labels=("ant", "bee")))
    records = (Record("1.jpg", "ant"), Record("2.jpg", "wasp"), Record("3.jpg", "bee", "test"))
    source = Source(Path("photos"), records, "folders")
    deep, alone = (
        TrainRequest("photos", "tiny", from_run="r", schedule=schedule)
        for schedule in ("two_phase", "head")
    )
    prototype = get_head("prototype")
    with pytest.raises(
        UsageError, match=r"none of 'bee'\. Add --replay 10, or take --schedule head"
    ):
        check_classes_left(deep, prototype, earlier, source)
    check_classes_left(alone, prototype, earlier, source)
    check_classes_left(deep, get_head("classification"), earlier, source)
    whole = Source(Path("photos"), (*records, Record("4.jpg", "bee")), "folders")
    check_classes_left(deep, prototype, earlier, whole)
