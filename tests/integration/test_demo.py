"""`tfxfer demo`, on a few of its images with a tiny backbone; on all of them with `--slow`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import tfxfer.job.demo
from tfxfer import Registry
from tfxfer.errors import ModelError
from tfxfer.registry.discovery import find_entry_points
from tfxfer.run.directory import Manifest, RunDirectory

Run = Callable[..., Any]


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    """Leaves everything of the demo but the number of images, the backbone and the epochs."""
    whole_source, whole_request = tfxfer.job.demo.demo_source, tfxfer.job.demo.demo_request

    def demo_source(*args: Any, **options: Any) -> tfxfer.job.demo.DemoSamples:
        found = whole_source(*args, **options)
        by_label: dict[str, list[Any]] = {}
        for record in found.source.records:
            by_label.setdefault(record.label, []).append(record)
        few = tuple(record for records in by_label.values() for record in records[:8])
        return replace(found, source=replace(found.source, records=few))

    def demo_request(*args: Any, **options: Any) -> Any:
        request = whole_request(*args, **options)
        assert request.budget_seconds == 240
        return replace(
            request,
            weights=str(weights),
            budget_seconds=None,
            schedule="head",
            head_epochs=1,
            size=32,
            views=1,
        )

    monkeypatch.setattr(tfxfer.job.demo, "demo_source", demo_source)
    monkeypatch.setattr(tfxfer.job.demo, "demo_request", demo_request)
    declared = {"backbone": "double_vivid", "head": "classification", "demo": "elpv"}
    monkeypatch.setattr("tfxfer.registry.lookup.Registry.default", lambda _, kind: declared[kind])
    # What 16 images and one epoch teach loses any amount of points.
    monkeypatch.setattr("tfxfer_edge.proof.comparison.judge", lambda *_: (True, ""))


def test_a_run_that_is_gone_does_not_hide_why_the_export_ended(
    tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(*_: Any, **__: Any) -> dict[str, Any]:
        raise ModelError("the file does not convert")

    monkeypatch.setattr("tfxfer.cli.demo._find_exporter", lambda _: export)
    monkeypatch.setattr("tfxfer.cli.demo.run_training", lambda *_, **__: {"warnings": []})
    done = tfxfer("demo", "--data", "digits", "--out", tmp_path / "gone", "--json")
    assert done.code == 1
    assert done.document["error"]["message"] == "the file does not convert"


def test_demo(small_demo: None, tfxfer: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    # What so little teaches is no better than chance: all of it is made, and the code says so.
    refused = tfxfer("demo", "--data", "digits", "--out", out, "--json")
    assert refused.code == 3
    assert refused.document["error"]["type"] == "GateError"
    assert refused.document["warnings"][0]["message"] in refused.error
    assert Path(refused.document["exports"][0]["path"]).is_file()

    done = tfxfer("demo", "--data", "digits", "--out", out, "--force")
    assert done.code == 0, done.stderr
    assert "scikit-learn (BSD-3-Clause)" in done.stderr
    # The last line is a command that works.
    words = done.stdout.splitlines()[-1].removeprefix("try it:  tfxfer ").split()
    predicted = tfxfer(*words, "--json")
    assert predicted.code == 0, predicted.stderr
    assert set(predicted.document[0]["scores"]) == set("0123456789")
    assert words[1].endswith(".tflite")
    document = json.loads((out / "run.json").read_text())
    assert [item["path"] for item in document["exports"]] == [words[1]]
    assert document["request"]["data"] == "demo:digits"
    assert document["request"]["view_options"] == {"flip": False}

    # It replaces its own run, whichever images that had.
    done = tfxfer("demo", "--out", out, "--force", "--json")
    assert done.code == 0, done.stderr
    assert "CC BY-NC-SA" in done.stderr
    assert done.document["labels"] == ["defective", "functional"]
    assert Path(done.document["exports"][0]["path"]).is_file()
    assert done.document["request"]["view_options"] == {}
    assert done.document["request"]["data"] == "demo:elpv"

    # An interrupted demo goes on with its own images.
    manifest = {**done.document, "status": "interrupted"}
    (out / "run.json").write_text(json.dumps(manifest))
    resumed = tfxfer("train", "--resume", "--out", out, "--json")
    assert resumed.code == 0, resumed.stderr
    assert resumed.document["metrics"] == done.document["metrics"]

    # But nobody else's.
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="b", head="h", request={"data": "photos"}))
    before = run.manifest_path.read_bytes()
    done = tfxfer("demo", "--data", "digits", "--out", run.path)
    assert done.code == 1
    assert "--overwrite" in done.error
    assert run.manifest_path.read_bytes() == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years")
    done = tfxfer("demo", "--data", "digits", "--out", foreign, "--overwrite")
    assert done.code == 1
    assert "'thesis.txt', which is no run" in done.error
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_demo_of_what_no_file_is_good_enough_for(
    small_demo: None, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer_edge.proof.comparison.judge", lambda *_: (False, "loses too much"))
    done = tfxfer("demo", "--data", "digits", "--out", tmp_path / "demo", "--json")
    assert done.code == 3
    assert done.document["error"]["type"] == "GateError"
    manifest = RunDirectory.open(tmp_path / "demo").read_manifest()
    assert done.document["metrics"] == manifest.metrics
    assert not list((tmp_path / "demo" / "export").iterdir())


def without_exporters(*others: EntryPoint) -> Registry:
    kept = [point for point in find_entry_points() if point.group != "tfxfer.exporters"]
    return Registry([*kept, *others])


def test_demo_without_the_tools(small_demo: None, tfxfer: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    registry = without_exporters()
    done = tfxfer("demo", "--data", "digits", "--out", out, "--force", "--json", registry=registry)
    assert done.code == 0, done.stderr
    assert done.document["exports"] == []
    assert "pip install tfxfer-edge" in done.stderr


def test_demo_with_tools_that_cannot_be_imported(
    small_demo: None, tfxfer: Run, tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    registry = without_exporters(EntryPoint("broken", "json.no_such:x", "tfxfer.exporters"))
    done = tfxfer("demo", "--data", "digits", "--out", out, "--force", "--json", registry=registry)
    assert done.code == 0, done.stderr
    assert done.document["exports"] == []
    assert "warning: no export: exporter 'broken' cannot be imported" in done.stderr


def test_demo_with_two_tools_stops_before_it_trains(tfxfer: Run, tmp_path: Path) -> None:
    points = [EntryPoint(name, "json:dumps", "tfxfer.exporters") for name in ("one", "other")]
    done = tfxfer("demo", "--out", tmp_path / "demo", registry=without_exporters(*points))
    assert done.code == 1
    assert "demo: expected one exporter. Received: one (no distribution), other" in done.error
    assert not (tmp_path / "demo").exists()


def test_demo_without_its_photos(
    tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = tfxfer("demo", "--out", tmp_path / "demo", "--json")
    assert done.code == 1
    assert "pip install elpv-dataset" in done.error
    assert "--data digits" in done.error
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
@pytest.mark.parametrize("data", ["elpv", "digits"])
def test_the_whole_demo(data: str, tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tfxfer", "demo", "--data", data, "--out", tmp_path / "demo"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "demo" / "run.json").read_text())
    assert document["status"] == "done"
    assert document["backbone"] == "efficientnet_lite0"
    assert document["metrics"]["test"]["accuracy"]["low"] > 0.75
    # The issue: 2 CPU cores, under 6 minutes; others may be using them, too.
    print(f"{time.monotonic() - started:.0f} s")
