"""A temperature in a model: folded exactly, the same answers, in every file of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ContractError, ModelError, Tempering, calibrate
from tfxfer.trust.calibration import find_tempering, fold_temperature
from tfxfer.trust.temperature import temper
from tfxfer_heads import Classification, Multilabel, Regression

pytestmark = pytest.mark.versions


def boast(model: Any, pixels: np.ndarray, most: float) -> None:
    """Makes a model as sure of the same answers as its largest logit of some images says."""
    import keras

    layer = model.get_layer("head_dense")
    logits = np.asarray(keras.Model(model.inputs[0], layer.output)(pixels.astype(np.float32)))
    factor = most / np.abs(logits).max()
    layer.set_weights([factor * weights for weights in layer.get_weights()])


def score(model: Any, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(model(pixels.astype(np.float32), training=False))


@pytest.mark.parametrize("head", [Classification(), Multilabel()])
@pytest.mark.parametrize("temperature", [0.25, 3.0])
def test_folding_divides_the_logits(
    make_tiny: Callable[..., Any],
    blobs: Callable[..., Any],
    tmp_path: Path,
    head: Any,
    temperature: float,
) -> None:
    import keras

    model = make_tiny(head=head)
    pixels, _ = blobs(32, 3, seed=0)
    boast(model, pixels, 5)
    tempering = find_tempering(model)
    assert tempering is not None
    before = score(model, pixels)
    fold_temperature(model, tempering, temperature)
    after = score(model, pixels)
    assert after == pytest.approx(temper(before, temperature, link=tempering.link), abs=1e-5)
    assert not np.allclose(after, before, atol=1e-2)
    labels = model.tfxfer_info.labels
    answers = [[x.label for x in head.decode(scores, labels)] for scores in (before, after)]
    assert answers[0] == answers[1]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(score(loaded, pixels), after)


def test_a_boastful_model_is_made_modest_in_place(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    model = make_tiny()
    pixels, _ = blobs(60, 3, seed=3)
    boast(model, pixels, 30)
    before = score(model, pixels)
    # Every fifth answer is wrong.
    truth = (before.argmax(axis=1) + (np.arange(60) % 5 == 0)) % 3
    targets = np.eye(3)[truth]
    found = calibrate(model, (pixels, targets))
    assert found.temperature > 1.5
    after = score(model, pixels)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert after.max(axis=1).mean() < before.max(axis=1).mean() - 0.05
    assert found.val.after.log_loss.value < found.val.before.log_loss.value
    losses = -np.log(after[np.arange(60), truth])
    assert found.val.after.log_loss.value == pytest.approx(losses.mean(), rel=1e-4)
    assert found.test is None
    # What is calibrated already is left as it is, and so is what too few samples tell of.
    assert calibrate(model, (pixels, targets)).temperature == pytest.approx(1, abs=1e-3)
    weights = model.get_layer("head_dense").get_weights()
    few = calibrate(model, (pixels[:19], targets[:19]))
    assert (few.temperature, few.val.samples) == (1, 19)
    assert "19 validation samples are too few" in few.describe()
    for one, other in zip(weights, model.get_layer("head_dense").get_weights(), strict=True):
        assert np.array_equal(one, other)


class Silent(Classification):
    """A head of somebody who says nothing of it."""

    def tempering(self) -> None:  # type: ignore[override]
        return None


class Mistaken(Classification):
    def tempering(self) -> Tempering:
        return Tempering("head_dropout", "softmax")


class Nonsense(Classification):
    def tempering(self) -> Any:
        return "softmax"


def test_heads_that_say_nothing_are_left_alone(make_tiny: Callable[..., Any]) -> None:
    assert find_tempering(make_tiny(head=Silent())) is None
    assert find_tempering(make_tiny(head=Regression())) is None
    # At another threshold than 0.5 an answer depends on how sure the model is.
    assert find_tempering(make_tiny(head=Multilabel(threshold=0.3))) is None
    assert find_tempering(make_tiny(head=Multilabel())) is not None
    with pytest.raises(ModelError, match=r"Received: head='classification', whose `tempering\(\)`"):
        calibrate(make_tiny(head=Silent()), (np.zeros((1, 32, 32, 3)), np.eye(3)[:1]))


def test_another_head_on_the_same_features_is_nobodys_to_temper(
    make_tiny: Callable[..., Any],
) -> None:
    import keras

    model = make_tiny()
    features = model.get_layer("head_dropout").input
    own = keras.layers.Dense(3, activation="softmax", name="own")(features)
    assert find_tempering(keras.Model(model.inputs, own)) is None


def test_a_head_that_names_no_layer_of_weights_is_blamed(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny(head=Mistaken())
    tempering = find_tempering(model)
    assert tempering is not None
    with pytest.raises(ContractError, match=r"a layer with weights. Received: layer='head_dr"):
        fold_temperature(model, tempering, 2.0)
    with pytest.raises(ContractError, match=r"a tfxfer.Tempering or None .* Received: 'softmax'"):
        find_tempering(make_tiny(head=Nonsense()))
