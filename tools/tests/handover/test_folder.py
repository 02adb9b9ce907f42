from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tfxfer.errors import RunError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.exports import export


@pytest.fixture(scope="module")
def run(colour_run: RunDirectory) -> RunDirectory:
    return colour_run


def test_a_folder_that_is_taken(exported: Path, run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--overwrite"):
        export(run, exported, recipes=("float32",))
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(RunError, match="other files"):
        export(run, tmp_path, recipes=("float32",), overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_second_export_replaces_the_first(run: RunDirectory, tmp_path: Path) -> None:
    out = tmp_path / "edge"
    for _ in range(2):
        export(run, out, recipes=("float32",), overwrite=True)
    entries = [item["path"] for item in run.read_manifest().exports]
    assert entries.count(str(out / "model_float32.tflite")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]


@pytest.mark.parametrize("name", ["mine.txt", "model_notes.txt", "run.sh", "model_int8.tflite.bak"])
def test_others_files_stay_beside_a_new_export(
    name: str, run: RunDirectory, tmp_path: Path
) -> None:
    out = tmp_path / "edge"
    export(run, out, recipes=("float32",))
    (out / name).write_text("keep")
    (out / "model_int16x8.tflite").write_bytes(b"of an export before")
    with pytest.raises(RunError, match="--overwrite"):
        export(run, out, recipes=("float16",), max_drop=None)
    export(run, out, recipes=("float16",), max_drop=None, overwrite=True)
    assert (out / name).read_text() == "keep"
    assert (out / "model_float16.tflite").is_file()
    # What was of the earlier one has gone.
    assert not (out / "model_float32.tflite").exists()
    assert not (out / "model_int16x8.tflite").exists()
    assert "model_float16.tflite" in (out / "export.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]


def test_an_export_that_is_replaced_file_by_file_is_none_until_it_is_done(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "edge"
    export(run, out, recipes=("float32",))
    (out / "mine.txt").write_text("keep")
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "model_float32.tflite" and ".tmp-" in self.parent.name:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(run, out, recipes=("float32",), overwrite=True)
    assert (out / "mine.txt").read_text() == "keep"
    assert not (out / "export.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]


def test_an_interruption_while_the_folder_is_replaced_leaves_the_old_one(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "edge"
    export(run, out, recipes=("float32",))
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if ".tmp-" in self.name and "-old" not in self.name:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(run, out, recipes=("float32",), overwrite=True)
    assert (out / "model_float32.tflite").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]


def test_the_working_directory_cannot_be_replaced(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="working directory"):
        export(run, ".", recipes=("float32",))


def test_the_program_in_the_folder_runs_with_litert_alone_from_anywhere(
    exported: Path, run: RunDirectory, tmp_path: Path
) -> None:
    photo = next((Path(run.read_manifest().request["data"]) / "violet").iterdir())
    # Another working directory; and whatever else is installed may not be imported.
    code = (
        "import runpy, sys\n"
        "for name in ('tfxfer', 'tfxfer_edge', 'keras', 'tensorflow', 'jax'):\n"
        "    sys.modules[name] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported / "run.py"), str(photo)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    score, _, label = done.stdout.splitlines()[0].partition(" ")
    assert label == "violet"
    (expected,) = predict(load_predictor(exported / "model_int8.tflite"), [photo])
    assert float(score) == pytest.approx(expected["score"], abs=1e-3)
