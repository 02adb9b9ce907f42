"""A run directory is whole or absent, belongs to one process, and is never somebody's folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfxfer
from tfxfer import DataError, Preprocessing, RunDirectory, RunError, StorageError
from tfxfer.registry.component import Component
from tfxfer.run.directory import (
    DataSummary,
    Manifest,
    PhaseRecord,
    WeightsUsed,
    atomic_write,
    collect_versions,
    load_run,
)
from tfxfer.run.manifest import plugin_versions
from tfxfer.system.files import describe_storage_error, to_json, write_table
from tfxfer.system.owner import current_owner


def full_manifest() -> Manifest:
    return Manifest(
        backbone="efficientnet_lite0",
        created="2026-11-21T11:46:19+00:00",
        head="classification",
        status="done",
        request={"data": "photos/", "budget": None},
        head_options={"smoothing": 0.1},
        labels=("rose", "tulip"),
        size=224,
        preprocessing=Preprocessing(scale=2.0).to_dict(),
        seed=7,
        versions=collect_versions(),
        device="cpu",
        weights=WeightsUsed("imagenet", "ab" * 32, "Apache-2.0"),
        data=DataSummary(10, 6, 2, 2, "f" * 64, ({"path": "x.jpg", "reason": "truncated"},)),
        plan=({"name": "head", "stage": "backbone"},),
        phases=(PhaseRecord("head", "backbone", 3, 1e-3, 1234, True, 4.5, 2),),
        metrics={"test": {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}},
        exports=({"path": "export/model.tflite"},),
    )


EMPTY = {".lock", ".tfxfer-run", "checkpoints", "export"}


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# atomic_write


def test_atomic_write_replaces_and_keeps_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("old")
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".keras"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert listing(tmp_path) == {"model.keras"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_atomic_write_leaves_the_old_file_after_any_exception(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert listing(tmp_path) == {"run.json"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_atomic_write_names_the_path_when_the_disk_refuses(tmp_path: Path, code: int) -> None:
    path = tmp_path / "history.csv"
    with pytest.raises(StorageError) as caught, atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise OSError(code, os.strerror(code), str(temporary))
    assert str(path) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert listing(tmp_path) == set()


def test_atomic_write_understands_hdf5(tmp_path: Path) -> None:
    text = "Can't write data (file write failed: errno = 28, error message = 'No space left')"
    with pytest.raises(StorageError, match="Free some space"), atomic_write(tmp_path / "m.keras"):
        raise OSError(text)


def test_atomic_write_blames_nobody_else(tmp_path: Path) -> None:
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/photos/rose.jpg")
    with pytest.raises(PermissionError) as caught, atomic_write(tmp_path / "a.txt"):
        raise elsewhere
    assert caught.value is elsewhere
    assert describe_storage_error(elsewhere) is None
    assert describe_storage_error(ValueError("errno = 28")) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_atomic_write_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    with pytest.raises(StorageError, match="No space"), atomic_write(path) as file:  # noqa: PT012
        file.symlink_to("/dev/full")
        file.write_text("x" * 100_000)
    assert listing(tmp_path) == set()


# to_json, write_table


def test_json_is_strict() -> None:
    import numpy as np

    document = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": float("inf"), "d": {"x"}, 1: None}
    text = to_json(document)
    assert json.loads(text) == {"a": 0.5, "b": [1, 2], "c": None, "d": ["x"], "1": None}
    with pytest.raises(TypeError, match="object"):
        to_json({"a": object()})


def test_write_table(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    write_table(path, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "val, loss": 'a "b"'}])
    assert path.read_bytes().splitlines() == [
        b'epoch,loss,"val, loss"',
        b"1,0.5,",
        b'2,,"a ""b"""',
    ]


# Manifest


