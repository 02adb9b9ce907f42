"""Models of one channel, from the coloured photo on disk to the file and back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.cli.main import run as run_cli
from tfxfer.errors import DataError, ModelError
from tfxfer_edge import convert, export, freeze, read_metadata
from tfxfer_edge.handover.readme import write_handover
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_table import Table, find_metadata

from .small_files import LABELS, SIDE, read_photos, save_classifier, save_photos

BACKBONE = """
from tfxfer import Preprocessing
from tfxfer.testing.probes import ProbeBackbone


class Grey(ProbeBackbone):
    name = "double_grey"
    family = "double"
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5, grey=True)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_photos(tmp_path_factory.mktemp("grey") / "photos")


@pytest.fixture(scope="module")
def model(photos: Path) -> Path:
    return save_classifier(photos.parent / "textures.keras", photos, channels=1)


@pytest.fixture(scope="module")
def exported(model: Path, photos: Path) -> Path:
    out = photos.parent / "edge"
    given: dict[str, Any] = {"calibration": photos, "labels": LABELS, "preprocessing": "in_graph"}
    recipes = ("float32", "int8", "w8")
    result = export(model, out, **given, recipes=recipes, max_drop=None)
    assert result.path == out
    return out


def call(*args: object) -> Any:
    out = io.StringIO()
    code = run_cli([*map(str, args), "--json"], stdout=out)
    assert code == 0, out.getvalue()
    return json.loads(out.getvalue())


def test_a_file_of_one_channel_is_as_good_as_its_model(exported: Path) -> None:
    document = json.loads((exported / "export.json").read_text())
    for item in document["candidates"]:
        assert item["agreement"] >= 0.9
        assert item["metrics"]["test"]["accuracy"]["value"] >= 0.9
    parity = document["parity"]
    assert parity["contract"] is None
    assert parity["interpreter"]["top1"] == 1.0
    assert "expected 3 channels" in parity["mediapipe_note"]


@pytest.mark.parametrize("name", ["model_int8.tflite", "model_float32.tflite", "model_w8.tflite"])
def test_commands_read_the_file(exported: Path, photos: Path, name: str) -> None:
    found = call("evaluate", exported / name, photos)
    assert found["accuracy"]["value"] >= 0.9
    (answer,) = call("predict", exported / name, photos / "lying" / "4.png")
    assert answer["label"] == "lying"


def test_commands_read_the_keras_model(model: Path, photos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS))
    found = call("evaluate", model, photos, "--labels", labels)
    assert found["accuracy"]["value"] >= 0.9


