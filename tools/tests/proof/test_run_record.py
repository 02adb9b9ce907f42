"""A `run.json` that somebody edited costs one line, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import RunError
from tfxfer.run.directory import RunDirectory
from tfxfer_edge import export
from tfxfer_edge.proof.run_record import read_record

NO_FLIP = "images: expected true or false as flip. Received: flip='no'"
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def edited(colour_run: RunDirectory, tmp_path: Path) -> Callable[[Edit], RunDirectory]:
    """Returns a function that copies the run and edits what it says."""

    def edit(change: Edit) -> RunDirectory:
        folder = tmp_path / "run"
        shutil.copytree(colour_run.path, folder)
        document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        change(document)
        (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
        return RunDirectory.open(folder)

    return edit


def test_what_a_run_says(edited: Callable[[Edit], RunDirectory], colour_run: RunDirectory) -> None:
    run = edited(lambda x: x.update(exports=[{"path": "/phone/model.tflite", "recipe": "int8"}]))
    found = read_record(run)
    assert found.data == colour_run.read_manifest().request["data"]
    assert (found.varies, found.view_options) == (False, {"flip": True})
    assert found.exports == (Path("/phone/model.tflite"),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x["request"].pop("data"), "run.json, request lacks a key: expected data"),
        (lambda x: x["request"].pop("augment"), "run.json: request: expected the key 'augment'"),
        (
            lambda x: x["request"].update(data=7),
            "expected text as data. Received: data=7",
        ),
        (lambda x: x["request"].update(view_options=7), "an object as view_options. Received: v"),
        (lambda x: x["request"].update(view_options={"flip": "no"}), NO_FLIP),
        (lambda x: (x["request"].pop("view_options"), x["request"].update(flip="no")), NO_FLIP),
        (lambda x: x.update(request=[1]), "request=[1]"),
        (lambda x: x.update(plan=[{"phase": {}}]), "plan[0]: expected the key 'views'"),
        (lambda x: x.update(plan=[{"views": 8}]), "plan[0]: expected the key 'phase'"),
        (lambda x: x.update(plan=["head"]), "plan[0]: expected an object. Received: 'head'"),
        (lambda x: x.update(plan=[{"views": "8", "phase": {}}]), "plan[0].views: expected a numb"),
        (lambda x: x.update(exports=[{}]), "exports[0]: expected the key 'path'"),
        (lambda x: x.update(exports=[{"path": None}]), "exports[0].path: expected a text"),
        (lambda x: x.update(exports=["model.tflite"]), "exports[0]: expected an object"),
    ],
)
def test_what_it_cannot_have_said(
    change: Edit,
    told: str,
    edited: Callable[[Edit], RunDirectory],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the model was loaded before the run was read")

    monkeypatch.setattr("tfxfer_edge.proof.opened.load_model", load)
    with pytest.raises(RunError) as caught:
        export(edited(change), tmp_path / "edge", recipes=("float32",))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "edge").exists()
