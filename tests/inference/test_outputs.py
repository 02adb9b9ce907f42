"""Outputs of files from elsewhere: made into probabilities and said, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.outputs import apply_steps, find_activation
from tfxfer.registry.lookup import get_head

TWO, THREE = ("fox", "owl"), ("elm", "fir", "oak")


@pytest.fixture
def pixels() -> np.ndarray:
    patches = np.random.default_rng(3).integers(0, 256, (6, 3, 3, 3))
    return np.kron(patches, np.ones((1, 8, 8, 1))).astype(np.uint8)


def build(outputs: int, *end: Any, scale: float = 0.5) -> Any:
    """Returns a small model whose scores differ from image to image."""
    import keras

    keras.utils.set_random_seed(4)
    image = keras.Input((24, 24, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(image)
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(x))
    normal = keras.initializers.RandomNormal(stddev=scale, seed=1)
    x = keras.layers.Dense(outputs, kernel_initializer=normal)(x)
    for layer in end:
        x = layer(x)
    return keras.Model(image, x, name="guest")


def save(model: Any, folder: Path) -> Path:
    model.save(folder / "guest.keras")
    return folder / "guest.keras"


def raw(model: Any, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(model(pixels.astype(np.float32), training=False))


def test_one_sigmoid_is_two_labels(tmp_path: Path, pixels: np.ndarray) -> None:
    import keras

    model = build(1, keras.layers.Activation("sigmoid"))
    predictor = load_predictor(save(model, tmp_path), labels=TWO)
    second = raw(model, pixels)[:, 0]
    assert second.min() < 0.5 < second.max()  # both labels are answers
    np.testing.assert_allclose(
        predictor.score(pixels), np.stack([1 - second, second], axis=1), atol=1e-6
    )
    answers = predictor.head.decode(predictor.score(pixels), predictor.labels)
    assert [answer.label for answer in answers] == [TWO[int(p > 0.5)] for p in second]
    (remark,) = predictor.remarks
    assert "probability of 'owl'" in remark


def test_one_logit_is_two_labels(tmp_path: Path, pixels: np.ndarray) -> None:
    predictor = load_predictor(save(build(1), tmp_path), labels=TWO)
    second = 1 / (1 + np.exp(-raw(build(1), pixels)[:, 0]))
    np.testing.assert_allclose(predictor.score(pixels)[:, 1], second, atol=1e-6)
    assert "a sigmoid was added" in predictor.remarks[0]


def test_logits_get_a_softmax(tmp_path: Path, pixels: np.ndarray) -> None:
    import keras

    logits = raw(build(3), pixels)
    assert np.abs(logits).max() > 1  # otherwise they might pass for probabilities
    expected = raw(build(3, keras.layers.Softmax()), pixels)
    for end in ((), (keras.layers.Activation("linear"), keras.layers.Dropout(0.5))):
        predictor = load_predictor(save(build(3, *end), tmp_path), labels=THREE)
        np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
        assert "a softmax was added" in predictor.remarks[0]


def test_probabilities_stay_as_they_are(tmp_path: Path, pixels: np.ndarray) -> None:
    import keras

    softmax, sums = keras.layers.Softmax(), keras.layers.Reshape((3,))
    for end in ((softmax,), (keras.layers.Activation("softmax"),), (softmax, sums)):
        model = build(3, *end)
        predictor = load_predictor(save(model, tmp_path), labels=THREE)
        np.testing.assert_allclose(predictor.score(pixels), raw(model, pixels), atol=1e-6)
        assert predictor.remarks == ()


@pytest.mark.parametrize(
    ("outputs", "end", "labels", "message"),
    [
        (3, "sigmoid", THREE, r"sum to 1.*sums of.*ending in sigmoid.*--head multilabel.*Softmax"),
        (3, "relu", THREE, r"probabilities.*Received: 0 to .*If they are logits.*Softmax"),
        (1, "tanh", TWO, r"Received: -.*Activation\('sigmoid'\)"),
        (1, "softmax", TWO, r"always 1"),
        (1, "sigmoid", THREE, r"expected 1 labels.*Received: 3"),
        (3, "softmax", TWO, r"expected 3 labels.*Received: 2"),
    ],
)
def test_what_is_neither_is_refused(
    tmp_path: Path, outputs: int, end: str, labels: tuple[str, ...], message: str
) -> None:
    import keras

    path = save(build(outputs, keras.layers.Activation(end)), tmp_path)
    with pytest.raises(ModelError, match=message):
        load_predictor(path, labels=labels)


def test_tags_get_a_sigmoid_each(tmp_path: Path, pixels: np.ndarray) -> None:
    import keras

    head = get_head("multilabel")
    predictor = load_predictor(save(build(3), tmp_path), labels=THREE, head=head)
    each = build(3, keras.layers.Activation("sigmoid"))
    np.testing.assert_allclose(predictor.score(pixels), raw(each, pixels), atol=1e-6)
    path = save(build(3, keras.layers.Activation("relu")), tmp_path)
    with pytest.raises(ModelError, match=r"0 to 1.*head 'multilabel'.*Activation\('sigmoid'\)"):
        load_predictor(path, labels=THREE, head=head)


def test_numbers_stay_numbers(tmp_path: Path, pixels: np.ndarray) -> None:
    head = get_head("regression")
    predictor = load_predictor(save(build(1), tmp_path), labels=("grams",), head=head)
    np.testing.assert_allclose(predictor.score(pixels), raw(build(1), pixels), atol=1e-6)


def nest(model: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input((24, 24, 3)), model])


@pytest.mark.parametrize("wrap", [lambda model: model, nest])
def test_the_end_of_a_nested_model_is_found(wrap: Callable[[Any], Any]) -> None:
    import keras

    assert find_activation(wrap(build(2))) == "linear"
    assert find_activation(wrap(build(2, keras.layers.Softmax()))) == "softmax"
    assert find_activation(wrap(build(2, keras.layers.LayerNormalization()))) is None


def test_steps_stand_large_numbers() -> None:
    scores = np.array([[-1e4, 1e4]], np.float32)
    for step in ("softmax", "sigmoid"):
        np.testing.assert_allclose(apply_steps(scores, (step,)), [[0, 1]])
    assert apply_steps(scores, ()) is scores
