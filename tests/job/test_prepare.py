"""A request is resolved once, and what it names is handed on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tfxfer import ModelError, RunError, ScheduleError, UsageError, WeightsError
from tfxfer.data.record import Record, Source
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.errors import DataError, UnknownBackboneError, UnknownHeadError
from tfxfer.job.prepare import check_place, find_earlier_split, prepare
from tfxfer.job.request import TrainRequest
from tfxfer.run.directory import Manifest, RunDirectory

REQUEST = TrainRequest(data="photos", backbone="double_tiny", weights="none")


@pytest.fixture
def double(install_doubles: Callable[..., None]) -> Iterator[None]:
    """Installs the backbone that `REQUEST` names."""
    from tfxfer.registry.lookup import default_registry

    install_doubles("good_backbone")
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Stands for the samples of a folder; nobody opens them."""
    records = tuple(Record(f"{label}/{n}.png", label) for label in "ab" for n in range(3))
    return Source(tmp_path, records, "folders")


def test_a_request_is_checked_before_anything_is_read(
    double: None, source: Source, tmp_path: Path
) -> None:
    found = prepare(replace(REQUEST, head_options={"dropout": 0.0}), source=source)
    assert (found.backbone.name, found.head.name) == ("double_tiny", "classification")
    assert found.head.options()["dropout"] == 0.0
    assert [phase.name for phase in found.schedule] == ["head", "fine_tune"]
    for changes, kind in (
        ({"backbone": "double_tini"}, UnknownBackboneError),
        ({"head": "nothing"}, UnknownHeadError),
        ({"unfreeze_from": "block_9"}, ScheduleError),
        ({"weights": "default"}, WeightsError),
        ({"weights": str(tmp_path / "no.h5")}, WeightsError),
        ({"size": 15}, ModelError),
        ({"cache_dir": str(tmp_path / "nothing")}, UsageError),
        ({"head": "prototype", "fair": "equal_opportunity", "slice": "group"}, UsageError),
        ({"head": "regression", "balance": "weights"}, UsageError),
        ({"budget_seconds": 60.0, "cache": False}, UsageError),
        ({"augment": "extreme"}, UsageError),
        ({"view_options": {"spin": True}}, UsageError),
        ({"head_options": {"units": 8}}, UsageError),
        ({"weights": "w" * 400}, WeightsError),
    ):
        with pytest.raises(kind):
            prepare(replace(REQUEST, **changes), source=source)


def test_what_a_request_names_is_found_once(
    double: None, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    found = prepare(REQUEST, source=source)
    assert found.source is source
    # Absolute, and with the names of what was chosen by default.
    assert found.request == replace(
        REQUEST, data=str(tmp_path / "photos"), head="classification", augment="light"
    )
    assert (found.modality.name, found.size) == ("image", found.backbone.default_image_size)
    assert found.schedule[0].stage == "backbone"
    assert all(phase.stage is None or isinstance(phase.stage, str) for phase in found.schedule)
    assert (found.weights.source, found.weights.path) == ("none", None)
    assert {"tfxfer-double-good-backbone", "tfxfer-heads"} <= set(found.plugins)
    assert prepare(replace(REQUEST, size=48), source=source).size == 48


def test_samples_are_listed_where_nobody_has(double: None, tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "b/notes.txt"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"never opened")
    found = prepare(replace(REQUEST, data=str(tmp_path / "photos")))
    assert [record.path for record in found.source.records] == ["a/1.png", "b/1.png"]
    assert [file.path for file in found.source.ignored] == ["b/notes.txt"]
    with pytest.raises(DataError, match="nothing at that path"):
        prepare(replace(REQUEST, data=str(tmp_path / "nothing")))


def test_columns_of_any_name_are_read(double: None, tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text("file,kind\n1.jpg,a\n2.jpg,b\n", encoding="utf-8")
    request = replace(REQUEST, data=str(table), sample_column="file", label_column="kind")
    prepared = prepare(request)
    assert [(r.path, r.label) for r in prepared.source.records] == [("1.jpg", "a"), ("2.jpg", "b")]
    stored = json.loads(json.dumps(asdict(prepared.request)))
    assert TrainRequest.from_dict(stored) == prepared.request
    with pytest.raises(DataError, match="--label-column"):
        prepare(replace(request, label_column=None))


def test_preparing_starts_neither_keras_nor_tensorflow(double: None, tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.png").touch()
    code = (
        "import sys; from tfxfer.job.prepare import prepare;"
        "from tfxfer.job.request import TrainRequest;"
        "prepare(TrainRequest(sys.argv[1], 'double_tiny', weights='none'));"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "photos")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "[]"


def test_check_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_place(tmp_path)
    check_place(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    check_place("relative")
    (tmp_path / "file").write_text("")
    for out in ("file", "file/run", "x" * 300):
        with pytest.raises(RunError, match="cannot make a run at"):
            check_place(out)
    with pytest.raises(RunError, match="which is no run"):
        check_place(tmp_path, overwrite=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(RunError, match="may not write to"):
        check_place("relative")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_earlier_run_is_looked_at_before_the_work(tmp_path: Path) -> None:
    assert find_earlier_split(None) is None
    with pytest.raises(RunError, match="no run at"):
        find_earlier_split(tmp_path / "none")
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="tiny", head="classification"))
    with pytest.raises(RunError, match=r"--split-from .*expected a run with its split\.csv"):
        find_earlier_split(run.path)
    row = SplitRow("a/1.png", "a", "train", "a/1.png", "0" * 16)
    write_split_table(run.split_path, [row])
    assert find_earlier_split(run.path) == run.split_path
    run.split_path.write_text("path,label,split,group,fingerprint\na,a,train,a,nothex\n")
    with pytest.raises(DataError, match="16 hexadecimal digits"):
        find_earlier_split(run.path)
