from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Preprocessing
from tfxfer.data.provenance import Provenance
from tfxfer.errors import DataError, GateError, ModelError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.inference.unseen import load_unseen
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.door import find_door
from tfxfer_edge.exports import export
from tfxfer_edge.onnx.metadata import read_onnx_metadata
from tfxfer_edge.proof import comparison, made
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.subject import Subject, open_subject
from tfxfer_edge.tflite.interpreter import TFLiteModel

SIDE = 48


@pytest.fixture(scope="module")
def run(colour_run: RunDirectory) -> RunDirectory:
    return colour_run


def test_the_folder_is_ready_to_copy(exported: Path, run: RunDirectory) -> None:
    names = sorted(path.name for path in exported.iterdir())
    assert names == [
        "Classifier.kt",
        "Classifier.swift",
        "README.md",
        "export.json",
        "labels.txt",
        "model_float32.tflite",
        "model_int8.tflite",
        "run.py",
    ]
    assert (exported / "labels.txt").read_text().split() == list(run.read_labels())
    assert not list(exported.parent.glob(".*"))


def test_the_document_says_what_was_measured(exported: Path, run: RunDirectory) -> None:
    document = json.loads((exported / "export.json").read_text())
    by_recipe = {item["recipe"]: item for item in document["candidates"]}
    chosen = document["chosen"]
    # Which is faster is this machine's to say.
    assert document["because"].startswith(("it is the fastest of the 2", "it is the smallest of"))
    assert f"This page is about `{chosen}`, chosen because" in (exported / "README.md").read_text()
    for name, item in by_recipe.items():
        assert item["path"] == str(exported / f"model_{name}.tflite")
        assert item["bytes"] == Path(item["path"]).stat().st_size
        assert item["latency_ms"] > 0
        assert item["bytes_saved"] == document["float"]["tflite_bytes"] - item["bytes"]
    assert by_recipe["float32"]["bytes_saved"] == 0
    # float32 is the same network; int8 is another one, if by little.
    assert by_recipe["float32"]["drop_points"] == 0
    assert by_recipe["float32"]["agreement"] == 1
    expected = run.read_manifest().metrics["test"]["accuracy"]["value"]
    assert document["float"]["metrics"]["test"]["accuracy"]["value"] == expected
    assert by_recipe["int8"]["bytes"] < 0.4 * by_recipe["float32"]["bytes"]


def test_calibration_is_of_the_training_split_and_of_every_class(
    exported: Path, run: RunDirectory
) -> None:
    files = json.loads((exported / "export.json").read_text())["calibration"]["files"]
    rows = [line.split(",") for line in run.split_path.read_text().splitlines()[1:]]
    train = {row[0] for row in rows if row[2] == "train"}
    assert len(files) == 20
    assert set(files) <= train
    counts = [sum(name.startswith(label) for name in files) for label in run.read_labels()]
    assert max(counts) - min(counts) <= 1


def test_evaluate_and_predict_take_the_file(exported: Path, run: RunDirectory) -> None:
    photo = next((Path(run.read_manifest().request["data"]) / "violet").iterdir())
    keras_says = predict(load_predictor(run.path), [photo])[0]
    phone_says = predict(load_predictor(exported / "model_int8.tflite"), [photo])[0]
    assert phone_says["label"] == keras_says["label"] == "violet"
    assert set(phone_says["scores"]) == set(run.read_labels())
    assert abs(phone_says["score"] - keras_says["score"]) < 0.15


