from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Preprocessing, Registry
from tfxfer.cli.main import run as run_cli
from tfxfer.data.provenance import Provenance
from tfxfer.errors import DataError, GateError, ModelError, UnknownHeadError, UsageError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.inference.unseen import load_unseen
from tfxfer.registry.discovery import find_entry_points
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.door import find_door
from tfxfer_edge.exports import export
from tfxfer_edge.onnx.metadata import read_onnx_metadata
from tfxfer_edge.proof import comparison, made
from tfxfer_edge.proof.run_images import choose_rows, list_run_images
from tfxfer_edge.proof.run_record import find_warnings
from tfxfer_edge.proof.subject import Subject, open_subject
from tfxfer_edge.request import check_request
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_heads import Classification

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


def test_a_gate_that_nothing_passes(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tfxfer_edge.proof.comparison.paired_difference",
        lambda *_, **__: {"value": 7.0, "low": 5.0, "high": 9.0},
    )
    with pytest.raises(GateError, match=r"at most 1 point\.") as caught:
        export(run, tmp_path / "edge", recipes=("float32",))
    assert caught.value.exit_code == 3
    (candidate,) = caught.value.document["candidates"]  # type: ignore[attr-defined]
    assert not candidate["passed"]
    assert candidate["reason"] == "loses 7.00 points [5.00, 9.00], more than 1"
    assert candidate["val_drop_points"] == {"value": 7.0, "low": 5.0, "high": 9.0}
    assert not (tmp_path / "edge").exists()


@pytest.fixture
def sliced_run(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Returns a copy that knows of each image where it is from."""
    copy = RunDirectory.open(shutil.copytree(run.path, tmp_path / "sliced"))
    paths = [line.split(",")[0] for line in run.split_path.read_text().splitlines()[1:]]
    rows = [f"{path},{'north' if number % 2 else 'south'}" for number, path in enumerate(paths)]
    copy.slices_path.write_text("\n".join(["path,site", *rows]) + "\n")
    return copy


def test_the_file_must_keep_the_rules_of_a_gate(sliced_run: RunDirectory, tmp_path: Path) -> None:
    gate = tmp_path / "gate.toml"
    options: dict[str, Any] = {"recipes": ("float32",), "calibration_images": 20, "gate": gate}
    # Wilson's lower end is below 1, whatever so few images say.
    gate.write_text('bound = "low"\nleast = 1\nrules = ["worst-slice accuracy >= 1.0"]\n')
    with pytest.raises(GateError, match=r"gate\.toml.*float32: worst-slice accuracy") as caught:
        export(sliced_run, tmp_path / "edge", **options)
    assert caught.value.exit_code == 3
    (candidate,) = caught.value.document["candidates"]  # type: ignore[attr-defined]
    assert not candidate["passed"]
    assert candidate["gate"]["rules"][0]["where"].startswith("site=")
    assert not (tmp_path / "edge").exists()
    gate.write_text('bound = "low"\nleast = 1\nrules = ["worst-slice accuracy >= 0.1"]\n')
    result = export(sliced_run, tmp_path / "edge", **options)
    assert result.document["chosen"] == "float32"
    assert result.document["gate"] == str(gate)


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ("acuracy >= 0.9", UsageError, "Did you mean 'accuracy'?"),
        ("worst-slice accuracy by sight >= 0.9", DataError, "Did you mean 'site'?"),
        ("recall of ambr >= 0.9", UsageError, "Did you mean 'amber'?"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_before_any_work(
    sliced_run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    error: type[Exception],
    words: str,
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("tfxfer_edge.exports.open_subject", work)
    (tmp_path / "gate.toml").write_text(f'bound = "value"\nrules = ["{rule}"]\n')
    with pytest.raises(error, match=words):
        export(sliced_run, tmp_path / "edge", gate=tmp_path / "gate.toml")


def test_the_rules_are_read_with_the_registry_that_is_given(
    sliced_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("head_of_nobody")
    module.OfNobody = type("OfNobody", (Classification,), {"name": "of_nobody"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "head_of_nobody", module)
    gate = tmp_path / "gate.toml"
    gate.write_text('bound = "value"\nrules = ["worst-slice accuracy by site >= 0.1"]\n')
    sliced_run.write_manifest(replace(sliced_run.read_manifest(), head="of_nobody"))
    head = EntryPoint("of_nobody", "head_of_nobody:OfNobody", "tfxfer.heads")
    registry = Registry([*find_entry_points(), head])
    found = check_request(sliced_run, tmp_path / "edge", gate=gate, registry=registry)
    assert found.rules is not None
    assert found.rules.columns == ("site",)
    with pytest.raises(UnknownHeadError, match="of_nobody"):
        check_request(sliced_run, tmp_path / "edge", gate=gate)


def test_one_command_reads_the_rules_once(
    sliced_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []

    def count(run: RunDirectory, modality: Any) -> Any:
        listed.append(run.path)
        return list_run_images(run, modality)

    monkeypatch.setattr("tfxfer_edge.proof.rules.list_run_images", count)
    gate = tmp_path / "gate.toml"
    gate.write_text('bound = "value"\nleast = 1\nrules = ["worst-slice accuracy >= 0.1"]\n')
    words = ["--recipe", "float32", "--gate", str(gate), "--out", str(tmp_path / "edge")]
    assert run_cli(["export", str(sliced_run.path), *words]) == 0
    assert listed == [sliced_run.path]


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


def set_warnings(run: RunDirectory, tmp_path: Path, *entries: dict[str, str]) -> RunDirectory:
    """Returns a copy of a run that was warned of its own result."""
    shutil.copytree(run.path, tmp_path / "warned")
    path = tmp_path / "warned" / "run.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "warnings": list(entries)}))
    return RunDirectory(tmp_path / "warned")


CHANCE = {"kind": "chance", "message": "accuracy cannot be told from guessing", "cause": "too few"}
SILENT = {"kind": "unpredicted_classes", "message": "'amber' is never the answer", "cause": ""}


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        ((CHANCE,), "told from guessing. Likely: too few. To export"),
        ((SILENT,), "'amber' is never the answer. Train longer or on more samples. To export"),
        ((CHANCE, SILENT | {"cause": "too few"}), "never the answer. Likely: too few. To export"),
    ],
)
def test_a_run_at_chance_is_refused_before_any_work(
    warnings: tuple[dict[str, str], ...],
    told: str,
    run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("tfxfer_edge.exports.open_subject", work)
    warned = set_warnings(run, tmp_path, *warnings)
    with pytest.raises(GateError, match="--force") as caught:
        export(warned, tmp_path / "edge")
    assert told in str(caught.value)
    assert caught.value.exit_code == 3
    with pytest.raises(AssertionError, match="work began"):
        export(warned, tmp_path / "edge", force=True)
    # What is exported all the same is told once more.
    checked = check_request(warned, tmp_path / "edge", force=True)
    assert checked.warnings == tuple(item["message"] for item in warnings)


@pytest.mark.parametrize("entries", [(), ({"kind": "other", "message": "m", "cause": ""},)])
def test_other_warnings_hold_nothing_up(
    entries: tuple[dict[str, str], ...], run: RunDirectory, tmp_path: Path
) -> None:
    assert find_warnings(set_warnings(run, tmp_path, *entries)) == ()
    assert find_warnings(run) == ()


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