def test_benchmark_feeds_it_with_its_own_photos(
    exported: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (found,) = call("benchmark", exported / "model_int8.tflite")["models"]
    assert found["latency_ms"]["median"] > 0
    assert "8 of the images that it was calibrated with" in capfd.readouterr().err


def test_the_metadata_says_that_it_is_grey(exported: Path, photos: Path) -> None:
    content = (exported / "model_int8.tflite").read_bytes()
    card, buffer = read_metadata(content), find_metadata(content)
    assert card is not None
    assert buffer is not None
    assert card.labels == LABELS
    (graph,) = Table.of_root(buffer, schema.SCHEMA_IDENTIFIER).tables(schema.Model.SUBGRAPHS)
    (source,) = graph.tables(schema.SubGraph.INPUTS)
    (words,) = source.table(schema.Tensor.CONTENT)
    (image,) = words.table(schema.Content.PROPERTIES)
    assert image.byte(schema.Image.COLOR_SPACE) == schema.ColorSpace.GRAYSCALE
    assert source.string(schema.Tensor.DESCRIPTION).startswith("Grey photo")


@pytest.mark.parametrize("name", ["model_int8.tflite", "model_float32.tflite"])
def test_what_is_handed_over_runs(exported: Path, photos: Path, name: str, tmp_path: Path) -> None:
    photo = photos / "lying" / "4.png"
    write_handover(Path(shutil.copy(exported / name, tmp_path)))
    done = subprocess.run(
        [sys.executable, tmp_path / "run.py", photo], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    score, label = done.stdout.splitlines()[0].split()
    (answer,) = call("predict", tmp_path / name, photo)
    assert label == answer["label"] == "lying"
    assert abs(float(score) - answer["score"]) < 1e-3
    readme = (tmp_path / "README.md").read_text()
    assert f"{SIDE} x {SIDE} grey" in readme
    assert "19595 * red" in (tmp_path / "Classifier.kt").read_text()
    assert "19595 * Int(rgba" in (tmp_path / "Classifier.swift").read_text()


def test_int8_ends_are_the_bytes_minus_128(model: Path, photos: Path) -> None:
    pixels, _ = read_photos(photos, channels=1)
    graph = freeze(model, preprocessing="in_graph")
    made = convert(graph, calibration=pixels[::3], io="int8")
    assert made.input_shape == (1, SIDE, SIDE, 1)
    file = TFLiteModel(made.content)
    np.testing.assert_array_equal(file.encode(pixels[:2]), pixels[:2].astype(int) - 128)
    expected = graph.run(pixels)
    assert (file.score(pixels).argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95


def test_three_channels_where_one_is_asked_for_are_refused(model: Path, photos: Path) -> None:
    colours, _ = read_photos(photos)
    graph = freeze(model, preprocessing="in_graph")
    with pytest.raises(DataError, match=r"expected images \(32, 32, 1\).*\(90, 32, 32, 3\)"):
        convert(graph, calibration=colours)
    file = TFLiteModel(convert(graph, recipe="float32").content, preprocessing=Preprocessing())
    with pytest.raises(ModelError, match=r"expected pixels \(images, 32, 32, 1\)"):
        file.score(colours)
    each = Preprocessing.from_mean_std(mean=(1.0, 2.0, 3.0), std=1.0)
    with pytest.raises(ModelError, match="expected 3 channels, for a scale and an offset of each"):
        freeze(model, preprocessing=each)


def test_a_scale_that_no_byte_can_stand_for_stays_in_the_graph(photos: Path) -> None:
    import keras

    pixels = keras.Input((SIDE, SIDE, 1))
    scores = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(pixels))
    # Its zero would be byte -20.
    far = Preprocessing.from_mean_std(mean=-20.0, std=50.0)
    graph = freeze(keras.Model(pixels, scores), preprocessing=far)
    assert graph.function.outputs[0].shape == (1, 2)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A backbone of one channel, as if pip had installed it."""
    from tfxfer.registry.lookup import default_registry

    (tmp_path / "double_grey.py").write_text(BACKBONE)
    folder = tmp_path / "tfxfer_double_grey-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tfxfer-double-grey\nVersion: 1.0\n"
        "Requires-Dist: tfxfer>=0.1,<0.2\n"
    )
    (folder / "entry_points.txt").write_text("[tfxfer.backbones]\ndouble_grey = double_grey:Grey\n")
    monkeypatch.syspath_prepend(tmp_path)
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()
    sys.modules.pop("double_grey", None)


@pytest.mark.usefixtures("installed")
def test_a_backbone_of_one_channel_is_trained_and_exported(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = call(
        "train", photos, "--backbone", "double_grey", "--weights", "none", "--out", run,
        "--schedule", "scratch", "--epochs", "30", "--no-report",
    )  # fmt: skip
    assert done["metrics"]["test"]["accuracy"]["value"] > 0.6
    result = export(run, recipes=("int8",), io="int8", max_drop=None, force=True)
    (candidate,) = result.document["candidates"]
    assert candidate["agreement"] > 0.8
    assert TFLiteModel(run / "export" / "model_int8.tflite").channels == 1
    found = call("evaluate", run / "export" / "model_int8.tflite", photos)
    assert found["accuracy"]["value"] > 0.5