@pytest.fixture
def varied_run(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Returns a copy that says it was trained on 8 views of each image."""
    shutil.copytree(run.path, tmp_path / "varied")
    return edit_run(tmp_path / "varied", augment="light", views=8)


def edit_run(
    path: Path, *, augment: str, views: int, phase_views: int | None = None, flip: bool = True
) -> RunDirectory:
    """Changes what a run says of the views that it was trained on."""
    document = json.loads((path / "run.json").read_text())
    document["request"].update(augment=augment, view_options={"flip": flip})
    for item in document["plan"]:
        item["views"] = views
        item["phase"]["views"] = phase_views
    (path / "run.json").write_text(json.dumps(document))
    return RunDirectory.open(path)


def test_a_loss_by_chance_is_told_with_the_one_that_decided(
    varied_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(*_: Any, views: int = 1, **__: Any) -> dict[str, float]:
        value = 1.2 if views == 1 else 0.3
        return {"value": value, "low": value - 2, "high": value + 2}

    monkeypatch.setattr("tfxfer_edge.proof.comparison.paired_difference", compare)
    out = export(varied_run, tmp_path / "edge", recipes=("float32",)).path
    (candidate,) = json.loads((out / "export.json").read_text())["candidates"]
    assert candidate["passed"]
    assert candidate["drop_points"] == 1.2
    assert candidate["val_views"]["views"] == 4
    assert candidate["val_views"]["drop_points"]["value"] == 0.3
    # It is the same network: both answer alike on every view.
    assert candidate["val_views"]["file"] == candidate["val_views"]["float"] > 0.5
    assert "| 1.2; on 4 views 0.3 |" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("said", "varies"),
    [
        ({"augment": "light", "views": 8}, True),
        ({"augment": "light", "views": 8, "flip": False}, True),
        ({"augment": "light", "views": 8, "phase_views": 1}, False),
        ({"augment": "light", "views": 1}, False),
        ({"augment": "none", "views": 8}, False),
    ],
)
def test_views_judge_only_what_was_trained_on_them(
    run: RunDirectory, said: dict[str, Any], varies: bool, tmp_path: Path
) -> None:
    shutil.copytree(run.path, tmp_path / "copy")
    subject = open_subject(edit_run(tmp_path / "copy", **said))
    assert subject.varies is varies
    assert subject.view_options == {"flip": said.get("flip", True)}


def test_images_that_changed_since(run: RunDirectory, tmp_path: Path) -> None:
    photo = next((Path(run.read_manifest().request["data"]) / "amber").iterdir())
    before = photo.read_bytes()
    try:
        Image.fromarray(np.full((SIDE, SIDE, 3), 9, np.uint8)).save(photo)
        with pytest.raises(DataError):
            export(run, tmp_path / "edge", recipes=("float32",))
    finally:
        photo.write_bytes(before)


def test_quick_scores_nothing_that_cannot_be_chosen(run: RunDirectory, tmp_path: Path) -> None:
    def export_with(quick: bool) -> dict[str, Any]:
        result = export(
            run,
            tmp_path / f"edge-{quick}",
            recipes=("int8", "float32"),
            max_drop=None,
            calibration_images=20,
            quick=quick,
        )
        return result.document

    hurried, thorough = export_with(True), export_with(False)
    skipped = hurried["candidates"][1]
    # Slower on most machines: where it is not, it is scored, and nothing is claimed.
    if skipped["latency_ms"] >= hurried["candidates"][0]["latency_ms"]:
        assert hurried["chosen"] == "int8"
        assert skipped["reason"] == "not scored: int8 passed, is smaller and faster"
        assert (skipped["metrics"], skipped["passed"]) == (None, False)
    assert thorough["candidates"][1]["metrics"]["test"]["accuracy"]["value"] > 0.5


def test_onnx_is_judged_like_the_others(run: RunDirectory, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    names = ("onnx", "onnx_int8")
    out = tmp_path / "edge"
    document = export(run, out, recipes=names, max_drop=20.0, calibration_images=20).document
    candidate, integers = document["candidates"]
    assert candidate["drop_points"] == 0
    assert (integers["engine"], integers["passed"]) == ("onnxruntime", True)
    assert integers["bytes"] < 0.4 * candidate["bytes"]
    assert integers["agreement"] > 0.8
    for name in names:
        card = read_onnx_metadata((out / f"model_{name}.onnx").read_bytes())
        assert card is not None
        assert card.labels == tuple(run.read_manifest().labels)
        assert card.provenance is not None
    assert candidate["agreement"] == 1
    assert candidate["latency_ms"] > 0
    assert document["parity"] is None
    assert sorted(path.name for path in (tmp_path / "edge").iterdir()) == [
        "export.json",
        "labels.txt",
        "model_onnx.onnx",
        "model_onnx_int8.onnx",
    ]


def test_a_free_batch_size(run: RunDirectory, tmp_path: Path) -> None:
    export(run, tmp_path / "edge", recipes=("float32",), dynamic_batch=True)
    assert TFLiteModel(tmp_path / "edge" / "model_float32.tflite").is_dynamic


def test_the_document_holds_the_way_from_the_file_to_the_answer(exported: Path) -> None:
    pytest.importorskip("mediapipe")
    parity = json.loads((exported / "export.json").read_text())["parity"]
    assert parity["contract"] is None
    assert parity["interpreter"]["largest"] < 0.2
    assert parity["mediapipe"]["largest"] < 0.2


def test_metadata_that_means_something_else_is_no_proof(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the parity: scores are right, but whoever reads the metadata gets others."""
    whole = Subject.make_card

    def make_card(self: Subject, converted: Any) -> Any:
        return replace(whole(self, converted), preprocessing=Preprocessing())

    monkeypatch.setattr(Subject, "make_card", make_card)
    with pytest.raises(GateError, match=r"no rescale: .* as 0\.\.255") as caught:
        export(run, tmp_path / "edge", recipes=("float32",))
    document = caught.value.document  # type: ignore[attr-defined]
    (candidate,) = document["candidates"]
    assert (document["chosen"], candidate["path"], candidate["passed"]) == (None, None, False)
    assert candidate["reason"].startswith("no rescale")
    assert not (tmp_path / "edge").exists()


def test_labels_in_another_order_are_no_proof(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Subject.make_card

    def make_card(self: Subject, converted: Any) -> Any:
        card = whole(self, converted)
        return replace(card, labels=card.labels[::-1])

    monkeypatch.setattr(Subject, "make_card", make_card)
    with pytest.raises(ModelError, match="labels"):
        export(run, tmp_path / "edge", recipes=("float32",))
    assert not (tmp_path / "edge").exists()


def test_a_recipe_that_makes_no_file_is_no_question_of_points(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ModelError("operation FlexErf of layer 'gelu': expected a builtin.")

    monkeypatch.setattr("tfxfer_edge.proof.made.convert", refuse)
    with pytest.raises(ModelError, match="FlexErf") as caught:
        export(run, tmp_path / "edge", recipes=("float32",))
    assert caught.value.exit_code == 1


def test_a_file_whose_scores_are_no_numbers_costs_itself_only(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def score(self, pixels: np.ndarray) -> np.ndarray:
            return np.full((len(pixels), 3), np.nan, np.float32)

    whole = comparison.open_scorer

    def open_scorer(converted: Any, content: bytes) -> Any:
        return Broken() if converted.recipe.name == "float16" else whole(converted, content)

    monkeypatch.setattr("tfxfer_edge.proof.comparison.open_scorer", open_scorer)
    document = export(run, tmp_path / "edge", recipes=("float16", "float32")).document
    broken, good = document["candidates"]
    assert (broken["passed"], broken["path"], good["passed"]) == (False, None, True)
    assert "NaN" in broken["reason"] or "finite" in broken["reason"]


def test_every_file_that_passes_is_kept(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(find_door("image")), "ladder", ("int8", "dynamic_w8"))
    told: list[tuple[str, int, int]] = []
    result = export(
        run,
        tmp_path / "edge",
        max_drop=None,
        calibration_images=20,
        progress=lambda *x: told.append(x),
    )
    document = result.document
    for item in document["candidates"]:
        assert item["passed"]
        assert Path(item["path"]).stat().st_size == item["bytes"]
    assert document["prefer"] == "balanced"
    # Every step says what it does, and that it is done.
    last = {what: (done, total) for what, done, total in told}
    for words in ("loading the model", "tracing the model", "converting to int8 (2 of 3)"):
        assert last[words] == (1, 1)
    assert "timing 3 files" in last
    images = len(open_subject(run).data.val) + len(open_subject(run).data.test)
    assert last[f"scoring int8 on {images} images"] == (images, images)
    assert "comparing photos with Keras and MediaPipe" in last
    assert all(done == total for done, total in last.values())


def test_files_are_timed_on_validation_photos(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[np.ndarray] = []
    whole = made.time_files

    def time_files(files: Any, pixels: np.ndarray, **options: Any) -> Any:
        fed.append(pixels)
        return whole(files, pixels, **options)

    monkeypatch.setattr(made, "time_files", time_files)
    export(run, tmp_path / "edge", recipes=("float32",))
    val = open_subject(run).data.val
    rows = choose_rows(val, samples=8, seed=0)
    # Of all classes: the first eight are all of one.
    assert {val.raw_labels[row] for row in rows} == set(val.raw_labels)
    np.testing.assert_array_equal(fed[0], np.asarray(val.read_views(rows))[:, 0])


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in its folder"])
def test_a_file_leaves_out_what_it_was_trained_on(
    exported: Path, run: RunDirectory, tmp_path: Path, alone: bool
) -> None:
    file = exported / "model_int8.tflite"
    if alone:
        file = Path(shutil.copy(file, tmp_path / "app.tflite"))
    unseen = load_unseen(file, run.read_manifest().request["data"], load_predictor(file))
    summary = run.read_manifest().data
    assert summary is not None
    assert (len(unseen.split), unseen.left_out) == (summary.test, summary.train + summary.val)
    rows = [line.split(",") for line in run.split_path.read_text().splitlines()[1:]]
    assert set(unseen.split.paths) == {row[0] for row in rows if row[2] == "test"}
    document = json.loads((exported / "export.json").read_text())
    assert load_predictor(file).provenance == Provenance.from_text(document["trained_on"])
