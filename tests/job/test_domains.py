"""Sources that are too few by now, or others than those a run was started with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.data.record import Record
from tfxfer.data.samples import SampleSplit
from tfxfer.data.slice_table import write_slices
from tfxfer.errors import DataError, RunError
from tfxfer.images.modality import ImageModality
from tfxfer.job.domains import check_domains
from tfxfer.run.directory import RunDirectory

PREPARED: Any = SimpleNamespace(domain="camera", request=SimpleNamespace(domain="Camera"))
ALONE: Any = SimpleNamespace(domain=None, request=SimpleNamespace(domain=None))


def make_data(cameras: Sequence[str]) -> Any:
    """Returns samples of these cameras, in three parts."""
    records = tuple(
        Record(f"{number:02d}.png", "a", slices=(("camera", camera),))
        for number, camera in enumerate(cameras)
    )
    whole = SampleSplit(
        "all", Path(), records, ("a", "b"), np.zeros((len(records), 2), np.float32),
        ImageModality(), 32, None,
    )  # fmt: skip
    places = np.arange(len(records)) % 3
    train, val, test = (whole.select(places == part) for part in range(3))
    return SimpleNamespace(train=train, val=val, test=test)


def test_a_run_is_gone_on_with_from_the_same_sources_alone(tmp_path: Path) -> None:
    cameras = ["studio", "street"] * 12
    data, run = make_data(cameras), RunDirectory.create(tmp_path / "run")
    check_domains(PREPARED, data, run)  # it was interrupted before it kept them
    write_slices(run.slices_path, data.train.records + data.val.records + data.test.records)
    check_domains(PREPARED, data, run)
    moved = make_data(["street", "studio", *cameras[2:]])
    with pytest.raises(RunError, match=r"'00\.png' in another one"):
        check_domains(PREPARED, moved, run)
    check_domains(PREPARED, moved, None)


def test_what_cannot_be_read_may_leave_a_source_too_few() -> None:
    check_domains(PREPARED, make_data(["studio"] * 20 + ["street"] * 10), None)
    short = make_data(["studio"] * 20 + ["street"] * 9)
    with pytest.raises(DataError, match=r"--domain Camera: expected 10 images.*9 of 'street'"):
        check_domains(PREPARED, short, None)
    check_domains(ALONE, short, None)
