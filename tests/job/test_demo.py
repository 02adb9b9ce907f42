"""The demo's images: all there, labelled as their authors say, and drawn whole or not at all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tfxfer import DataError, Registry, RunDirectory, StorageError
from tfxfer.errors import UnknownPluginError
from tfxfer.job.demo import demo_request, demo_source, is_demo_run, stored_source
from tfxfer.run.manifest import Manifest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_elpv() -> None:
    found = demo_source("elpv")
    labels = [record.label for record in found.source.records]
    # Probabilities 0, 1/3, 2/3 and 1 have 1508, 295, 106 and 715 cells (Buerhop-Lutz et al. 2018).
    assert len(labels) == 2624
    assert (labels.count("defective"), labels.count("functional")) == (106 + 715, 1508 + 295)
    assert "CC BY-NC-SA" in found.remarks[0]
    assert all((found.source.root / record.path).is_file() for record in found.source.records)
    with Image.open(found.example) as image:
        assert image.size == (300, 300)


def test_digits(cache: Path) -> None:
    found = demo_source("digits")
    records = found.source.records
    assert len(records) == 1797
    assert {record.label for record in records} == set("0123456789")
    assert all(record.path.split("/")[0] == record.label for record in records)
    with Image.open(found.source.root / records[0].path) as image:
        assert image.size == (64, 64)
        low, high = image.getextrema()
    assert low < 10 < 240 < high
    assert found.source.root.is_relative_to(cache)
    # Drawn once.
    before = {path: path.stat().st_mtime_ns for path in found.source.root.rglob("*.png")}
    assert demo_source("digits") == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [path.name for path in (cache / "tfxfer").iterdir()] == ["digits"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_digits_are_whole_or_absent(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    save, drawn = Image.Image.save, []

    def fail(self: Image.Image, path: Path) -> None:
        drawn.append(path)
        if len(drawn) == 100:
            raise error
        save(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fail)
        expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else StorageError
        with pytest.raises(expected):
            demo_source("digits")
    assert list((cache / "tfxfer").iterdir()) == []
    assert len(demo_source("digits").source.records) == 1797


def test_digits_are_drawn_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = demo_source("digits")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert demo_source("digits") == drawn


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install elpv-dataset`, or `tfxfer demo --data digit"):
        demo_source("elpv")
    empty = SimpleNamespace(origin=str(tmp_path / "elpv_dataset" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: empty)
    with pytest.raises(DataError, match="--force-reinstall elpv-dataset"):
        demo_source("elpv")


def test_stored_source() -> None:
    found = stored_source("demo:elpv")
    assert found == demo_source("elpv").source
    assert stored_source("photos/") is None


@pytest.mark.parametrize(
    ("data", "expected"), [("demo:elpv", True), ("demo:digits", True), ("photos", False)]
)
def test_is_demo_run(tmp_path: Path, data: str, expected: bool) -> None:
    run = RunDirectory.create(tmp_path / "run")
    assert not is_demo_run(run.path)
    run.write_manifest(Manifest(backbone="b", head="h", request={"data": data}))
    assert is_demo_run(run.path) is expected
    assert not is_demo_run(tmp_path)
    assert not is_demo_run(tmp_path / "nothing")


def settle(name: str, **options: Any) -> Any:
    given = {"budget": None, "seed": 0, "device": "auto", "cache_dir": None, **options}
    registry = Registry()
    return demo_request(registry.load_demo(name), registry=registry, options=given)


def test_demo_request() -> None:
    photos = settle("elpv", budget=60.0, seed=3, device="cpu")
    assert (photos.data, photos.view_options, photos.size) == ("demo:elpv", {}, None)
    assert (photos.budget_seconds, photos.seed, photos.device) == (60.0, 3, "cpu")
    assert photos.backbone == Registry().default("backbone")
    digits = settle("digits")
    # A mirrored digit is none.
    assert (digits.data, digits.view_options, digits.size) == (
        "demo:digits",
        {"flip": False},
        96,
    )
    assert digits.budget_seconds == 240


def test_a_demo_that_is_not_there_names_the_others() -> None:
    with pytest.raises(UnknownPluginError, match="Did you mean 'digits'") as caught:
        demo_source("digit")
    assert "elpv (tfxfer " in str(caught.value)
    with pytest.raises(UnknownPluginError, match=r"pip install tfxfer-text$"):
        stored_source("demo:sms", Registry([]))
