"""`tfxfer convert`: files without a gate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run as run_cli
from tfxfer.data.record import Source
from tfxfer.preprocessing import Preprocessing
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_reader import read_metadata

Call = Callable[..., Any]


@pytest.fixture
def convert(capfd: pytest.CaptureFixture[str]) -> Call:
    def call(*args: object) -> Any:
        code = run_cli(["convert", *map(str, args)])
        out, error = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, error=error)

    return call


@pytest.fixture(scope="module")
def photos(colour_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's photos, side by side and under numbers: nothing says which is which."""
    folder = tmp_path_factory.mktemp("plain")
    found = sorted(Path(colour_run.read_manifest().request["data"]).rglob("*.png"))
    for number, path in enumerate(found):
        shutil.copy(path, folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def model(colour_run: RunDirectory, tmp_path: Path) -> Path:
    """The run's model as a file that knows nothing of the run."""
    return Path(shutil.copy(colour_run.model_path, tmp_path / "mine.keras"))


def test_a_model_and_a_plain_folder(
    convert: Call, model: Path, photos: Path, tmp_path: Path
) -> None:
    done = convert(
        model, "--recipe", "int8", "--recipe", "float16", "--calibration", photos,
        "--calibration-images", 40, "--preprocessing", "in_graph", "--out", tmp_path / "out",
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.error
    document = json.loads(done.out)
    assert document["gated"] is False
    assert "no gate" in done.error
    assert document["calibration"]["images"] == 40
    assert document["compared"] == {"images": 80, "unseen": True}
    int8, float16 = document["files"]
    assert Path(int8["path"]).name == "mine_int8.tflite"
    assert int8["agreement"] >= 0.95
    assert 4 * float16["difference"] < int8["difference"] < 0.1
    card = read_metadata(Path(int8["path"]).read_bytes())
    assert card is not None
    assert (card.metadata_kind, card.labels) == ("features", ())


def test_the_file_gives_the_scores_that_were_told(
    convert: Call, model: Path, photos: Path, tmp_path: Path
) -> None:
    done = convert(
        model, "--calibration", photos, "--preprocessing", "in_graph", "--out", tmp_path, "--json"
    )
    assert done.code == 0, done.error
    (item,) = json.loads(done.out)["files"]
    from PIL import Image

    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(photos.iterdir())[:5]])
    import keras

    expected = keras.models.load_model(model, compile=False).predict(pixels.astype(np.float32))
    scores = TFLiteModel(item["path"]).score(pixels)
    assert np.abs(scores - expected).mean() < 0.05
    # And not of other photos.
    assert np.abs(scores[::-1] - expected).mean() > 0.05