def test_manifest_goes_round_through_the_file(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(full_manifest())
    assert load_run(run.path).read_manifest() == full_manifest()
    document = json.loads(run.manifest_path.read_text())
    # The keys that scripts may rely on.
    assert {"source", "sha256"} <= set(document["weights"])
    assert {"images", "train", "val", "test", "fingerprint", "skipped"} <= set(document["data"])
    assert {
        "name",
        "stage",
        "epochs",
        "learning_rate",
        "trainable_parameters",
        "cached",
        "seconds",
    } <= set(document["phases"][0])


def test_young_manifest_goes_round(tmp_path: Path) -> None:
    manifest = Manifest(backbone="b", head="h")
    assert Manifest.from_dict(manifest.to_dict()) == manifest
    assert (manifest.status, manifest.tfxfer) == ("running", tfxfer.__version__)


def test_a_run_of_0_1_is_read(tmp_path: Path) -> None:
    """It knew images only, and said so nowhere."""
    run = RunDirectory.create(tmp_path / "run")
    document = full_manifest().to_dict()
    assert (document.pop("modality"), document.pop("size")) == ("image", 224)
    run.manifest_path.write_text(json.dumps({**document, "image_size": 224}))
    assert run.read_manifest() == full_manifest()
    assert run.read_manifest().modality == "image"
    run.manifest_path.write_text(json.dumps({**document, "image_size": None}))
    assert run.read_manifest() == replace(full_manifest(), size=None)


def test_another_modality_is_kept() -> None:
    manifest = replace(full_manifest(), modality="text", size=128)
    assert Manifest.from_dict(manifest.to_dict()) == manifest
    assert manifest.to_dict()["modality"] == "text"


@pytest.mark.parametrize("where", [(), ("weights",), ("data",), ("phases", 0)])
def test_manifest_refuses_unknown_and_missing_keys(where: tuple[Any, ...]) -> None:
    whole = full_manifest().to_dict()
    inner = whole
    for key in where:
        inner = inner[key]
    inner["surprise"] = 1
    with pytest.raises(RunError, match="surprise"):
        Manifest.from_dict(whole)
    del inner["surprise"]
    assert Manifest.from_dict(whole) == full_manifest()
    del inner[next(iter(inner))]
    with pytest.raises(RunError, match="lacks a key"):
        Manifest.from_dict(whole)


def test_manifest_refuses_an_unknown_status() -> None:
    with pytest.raises(RunError, match="status='finished'"):
        replace(full_manifest(), status="finished")  # type: ignore[arg-type]


def test_diverged_metrics_are_still_json() -> None:
    manifest = Manifest(backbone="b", head="h", metrics={"val": {"loss": float("nan")}})
    assert manifest.to_dict()["metrics"] == {"val": {"loss": None}}


# RunDirectory


def test_create_makes_parents_and_the_layout(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "a" / "b")
    assert run.checkpoints.is_dir()
    assert run.export.is_dir()
    names = [run.model_path, run.labels_path, run.split_path, run.history_path, run.manifest_path]
    assert [path.name for path in names] == [
        "model.keras",
        "labels.txt",
        "split.csv",
        "history.csv",
        "run.json",
    ]
    assert not any(path.exists() for path in names)


def test_a_run_that_never_began_may_be_made_again(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run")
    RunDirectory.create(tmp_path / "run")


@pytest.mark.parametrize("name", ["model.keras", "run.json", "notes.txt", "checkpoints/1.keras"])
def test_create_refuses_results(tmp_path: Path, name: str) -> None:
    run = RunDirectory.create(tmp_path / "run")
    (run.path / name).write_text("precious")
    with pytest.raises(RunError, match=r"--resume.*--overwrite"):
        RunDirectory.create(run.path)
    assert (run.path / name).read_text() == "precious"


def test_overwrite_removes_the_run_and_nothing_else(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(full_manifest())
    run.write_labels(["a", "b"])
    (run.checkpoints / "1.keras").write_text("old")
    (run.path / "notes.txt").write_text("mine")
    again = RunDirectory.create(run.path, overwrite=True)
    assert listing(again.path) == {*EMPTY, "notes.txt"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("photo.jpg", "x"), ("run.json", "{}"), ("run.json", '{"other": "tool"}'), ("run.json", "[")],
)
def test_overwrite_takes_only_a_run(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match="which is no run"):
        RunDirectory.create(tmp_path, overwrite=True)
    assert listing(tmp_path) == {name}


def test_create_refuses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(RunError, match="a file"):
        RunDirectory.create(path, overwrite=True)


def test_overwrite_clears_what_an_interrupted_overwrite_left(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    (run.path / ".old-1234").mkdir()
    (run.path / ".old-1234" / "model.keras").write_text("old")
    (run.path / ".model.tmp-1234.keras").write_text("half")
    RunDirectory.create(run.path)
    assert listing(run.path) == EMPTY


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"backbone": "b", "head": "h", "x": 1}'])
def test_open_refuses_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        RunDirectory.open(tmp_path)


def test_open_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(RunError, match="a folder without it"):
        RunDirectory.open(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="Choose a folder that you may write to"):
        RunDirectory.create(tmp_path / "run")


@settings(deadline=None)  # a disk that others use, too
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)
    )
)
def test_labels_go_round(labels: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        run.write_labels(labels)
        assert run.read_labels() == tuple(labels)


@pytest.mark.parametrize("label", ["", "a\nb", "a\r"])
def test_labels_that_are_not_one_line(tmp_path: Path, label: str) -> None:
    with pytest.raises(DataError, match="labels of one line"):
        RunDirectory(tmp_path).write_labels(["fine", label])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_in_the_middle_leaves_the_old_manifest(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(full_manifest())
    code = (
        "import sys, time\nfrom tfxfer.run import RunDirectory, atomic_write\n"
        "run = RunDirectory(sys.argv[1])\n"
        "with run.lock(), atomic_write(run.manifest_path) as temporary:\n"
        "    temporary.write_text('half')\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert run.read_manifest() == full_manifest()
    with run.lock():
        assert listing(run.path) == {*EMPTY, ".lock-holder", "run.json"}


def test_versions_of_plugins_are_those_of_what_is_used() -> None:
    components = [
        Component("backbone", "hub", "m:Hub", "tfxfer-hub", "1.0"),
        Component("backbone", "tiny", "m:Tiny", "double-tiny", "2.0"),
        Component("backbone", "odd", "m:Odd", "double-other", "3.0"),
        Component("backbone", "odd:name", "m:Odd", "double-odd", "3.0"),
        Component("head", "classification", "m:Head", "tfxfer-heads", "4.0"),
        Component("head", "tiny", "m:Tiny", "another", "5.0"),
        Component("command", "mine", "m:mine", "", ""),
    ]
    used = {"backbone": "hub:https://a:b", "head": "classification", "command": "mine"}
    assert plugin_versions(components, used) == {"tfxfer-hub": "1.0", "tfxfer-heads": "4.0"}
    assert plugin_versions(components, {"backbone": "tiny"}) == {"double-tiny": "2.0"}
    assert plugin_versions(components, {"backbone": "odd:name"}) == {"double-odd": "3.0"}
    assert plugin_versions(components, {}) == {}


def test_versions_come_from_metadata_alone() -> None:
    code = (
        "import sys\nfrom tfxfer.run import collect_versions\n"
        "found = collect_versions('click', 'no-such-distribution')\n"
        "assert 'no-such-distribution' not in found\n"
        "assert {'python', 'tfxfer', 'keras', 'tensorflow', 'click'} <= set(found), found\n"
        "assert not {'numpy', 'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_a_killed_process_left_anywhere_in_a_run_goes_with_the_next_one(
    tmp_path: Path,
) -> None:
    run = RunDirectory.create(tmp_path / "run")
    mine = current_owner()
    dead = replace(mine, start=mine.start - 1).mark
    for mark in (mine.mark, dead):
        (run.path / f".export.tmp-{mark}-0123abcd").mkdir()
        (run.path / f".export.tmp-{mark}-0123abcd" / "model.tflite").write_text("half")
        (run.path / f".model.tmp-{mark}-0123abcd.keras").write_text("half")
        (run.checkpoints / f".1-head.tmp-{mark}-0123abcd.npz").write_text("half")
    (run.path / ".old-0123abcd").mkdir()
    (run.path / ".old-0123abcd" / "model.keras").write_text("replaced")
    (run.checkpoints / "1-head.npz").write_text("whole")
    with run.lock():
        pass
    # A report or an export is written without the lock: what its process has begun stays.
    assert {path.name for path in run.path.glob(".*.tmp-*")} == {
        f".export.tmp-{mine.mark}-0123abcd",
        f".model.tmp-{mine.mark}-0123abcd.keras",
    }
    assert {path.name for path in run.checkpoints.iterdir()} == {
        f".1-head.tmp-{mine.mark}-0123abcd.npz",
        "1-head.npz",
    }
    assert not list(run.path.glob(".old-*"))
