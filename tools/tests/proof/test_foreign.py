"""A file whose outputs are not yet answers: the exported one gives answers, and it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import ModelError
from tfxfer.inference.loading import load_predictor
from tfxfer.registry.lookup import get_head
from tfxfer_edge import export
from tfxfer_edge.conversion.graph import freeze
from tfxfer_edge.conversion.sources import open_source
from tfxfer_edge.proof.foreign import adapt_source

SIDE = 32
COLOURS = {"lime": (60, 200, 40), "rust": (180, 80, 30), "sky": (80, 120, 220)}


def paint(folder: Path, labels: tuple[str, ...]) -> Path:
    rng = np.random.default_rng(0)
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(14):
            pixels = np.array(COLOURS[label]) + rng.normal(0, 40, (SIDE, SIDE, 3))
            pixels = pixels + rng.normal(0, 15, (1, 1, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                folder / label / f"{number}.png"
            )
    return folder


def build(kernel: list[list[float]], activation: str | None, *, legacy: bool = False) -> Any:
    """Returns a linear classifier of the mean colour."""
    package: Any = pytest.importorskip("tf_keras") if legacy else keras
    layers = package.layers
    image = package.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.Conv2D(3, 3, padding="same", use_bias=False, name="blur")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = package.Model(image, layers.Dense(len(kernel[0]), activation, name="end")(x))
    blur = np.zeros((3, 3, 3, 3), np.float32)
    blur[:, :] = np.eye(3) / 9
    model.get_layer("blur").set_weights([blur])
    model.get_layer("end").set_weights([np.array(kernel, np.float32), np.zeros(len(kernel[0]))])
    return model


ONE = [[4.0], [-4.0], [0.0]]  # red against green: rust, and not lime
THREE = [[-4.0, 4.0, -2.0], [4.0, -4.0, -2.0], [-2.0, -2.0, 4.0]]


@pytest.mark.parametrize(
    ("kernel", "activation", "added"),
    [
        (ONE, "sigmoid", "probability of 'rust'"),
        (ONE, None, "a sigmoid was added"),
        (THREE, None, "a softmax was added"),
    ],
)
def test_outputs_become_answers(
    tmp_path: Path, kernel: list[list[float]], activation: str | None, added: str
) -> None:
    labels = tuple(sorted(COLOURS))[: max(2, len(kernel[0]))]
    photos, path = paint(tmp_path / "photos", labels), tmp_path / "guest.keras"
    build(kernel, activation).save(path)
    document = export(
        path,
        tmp_path / "edge",
        recipes=("float32", "int8"),
        max_drop=None,
        calibration=photos,
        calibration_images=20,
        labels=labels,
        preprocessing="in_graph",
    ).document
    assert added in document["remarks"][0]
    assert document["float"]["metrics"]["test"]["accuracy"]["value"] == 1
    assert (tmp_path / "edge" / "labels.txt").read_text().split() == list(labels)
    expected = load_predictor(path, labels=labels)
    pixels = np.stack([np.full((SIDE, SIDE, 3), COLOURS[label], np.uint8) for label in labels])
    scores = expected.score(pixels)
    assert scores.argmax(axis=1).tolist() == list(range(len(labels)))
    for recipe, tolerance in (("float32", 1e-5), ("int8", 0.03)):
        found = load_predictor(tmp_path / "edge" / f"model_{recipe}.tflite")
        assert found.labels == labels
        np.testing.assert_allclose(found.score(pixels), scores, atol=tolerance)
        # The control: pixels of another brightness are other scores.
        assert np.abs(found.score(pixels // 2) - scores).max() > tolerance


def test_a_legacy_model_of_logits_gets_a_softmax_too(tmp_path: Path) -> None:
    source = open_source(build(THREE, None, legacy=True), preprocessing="in_graph")
    graph, path = freeze(source), tmp_path / "guest.h5"
    adapted, remark = adapt_source(source, graph, path, tuple(COLOURS), get_head())
    assert "a softmax was added" in remark
    scores = freeze(adapted).run(np.full((1, SIDE, SIDE, 3), 90, np.uint8))
    assert scores.sum() == pytest.approx(1)


def test_a_saved_model_of_logits_is_exported_with_a_softmax(tmp_path: Path) -> None:
    labels = tuple(sorted(COLOURS))
    photos, path = paint(tmp_path / "photos", labels), tmp_path / "guest"
    build(THREE, None).export(path, verbose=False)
    document = export(
        path,
        tmp_path / "edge",
        recipes=("float32",),
        max_drop=None,
        calibration=photos,
        labels=labels,
        preprocessing="in_graph",
    ).document
    assert "a softmax was added" in document["remarks"][0]
    pixels = np.stack([np.full((SIDE, SIDE, 3), COLOURS[label], np.uint8) for label in labels])
    expected = np.asarray(build(THREE, "softmax")(pixels.astype(np.float32)))
    found = load_predictor(tmp_path / "edge" / "model_float32.tflite")
    np.testing.assert_allclose(found.score(pixels), expected, atol=1e-5)


def test_outputs_that_are_none_are_refused(tmp_path: Path) -> None:
    photos, path = paint(tmp_path / "photos", tuple(COLOURS)), tmp_path / "guest.keras"
    build(THREE, "relu").save(path)
    with pytest.raises(ModelError, match=r"probabilities.*Received.*relu.*Softmax"):
        export(
            path,
            tmp_path / "edge",
            calibration=photos,
            labels=tuple(sorted(COLOURS)),
            preprocessing="in_graph",
        )
    assert not (tmp_path / "edge").exists()