def test_with_labels_the_file_answers(
    convert: Call, colour_run: RunDirectory, model: Path, photos: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    labels = shutil.copy(colour_run.path / "labels.txt", tmp_path / "names.txt")
    done = convert(
        model, "--calibration", photos, "--preprocessing", "in_graph", "--out", tmp_path,
        "--labels", labels, "--json",
    )  # fmt: skip
    assert done.code == 0, done.error
    (item,) = json.loads(done.out)["files"]
    truth = Path(colour_run.read_manifest().request["data"]) / "violet" / "0.png"
    assert run_cli(["predict", item["path"], str(truth), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)[0]["label"] == "violet"


def test_a_run_needs_nothing(convert: Call, colour_run: RunDirectory, tmp_path: Path) -> None:
    done = convert(colour_run.path, "--out", tmp_path, "--json")
    assert done.code == 0, done.error
    document = json.loads(done.out)
    assert document["files"][0]["agreement"] >= 0.9
    card = read_metadata(Path(document["files"][0]["path"]).read_bytes())
    assert card is not None
    assert card.labels == ("amber", "green", "violet")


def test_floats_need_no_photos(convert: Call, model: Path, tmp_path: Path) -> None:
    done = convert(
        model, "--recipe", "float32", "--preprocessing", "in_graph", "--out", tmp_path, "--json"
    )
    assert done.code == 0, done.error
    document = json.loads(done.out)
    assert document["compared"] is None
    assert document["files"][0]["difference"] is None
    assert Path(document["files"][0]["path"]).is_file()


def test_ends_and_a_recipe_of_ones_own(
    convert: Call, model: Path, photos: Path, tmp_path: Path
) -> None:
    rule = {
        "regex": ".*", "operation": "*", "algorithm_key": "min_max_uniform_quantize",
        "op_config": {
            "weight_tensor_config": {"num_bits": 8, "granularity": "CHANNELWISE"},
            "compute_precision": "FLOAT", "explicit_dequantize": True,
        },
    }  # fmt: skip
    (tmp_path / "mine_own.json").write_text(json.dumps([rule]))
    options = ("--calibration", photos, "--preprocessing", "in_graph", "--out", tmp_path, "--json")
    done = convert(model, "--io", "int8", *options)
    assert done.code == 0, done.error
    (item,) = json.loads(done.out)["files"]
    file = TFLiteModel(item["path"])
    assert (file.input.dtype, file.output.dtype) == ("int8", "int8")
    done = convert(model, "--recipe-file", tmp_path / "mine_own.json", *options)
    assert done.code == 0, done.error
    (own,) = json.loads(done.out)["files"]
    assert Path(own["path"]).name == "mine_mine_own.tflite"
    assert TFLiteModel(own["path"], preprocessing=Preprocessing()).input.dtype == "float32"
    assert own["bytes"] < 1.3 * item["bytes"]  # its weights have 8 bits, too


def test_where_all_photos_find_ranges_that_is_told(
    convert: Call, model: Path, photos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photos.iterdir())[::10]:
        shutil.copy(path, few)
    done = convert(
        model, "--calibration", few, "--preprocessing", "in_graph", "--out", tmp_path, "--json"
    )
    assert done.code == 0, done.error
    document = json.loads(done.out)
    assert document["calibration"]["images"] == 12
    assert document["compared"] == {"images": 12, "unseen": False}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--preprocessing", "in_graph"), 2, "expected real images, which find the ranges"),
        (("--recipe", "auto"), 2, "without labels nothing can be chosen"),
        (("--recipe", "int9"), 2, "no recipe named 'int9'"),
        (("--calibration", "nowhere"), 1, "expected a folder of images"),
        (("--recipe", "float32", "--out", "taken"), 1, "mine_float32.tflite' is there"),
        (("--recipe", "float32", "--out", "mine.keras"), 1, "expected a folder for the files"),
        (("--recipe", "float32", "--out", "mine.keras/in"), 1, "cannot write"),
        (("--recipe", "float32", "--head", "regression"), 2, "expected labels with a head"),
    ],
)
def test_what_cannot_be_meant_is_told_before_any_work(
    options: tuple[str, ...],
    code: int,
    words: str,
    convert: Call,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(model.parent)
    Path("taken").mkdir()
    Path("taken/mine_float32.tflite").write_bytes(b"")
    monkeypatch.setattr(
        "tfxfer_edge.proof.opened.open_source", lambda *_, **__: pytest.fail("began")
    )
    done = convert("mine.keras", *options)
    assert done.code == code
    assert words in done.error
    assert "Traceback" not in done.error


def test_a_model_of_one_channel_needs_no_labels(
    convert: Call, photos: Path, tmp_path: Path
) -> None:
    import keras

    layers = [keras.Input((48, 48, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    keras.Sequential([*layers, keras.layers.Dense(2)]).save(tmp_path / "grey.keras")
    done = convert(
        tmp_path / "grey.keras", "--calibration", photos, "--preprocessing", "0..1", "--out",
        tmp_path, "--json",
    )  # fmt: skip
    assert done.code == 0, done.error
    document = json.loads(done.out)
    assert document["compared"]["images"] > 0
    assert TFLiteModel(document["files"][0]["path"]).channels == 1


def test_a_network_without_a_top_is_compared_by_its_maps(
    convert: Call, photos: Path, tmp_path: Path
) -> None:
    import keras

    maps = keras.Sequential([keras.Input((48, 48, 3)), keras.layers.Conv2D(4, 3, strides=4)])
    maps.save(tmp_path / "body.keras")
    done = convert(
        tmp_path / "body.keras", "--recipe", "int8", "--recipe", "float32", "--calibration", photos,
        "--preprocessing", "0..1", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert done.code == 0, done.error
    int8, float32 = json.loads(done.out)["files"]
    assert 0 <= float32["difference"] < 1e-5 < int8["difference"] < 0.05


def test_a_run_in_the_working_directory_names_its_files(
    convert: Call, colour_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(colour_run.path, tmp_path / "lite0-v0.2"))
    monkeypatch.chdir(run)
    done = convert(".", "--recipe", "float32", "--out", tmp_path, "--json")
    assert done.code == 0, done.error
    (item,) = json.loads(done.out)["files"]
    assert Path(item["path"]).name == "lite0-v0.2_float32.tflite"
    card = read_metadata(Path(item["path"]).read_bytes())
    assert card is not None
    # As a file of an export says it: the licence, and what must not judge it.
    assert card.licence.startswith("pretrained weights:")
    assert card.provenance is not None
    assert len(card.provenance) > 0


def test_labels_that_no_file_can_hold_are_told_before_the_first_conversion(
    convert: Call, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer_edge.ungated.convert", lambda *_, **__: pytest.fail("began"))
    labels = tmp_path / "names.txt"
    labels.write_text("amber\namber\nviolet\n")
    done = convert(
        model, "--recipe", "float32", "--preprocessing", "in_graph", "--labels", labels,
        "--out", tmp_path,
    )  # fmt: skip
    assert done.code == 1
    assert "amber" in done.error


def test_a_run_is_told_what_it_knows(convert: Call, colour_run: RunDirectory) -> None:
    done = convert(colour_run.path, "--preprocessing", "in_graph")
    assert done.code == 2
    assert "that a run knows itself" in done.error


def test_without_preprocessing_nothing_is_written(
    convert: Call, model: Path, photos: Path, tmp_path: Path
) -> None:
    import keras

    bare = keras.Sequential(
        [keras.Input((48, 48, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    bare.save(tmp_path / "bare.keras")
    done = convert(tmp_path / "bare.keras", "--calibration", photos, "--out", tmp_path / "out")
    assert done.code == 2
    assert "preprocessing" in done.error
    assert not (tmp_path / "out").exists()


def test_files_are_replaced_when_asked(convert: Call, model: Path, tmp_path: Path) -> None:
    options = (model, "--recipe", "float32", "--preprocessing", "in_graph", "--out", tmp_path)
    target = tmp_path / "mine_float32.tflite"
    target.write_bytes(b"older")
    assert convert(*options).code == 1
    assert target.read_bytes() == b"older"
    assert convert(*options, "--overwrite").code == 0
    assert target.stat().st_size > 1000


def test_a_run_is_exported_with_ranges_of_a_plain_folder(
    colour_run: RunDirectory, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "edge"
    code = run_cli([
        "export", str(colour_run.path), "--out", str(out), "--recipe", "int8", "--max-drop", "50%",
        "--calibration", str(photos), "--json",
    ])  # fmt: skip
    captured = capfd.readouterr()
    assert code == 0, captured.err
    document = json.loads(captured.out)
    assert document["max_drop"] == "50%"
    assert document["calibration"]["data"] == str(photos.resolve())
    assert len(document["calibration"]["files"]) == 100


def test_a_model_cannot_be_judged_by_a_plain_folder(
    model: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("tfxfer_edge.request.read_source", _refuse)
    labels = tmp_path / "names.txt"
    labels.write_text("amber\ngreen\nviolet\n")
    code = run_cli([
        "export", str(model), "--out", str(tmp_path / "edge"), "--calibration", str(photos),
        "--labels", str(labels), "--preprocessing", "in_graph",
    ])  # fmt: skip
    assert code == 1
    assert "tfxfer convert" in capfd.readouterr().err


def _refuse(*_: object) -> Source:
    pytest.fail("was read")
