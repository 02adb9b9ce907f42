"""When a training looks at its labels, and what it keeps of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.data.samples import SampleData
from tfxfer.data.table import SplitRow
from tfxfer.job.label_check import LabelCheck, plan_seconds
from tfxfer.job.request import TrainRequest
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.label_errors import read_label_errors
from tfxfer.trust.probe import estimate_seconds
from tfxfer_heads import Classification, Multilabel

REQUEST = TrainRequest("photos", "double_tiny")
HEAD = Classification()


@pytest.fixture
def relabelled(images: SampleData) -> SampleData:
    """The images, of which the first of val has another's label."""
    targets = images.val.targets.copy()
    targets[0] = np.roll(targets[0], 1)
    return replace(images, val=replace(images.val, targets=targets))


def make_features(data: SampleData) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    names = data.labels
    found = []
    for part in (data.train, data.val):
        true = [names.index(label) for label in part.raw_labels]
        noise = rng.normal(size=(len(part), 8))
        found.append((5 * np.eye(8)[true] + 0.1 * noise).astype(np.float32))
    return found[0], found[1]


def test_it_judges_training_and_validation(relabelled: SampleData, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    told: list[tuple[str, int, int]] = []
    check = LabelCheck(run, REQUEST, relabelled, HEAD, lambda *args: told.append(args))
    check(*make_features(relabelled))
    (found,) = read_label_errors(run.label_errors_path)
    assert (found.path, found.split) == (relabelled.val.paths[0], "val")
    assert found.confident
    assert told == [("looking at the labels", 0, 0), ("looking at the labels", 1, 1)]


def test_what_was_not_drawn_is_not_judged(relabelled: SampleData, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    train, val = make_features(relabelled)
    val[0] = np.nan
    LabelCheck(run, REQUEST, relabelled, HEAD)(train, val)
    assert read_label_errors(run.label_errors_path) == ()
    (tmp_path / "other").mkdir()
    nothing = RunDirectory(tmp_path / "other")
    train[:] = val[:] = np.nan
    train[0] = 0
    LabelCheck(nothing, REQUEST, relabelled, HEAD)(train, val)
    assert not nothing.label_errors_path.exists()


def test_it_counts_what_it_takes_and_leaves_it_out_where_that_is_too_much(
    images: SampleData,
) -> None:
    seconds = estimate_seconds(36, 1280, 3)
    assert plan_seconds(REQUEST, images, HEAD, 1280) == seconds > 0
    within, short = (replace(REQUEST, budget_seconds=x * seconds) for x in (20.1, 19.9))
    assert plan_seconds(within, images, HEAD, 1280) == seconds
    assert plan_seconds(short, images, HEAD, 1280) == 0
    assert plan_seconds(REQUEST, images, HEAD, 10**8) == 0


def test_it_is_left_out_where_nobody_can_tell(images: SampleData) -> None:
    assert plan_seconds(REQUEST, images, Multilabel(), 8) == 0
    assert plan_seconds(replace(REQUEST, weights="none"), images, HEAD, 8) == 0
    # All samples of a class are copies of one another.
    rows = tuple(SplitRow(row.path, row.label, row.split, row.label) for row in images.rows)
    assert plan_seconds(REQUEST, replace(images, rows=rows), HEAD, 8) == 0
