"""`tfxfer doctor`: one document, a table for people, and exit code 1 only for real problems."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tfxfer.doctor
from tfxfer.cli.main import run
from tfxfer.doctor import Environment
from tfxfer.doctor.environment import Cache, Device, Trial, Volume
from tfxfer.job.place import find_shelf
from tfxfer.registry.lookup import Registry
from tfxfer.run.directory import Manifest, RunDirectory
from tfxfer.run.shelf_owner import OWNER_FILE, ShelfOwner
from tfxfer.system.owner import current_owner


def call(*args: str) -> tuple[int, str]:
    stdout = io.StringIO()
    return run(["doctor", *args], stdout=stdout, registry=Registry()), stdout.getvalue()


@pytest.fixture
def old_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata in front of sys.path, as a broken installation would leave it."""
    folder = tmp_path / "numpy-1.20.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: numpy\nVersion: 1.20.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_this_environment_is_in_order() -> None:
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)
    assert (code, document["problems"]) == (0, [])
    assert document["ok"] is True
    assert document["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert document["packages"]["keras"] is not None
    assert document["packages"]["tfxfer"] == tfxfer.__version__
    assert document["devices"] == []
    assert document["imports"] == {}
    assert {"kind", "name", "distribution", "version", "status"} <= set(document["plugins"][0])
    assert all({"use", "path", "free_bytes"} == set(each) for each in document["disk"])
    assert "error" not in document


@pytest.mark.usefixtures("old_numpy")
def test_a_problem_is_a_failure_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)  # exactly one document
    assert code == 1
    assert document["ok"] is False
    assert document["packages"]["numpy"] == "1.20.0"
    (problem,) = document["problems"]
    assert set(problem) == {"what", "remedy"}
    assert problem["what"].startswith("numpy: expected ")
    assert problem["remedy"].startswith('pip install "numpy>=')
    assert document["error"]["type"] == "SetupError"
    assert "1 problem" in capsys.readouterr().err


@pytest.mark.usefixtures("old_numpy")
def test_people_read_the_remedy_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout = call("--quick")
    assert code == 1
    assert "\nproblem: numpy: expected " in stdout
    assert '\n  remedy: pip install "numpy>=' in stdout
    lines = [line.split() for line in stdout.splitlines()]
    assert lines[0] == ["WHAT", "FOUND", "FOR"]
    assert ["numpy", "1.20.0", "arrays"] in lines
    error = capsys.readouterr().err
    assert error.startswith("error: doctor: expected")
    assert "Traceback" not in stdout + error


def test_a_malformed_distribution_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)
    assert (code, document["ok"], document["problems"]) == (0, True, [])
    assert any("broken-1.0.dist-info" in note["remedy"] for note in document["notes"])


def fake(**found: Any) -> Environment:
    """An environment of which only what the test gives is known."""
    return Environment(python="3.11.9", packages=tfxfer.doctor.collect().packages, **found)


def test_what_was_found_beside_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def collect(*, timeout_s: float | None, **_: Any) -> Environment:
        asked.append(timeout_s)
        return environment

    environment = fake(
        gpus=("NVIDIA L4",),
        devices=(Device("cpu", "CPU:0"), Device("gpu", "GPU:0")),
        trials=(Trial("tensorflow"), Trial("mediapipe", "OSError: no")),
        volumes=(Volume("temporary files", "/tmp", 60_000_000_000),),
        caches=(Cache("Keras", "/home/me/.keras", 5_000_000, is_complete=False),),
    )
    monkeypatch.setattr(tfxfer.doctor, "collect", collect)
    code, stdout = call("--json", "--timeout", "90s")
    document = json.loads(stdout)
    assert (code, asked) == (1, [90.0])
    assert document["devices"][1] == {"kind": "gpu", "name": "GPU:0"}
    assert document["gpus"] == ["NVIDIA L4"]
    assert document["imports"] == {"tensorflow": None, "mediapipe": "OSError: no"}
    assert document["caches"][0]["is_complete"] is False
    code, stdout = call()
    rows = [" ".join(line.split()) for line in stdout.splitlines()]
    assert asked[1] == 60.0
    assert "devices CPU:0, GPU:0 tensorflow" in rows
    assert "GPUs of the driver NVIDIA L4 NVIDIA" in rows
    assert "imports 1 of 2 fine mediapipe" in rows
    assert "free disk 60.0 GB temporary files: /tmp" in rows
    assert "cache: Keras over 5 MB /home/me/.keras" in rows


