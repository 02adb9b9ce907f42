"""An `.onnx` file through `tfxfer evaluate` and `tfxfer predict`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from tfxfer.cli.main import run as run_cli
from tfxfer.errors import ModelError, UsageError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import Registry
from tfxfer_edge.onnx.metadata import write_onnx_metadata
from tfxfer_edge.predictor import load_onnx_predictor, load_tflite_predictor
from tfxfer_edge.tflite.card import ModelCard

from .onnx_files import LABELS, build_onnx, paint_colours
from .test_reader_is_light import refuse_heavy

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ZERO_TO_ONE = Preprocessing.from_mean_std(mean=0.0, std=255.0)


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    folder = tmp_path / "photos"
    paths = []
    for label, pixels in zip(LABELS, paint_colours(), strict=True):
        (folder / label).mkdir(parents=True)
        paths.append(str(folder / label / "photo.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths


def write_file(folder: Path, content: bytes, **options: Any) -> Path:
    card = ModelCard(name="colours", labels=LABELS, preprocessing=ZERO_TO_ONE, **options)
    path = folder / "colours.onnx"
    path.write_bytes(write_onnx_metadata(content, card, outputs=3))
    return path


def test_the_core_finds_the_reader(tmp_path: Path, photos: list[str]) -> None:
    path = write_file(tmp_path, build_onnx())
    entry = EntryPoint("onnx", "tfxfer_edge.predictor:load_onnx_predictor", "tfxfer.readers")
    found = load_predictor(path, registry=Registry([entry]))
    assert (found.labels, found.head.name, found.size) == (LABELS, "classification", 8)
    assert [item["label"] for item in predict(found, photos)] == list(LABELS)


def test_the_commands_take_the_file(tmp_path: Path, photos: list[str]) -> None:
    from tfxfer.cli.evaluate import command as evaluate_command
    from tfxfer.cli.predict import command as predict_command

    path = write_file(tmp_path, build_onnx())
    done = CliRunner().invoke(predict_command, [str(path), photos[1], "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["label"] == "green"
    done = CliRunner().invoke(evaluate_command, [str(path), str(tmp_path / "photos"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"]["value"] == 1.0


def test_a_file_of_pytorch_gets_labels_and_preprocessing(tmp_path: Path, photos: list[str]) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(build_onnx(activation=None))
    found = load_onnx_predictor(path, labels=LABELS, preprocessing=ZERO_TO_ONE)
    documents = predict(found, photos)
    assert [item["label"] for item in documents] == list(LABELS)
    # Its sums became probabilities, which a person is told.
    assert sum(documents[0]["scores"].values()) == pytest.approx(1, abs=1e-6)
    assert "softmax" in found.remarks[0]
    with pytest.raises(UsageError, match=r"or 'in_graph'\. Received: preprocessing='imagenet'"):
        load_predictor(path, labels=LABELS, preprocessing="imagenet")
    with pytest.raises(ModelError, match=r"expected 3 labels.*Received: none"):
        load_onnx_predictor(path)
    with pytest.raises(ModelError, match="expected metadata that says what pixels"):
        load_onnx_predictor(path, labels=LABELS)


def test_the_commands_are_told_what_it_does_not_say(tmp_path: Path, photos: list[str]) -> None:
    from tfxfer.cli.evaluate import command as evaluate_command
    from tfxfer.cli.predict import command as predict_command

    path, labels = tmp_path / "bare.onnx", tmp_path / "labels.txt"
    path.write_bytes(build_onnx())
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    options = ["--labels", str(labels), "--preprocessing", "0..1", "--json"]
    done = CliRunner().invoke(predict_command, [str(path), photos[2], *options])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert found["label"] == "blue"
    done = CliRunner().invoke(evaluate_command, [str(path), str(tmp_path / "photos"), *options])
    assert json.loads(done.stdout)["accuracy"]["value"] == 1.0
    # The control: sums of pixels 0..255 leave no doubt, where shares leave some.
    options[3] = "in_graph"
    done = CliRunner().invoke(predict_command, [str(path), photos[2], *options])
    assert json.loads(done.stdout)[0]["score"] > 0.999 > found["score"]


def test_what_a_card_says_holds(tmp_path: Path) -> None:
    path = write_file(
        tmp_path,
        build_onnx(activation="Sigmoid"),
        metadata_kind="multilabel_classifier",
        threshold=0.125,
    )
    found = load_onnx_predictor(path)
    assert (found.head.name, found.head.options()["threshold"]) == ("multilabel", 0.125)
    with pytest.raises(ModelError, match="expected its own labels"):
        load_onnx_predictor(path, labels=LABELS[::-1])


def test_a_kind_of_sample_that_nobody_reads_is_named(tmp_path: Path) -> None:
    path = write_file(tmp_path, build_onnx(), modality="smell", size=3, contract={})
    assert load_onnx_predictor.read_modality(path) == "smell"  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="modality 'smell'"):
        load_onnx_predictor(path)


@pytest.mark.parametrize("command", ["evaluate", "predict", "benchmark"])
def test_it_needs_neither_keras_nor_tensorflow(
    command: str, tmp_path: Path, photos: list[str]
) -> None:
    path = write_file(tmp_path, build_onnx())
    rest = {
        "evaluate": [str(tmp_path / "photos")],
        "predict": photos,
        "benchmark": ["--runs", "2", "--rounds", "1"],
    }[command]
    done = refuse_heavy(command, str(path), *rest)
    assert done.returncode == 0, done.stderr[-2000:]


def make_external() -> bytes:
    """Returns a file whose weights are in another one, which is not there."""
    import onnx

    model = onnx.load_from_string(build_onnx())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: build_onnx()[:-50], "cut off or damaged"),
        (lambda: b"no model", "of something else"),
        (make_external, "values are in another one"),
        (lambda: build_onnx(inputs=2), "Received: 2 and 1"),
        (lambda: build_onnx(shape=("n", 3, "h", "w")), "expected an input of fixed size"),
        (lambda: build_onnx().replace(b"MatMul", b"MatPul"), "that onnxruntime runs"),
        (lambda: build_onnx(activation="Exp"), "expected outputs that are pr"),
    ],
    ids=["cut", "text", "external", "two inputs", "free sizes", "no operator", "no answers"],
)
def test_what_cannot_be_scored_is_one_line(
    make: Callable[[], bytes],
    told: str,
    command: str,
    tmp_path: Path,
    photos: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, labels = tmp_path / "bad.onnx", tmp_path / "labels.txt"
    path.write_bytes(make())
    labels.write_text("".join(f"{label}\n" for label in LABELS))
    options = ["--labels", str(labels), "--preprocessing", "0..1"]
    data = str(tmp_path / "photos") if command == "evaluate" else photos[0]
    started = time.monotonic()
    assert run_cli([command, str(path), data, *options]) == 1
    assert time.monotonic() - started < 30
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert told in errors[0]


def test_an_onnx_file_under_another_name_is_no_tflite_file(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(build_onnx())
    with pytest.raises(ModelError, match="TFL3"):
        load_tflite_predictor(path)
