"""SavedModels in `evaluate` and `predict`: read through the core's door, or refused by name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from tfxfer.errors import ModelError
from tfxfer.inference.loading import load_predictor
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import get_head
from tfxfer_edge import freeze
from tfxfer_edge.conversion.endings import find_graph_activation
from tfxfer_edge.saved_model import load_saved_model_predictor

SIDE = 8
LABELS = ("lime", "rust", "sky")
COLOURS = np.array([(60, 200, 40), (180, 80, 30), (80, 120, 220)], np.uint8)
PIXELS = np.broadcast_to(COLOURS[:, None, None], (3, SIDE, SIDE, 3))
KERNEL = np.array([[-4.0, 4.0, -2.0], [4.0, -4.0, -2.0], [-2.0, -2.0, 4.0]], np.float32)
PROBABILITY_OF = "probability of 'rust', the second label"


def build(activation: str | None, *, package: Any = keras, outputs: int = 3) -> Any:
    """Returns a linear classifier of the mean colour."""
    image = package.Input((SIDE, SIDE, 3), name="image")
    x = package.layers.Rescaling(1 / 127.5, -1)(image)
    x = package.layers.GlobalAveragePooling2D()(x)
    model = package.Model(image, package.layers.Dense(outputs, activation, name="end")(x))
    columns = KERNEL if outputs == 3 else KERNEL[:, 1:2]
    model.get_layer("end").set_weights([columns, np.zeros(outputs, np.float32)])
    return model


def save(model: Any, folder: Path) -> Path:
    model.export(folder, verbose=False)
    return folder


def save_legacy(model: Any, folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder, save_format="tf")
    return folder


def score(activation: str, outputs: int = 3) -> np.ndarray:
    return np.asarray(build(activation, outputs=outputs)(PIXELS.astype(np.float32)))


def test_probabilities_stay_as_they_are(tmp_path: Path) -> None:
    folder = save(build("softmax"), tmp_path / "saved")
    for path in (folder, folder / "saved_model.pb"):
        found = load_predictor(path, labels=LABELS)
        np.testing.assert_allclose(found.score(PIXELS), score("softmax"), atol=1e-6)
        (remark,) = found.remarks  # that they are pixels is the one thing that nobody said
        assert "gets pixels 0..255 as they are" in remark
    # The control: another brightness is another answer.
    assert np.abs(found.score(PIXELS // 2) - score("softmax")).max() > 0.01


def test_another_preprocessing_can_be_given(tmp_path: Path) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    whole = build("softmax")
    core = keras.Model(image, whole.layers[-1](whole.layers[-2](image)))
    given = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    found = load_saved_model_predictor(
        save(core, tmp_path / "saved"), labels=LABELS, preprocessing=given
    )
    np.testing.assert_allclose(found.score(PIXELS), score("softmax"), atol=1e-6)
    assert found.remarks == ()


def test_logits_get_a_softmax_and_a_sigmoid_two_labels(tmp_path: Path) -> None:
    found = load_predictor(save(build(None), tmp_path / "logits"), labels=LABELS)
    np.testing.assert_allclose(found.score(PIXELS), score("softmax"), atol=1e-6)
    assert "a softmax was added" in found.remarks[0]
    second = score("sigmoid", outputs=1)
    for name, end, told in (("one", "sigmoid", PROBABILITY_OF), ("sum", None, "a sigmoid was")):
        folder = save(build(end, outputs=1), tmp_path / name)
        found = load_predictor(folder, labels=LABELS[:2])
        np.testing.assert_allclose(found.score(PIXELS), np.hstack([1 - second, second]), atol=1e-6)
        assert told in found.remarks[0]


def test_a_legacy_saved_model_of_logits_gets_a_softmax(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    folder = save_legacy(build(None, package=tf_keras), tmp_path / "saved")
    found = load_predictor(folder, labels=LABELS)
    np.testing.assert_allclose(found.score(PIXELS), score("softmax"), atol=1e-6)
    assert "a softmax was added" in found.remarks[0]


@pytest.mark.parametrize(
    ("activation", "found"),
    [(None, "linear"), ("softmax", "softmax"), ("sigmoid", "sigmoid"), ("relu", "relu"),
     ("softplus", None)],
)  # fmt: skip
def test_the_end_of_a_graph_is_found(
    activation: str | None, found: str | None, tmp_path: Path
) -> None:
    graph = freeze(save(build(activation), tmp_path / "saved"), preprocessing="in_graph")
    assert find_graph_activation(graph.function) == found


def test_outputs_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    folder = save(build("softplus"), tmp_path / "saved")
    with pytest.raises(ModelError, match=r"probabilities that sum to 1.*Received.*Softmax"):
        load_predictor(folder, labels=LABELS)
    numbers = load_predictor(folder, labels=LABELS, head=get_head("regression"))
    np.testing.assert_allclose(numbers.score(PIXELS), score("softplus"), atol=1e-5)
    for labels, count in ((None, "none"), (LABELS[:2], "2")):
        with pytest.raises(ModelError, match=f"expected 3 labels.*Received: {count}"):
            load_predictor(folder, labels=labels)


class Bytes(tf.Module):
    """Takes pixels as bytes, and on the way, where it is told to, writes a file."""

    def __init__(self, trap: str = "") -> None:
        super().__init__()
        self.kernel, self.trap = tf.Variable(KERNEL), trap

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="image")])
    def __call__(self, image: Any) -> Any:
        if self.trap:
            tf.io.write_file(self.trap, "ran")
        mean = tf.reduce_mean(tf.cast(image, tf.float32) / 127.5 - 1, [1, 2])
        return {"scores": tf.nn.softmax(mean @ self.kernel)}


def save_module(module: Any, folder: Path) -> Path:
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
    return folder


def test_an_input_of_bytes_says_itself_that_it_takes_pixels(tmp_path: Path) -> None:
    found = load_predictor(save_module(Bytes(), tmp_path / "saved"), labels=LABELS)
    np.testing.assert_allclose(found.score(PIXELS), score("softmax"), atol=1e-6)
    assert found.remarks == ()


def test_one_that_writes_files_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    folder = save_module(Bytes(str(trap)), tmp_path / "saved")
    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "load", lambda path: pytest.fail("it was loaded"))
        with pytest.raises(ModelError, match=r"WriteFile \(has an effect\).*export --trust"):
            load_predictor(folder, labels=LABELS)
    assert not trap.exists()
    load_saved_model_predictor(folder, labels=LABELS, trust=True)  # the control: it can be loaded


def test_the_commands_take_the_folder(tmp_path: Path) -> None:
    from tfxfer.cli.evaluate import command as evaluate_command
    from tfxfer.cli.predict import command as predict_command

    folder = save(build(None), tmp_path / "saved")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(LABELS) + "\n")
    for label, pixels in zip(LABELS, PIXELS, strict=True):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for shade in (0, 9):
            image = Image.fromarray(pixels + np.uint8(shade))
            image.save(tmp_path / "photos" / label / f"{shade}.png")
    options = ["--labels", str(labels), "--json"]
    done = CliRunner().invoke(
        predict_command, [str(folder), str(tmp_path / "photos" / "rust"), *options]
    )
    assert done.exit_code == 0, done.output
    assert [x["label"] for x in json.loads(done.stdout)] == ["rust", "rust"]
    assert "a softmax was added" in done.stderr
    done = CliRunner().invoke(evaluate_command, [str(folder), str(tmp_path / "photos"), *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"]["value"] == 1
    assert "nothing is known of what this model was trained on" in done.stderr