def test_without_packaging_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tfxfer.doctor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    code, stdout = call("--json")
    message = json.loads(stdout)["error"]["message"]
    assert code == 1
    assert "pip install packaging" in message


@pytest.mark.parametrize(
    ("on_path", "is_said"), [("none", True), ("another", True), ("this", False)]
)
def test_which_pip_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str, is_said: bool
) -> None:
    found = {"none": None, "another": tmp_path / "pip", "this": Path(sys.executable).parent / "pip"}
    path = found[on_path]
    monkeypatch.setattr("shutil.which", lambda _: None if path is None else str(path))
    monkeypatch.setattr(tfxfer.doctor, "collect", lambda **_: Environment())
    _, stdout = call()
    assert (f"pip is: {sys.executable} -m pip" in stdout) == is_said


@pytest.mark.slow
def test_everything_that_is_installed_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfxfer", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert document["devices"][0]["kind"] == "cpu"
    assert set(document["imports"].values()) == {None}
    assert {"tensorflow", "keras", "list of devices"} <= set(document["imports"])


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """What this process, a dead one and one of another machine have in all places."""
    temporary, here = tmp_path / "temporary", tmp_path / "here"
    for folder in (temporary, here, tmp_path / "named", here / "photos" / "cat"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(here)
    runs = [RunDirectory.create(path) for path in (here / "runs" / "1", here / "single")]
    mine = current_owner()
    dead = replace(mine, start=mine.start - 1).mark
    paths = {
        "cache": temporary / f"tfxfer-cache-{dead}-0123abcd",
        "export": runs[0].path / f".export.tmp-{dead}-0123abcd",
        "checkpoint": runs[1].checkpoints / f".1-head.tmp-{dead}-0123abcd.npz",
        "named": tmp_path / "named" / f"tfxfer-cache-{dead}-0123abcd",
        "fetch": tmp_path / "xdg" / "tfxfer" / "packages" / "p-1" / f"tfxfer-fetch-{dead}-0123abcd",
        "mine": temporary / f"tfxfer-cache-{mine.mark}-0123abcd",
        "another": temporary / f"tfxfer-cache-{replace(mine, place='0' * 8).mark}-0123abcd",
    }
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_bytes(bytes(1000))
            continue
        path.mkdir()
        (path / "0.bin").write_bytes(bytes(1000))
    return paths


def test_doctor_lists_what_is_left_and_removes_nothing(
    left: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, stdout = call("--quick", "--json", str(left["named"].parent))
    document = json.loads(stdout)
    assert code == 0
    found = {Path(each["path"]).resolve(): each["life"] for each in document["leftovers"]}
    assert found == {
        path: "elsewhere" if word == "another" else "dead"
        for word, path in left.items()
        if word != "mine"
    }
    assert all(each["size_bytes"] == 1000 for each in document["leftovers"])
    assert all(path.exists() for path in left.values())
    notes = {each["remedy"]: each["what"] for each in document["notes"]}
    assert "Received: 5, such as" in notes["tfxfer doctor --clean"]
    assert any(str(left["another"]) in remedy for remedy in notes)
    assert "error" not in capsys.readouterr().err


def test_clean_removes_what_the_dead_left_and_nothing_else(left: dict[str, Path]) -> None:
    code, stdout = call("--clean", "--json", str(left["named"].parent))
    document = json.loads(stdout)
    assert code == 0
    assert {word for word, path in left.items() if path.exists()} == {"mine", "another"}
    assert document["freed_bytes"] == 5000
    assert len(document["removed"]) == 5
    assert [each["path"] for each in document["kept"]] == [str(left["another"])]
    code, stdout = call("--clean", "--json")
    assert (code, json.loads(stdout)["removed"]) == (0, [])
    assert {word for word, path in left.items() if path.exists()} == {"mine", "another"}


def test_clean_says_what_it_removes_and_how_much_room_that_makes(left: dict[str, Path]) -> None:
    _, stdout = call("--clean")
    assert f"removed {left['cache']} of process {os.getpid()}: 0.0 MB\n" in stdout
    assert f"kept {left['another']} of process {os.getpid()}, 0.0 MB: of another" in stdout
    assert stdout.endswith("\n4 files and folders removed, 0.0 MB freed\n")
    assert left["named"].exists()  # nobody has named its folder


STATES = (
    ("done", "done", "dead"),
    ("going on", "interrupted", "dead"),
    ("killed", "running", "dead"),
    ("writing", "done", "alive"),
    ("there", "done", "elsewhere"),
    ("moved", "interrupted", "dead"),
    ("damaged", "interrupted", "dead"),
    ("gone", None, "dead"),
)
IDLE = {"done", "moved", "gone", "inner"}


@pytest.fixture
def shelves(left: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Caches of activations in a --cache-dir, each of a run in another state."""
    assert left  # no place of this machine is looked in
    caches, mine = tmp_path / "caches", current_owner()
    marks = {
        "dead": replace(mine, start=mine.start - 1).mark,
        "alive": mine.mark,
        "elsewhere": replace(mine, place="0" * 8).mark,
    }
    found = {}
    for name, status, life in STATES:
        run = RunDirectory(tmp_path / "trained" / name)
        if status is not None:
            run = RunDirectory.create(run.path)
            asked = {"cache_dir": str(tmp_path / "other" if name == "moved" else caches)}
            manifest = Manifest(backbone="b", head="h", request=asked)
            run.write_manifest(replace(manifest, status=status))
        if name == "damaged":
            run.manifest_path.write_text("{")
        found[name] = fill(find_shelf(run.path, str(caches)), run.path, marks[life])
    found["nobody's"] = fill(caches / f"tfxfer-run-{0:016}", tmp_path, marks["dead"])
    (found["nobody's"] / OWNER_FILE).unlink()  # as an earlier version left it
    # Killed between its last words and the end of its clean-up.
    inner = RunDirectory(tmp_path / "trained" / "done")
    found["inner"] = fill(find_shelf(inner.path, None), inner.path, marks["dead"])
    return found


def fill(folder: Path, run: Path, mark: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "0.bin").write_bytes(bytes(1000))
    (folder / OWNER_FILE).write_text(json.dumps({"run": str(run), "mark": mark}))
    return folder


def test_doctor_removes_caches_that_no_training_goes_on_with(
    shelves: dict[str, Path], tmp_path: Path
) -> None:
    folders = [str(tmp_path / name) for name in ("caches", "trained")]
    named = {path: word for word, path in shelves.items()}
    listed = {
        named[Path(each["path"])]: each["life"]
        for each in json.loads(call("--quick", "--json", *folders)[1])["leftovers"]
        if Path(each["path"]) in named
    }
    assert listed == dict.fromkeys(IDLE, "dead") | {"there": "elsewhere"}
    assert all(path.exists() for path in shelves.values())
    document = json.loads(call("--clean", "--json", *folders)[1])
    assert {word for word, path in shelves.items() if not path.exists()} == IDLE
    removed = {named.get(Path(each["path"])): each for each in document["removed"]}
    assert set(removed) >= IDLE
    assert all(removed[word]["size_bytes"] > 1000 for word in IDLE)
    assert str(shelves["there"]) in [each["path"] for each in document["kept"]]
    assert not list(tmp_path.glob("caches/tfxfer-cache-*"))


def test_a_cache_that_is_taken_up_meanwhile_stays(
    shelves: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shelves["done"]
    taken = ShelfOwner("run", current_owner().mark)
    monkeypatch.setattr("tfxfer.doctor.leftovers.read_owner", lambda _: taken)
    call("--clean", str(path.parent))
    assert (path / "0.bin").exists()


def test_clean_says_what_it_puts_back(left: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "here" / "runs" / "1"
    (run / "export").rmdir()
    aside = run / left["export"].name.replace(".tmp-", ".tmp-old-")
    aside.mkdir()
    (aside / "model.tflite").write_bytes(bytes(2_000_000))
    place = Path("runs") / "1" / "export"
    document = json.loads(call("--clean", "--json")[1])
    (restored,) = document["restored"]
    assert (restored["place"], restored["size_bytes"]) == (str(place), 2_000_000)
    assert (run / "export" / "model.tflite").exists()
    assert restored["path"] not in [x["path"] for x in document["removed"] + document["kept"]]
    # As a person reads it.
    (run / "export").rename(aside)
    words = f"put back {place}, which process {os.getpid()} had set aside: 2.0 MB\n"
    assert words in call("--clean")[1]


def test_a_folder_that_is_not_there_is_told() -> None:
    assert call("--clean", "no_such_folder") == (2, "")
