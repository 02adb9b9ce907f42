"""Each head on random features with Keras: it learns, in float32, with sample weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer_heads import Classification, Multilabel, Regression

pytestmark = pytest.mark.versions

IMAGES, CHANNELS = 256, 16  # 8 steps an epoch: each fit takes about a second


def make_labels(head: str, features: np.ndarray) -> list[str]:
    """Raw labels that the first channels determine."""
    if head == "classification":
        return [("ants", "bees", "wasps")[i] for i in features[:, :3].argmax(axis=1)]
    if head == "multilabel":
        return ["|".join(np.array(["a", "b"])[row > 0]) for row in features[:, :2]]
    return [repr(float(1000 + 300 * value)) for value in features[:, 0]]


def fit(head: Any, *, epochs: int = 20, **options: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(0)
    features = np.random.default_rng(0).normal(size=(IMAGES, CHANNELS)).astype(np.float32)
    raw = make_labels(head.name, features)
    labels = head.fit_labels(raw)
    targets = head.encode(raw, labels)
    head.prepare(targets)
    inputs = keras.Input((CHANNELS,))
    model = keras.Model(inputs, head.build(inputs, labels))
    model.compile(keras.optimizers.Adam(0.03), loss=head.loss(), metrics=head.metrics())
    history = model.fit(features, targets, epochs=epochs, batch_size=32, verbose=0, **options)
    return model, history.history, features, targets


@pytest.mark.parametrize("head", [Classification(), Multilabel()])
def test_learns_labels(head: Any) -> None:
    model, history, features, targets = fit(head)
    scores = model.predict(features, verbose=0)
    raw = make_labels(head.name, features)
    answers = [p.label for p in head.decode(scores, head.fit_labels(raw))]
    assert np.mean(np.array(answers) == np.array(raw)) > 0.9
    # Untrained it is at most a little better than chance: the bound above can fail.
    untrained, *_ = fit(head, epochs=1, steps_per_epoch=1)
    before = untrained.evaluate(features, targets, verbose=0, return_dict=True)["accuracy"]
    assert before < 0.8 < history["accuracy"][-1]


@pytest.mark.parametrize("head", [Classification(), Multilabel(), Regression(dropout=0)])
def test_outside_of_tests_a_head_starts_from_zeros_and_learns(
    head: Any, random_heads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spread(epochs: int) -> float:
        model, _, features, _ = fit(head, epochs=epochs)
        return float(np.ptp(model.predict(features, verbose=0), axis=0).max())

    assert spread(0) > 0.1  # random weights, as other tests want them
    monkeypatch.setattr("tfxfer_heads.dense.KERNEL_INITIALIZER", random_heads)
    assert spread(0) < 1e-6
    assert spread(5) > 0.1


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_regression_learns_alike_in_every_unit(unit: float) -> None:
    class Scaled(Regression):
        def encode(self, raw: Any, labels: Any) -> np.ndarray:
            return super().encode(raw, labels) * np.float32(unit)

    head = Scaled(dropout=0)
    model, _, features, targets = fit(head)
    error = np.abs(model.predict(features, verbose=0) - targets).mean() / unit
    # Targets are 1000 ± 300; guessing the mean errs by about 240.
    assert np.abs(targets - targets.mean()).mean() / unit > 200
    assert error < 10


def test_regression_without_prepare_barely_moves() -> None:
    """The negative control of the test above: the standardised units are what trains it."""

    class Raw(Regression):
        def prepare(self, targets: np.ndarray) -> None:
            pass

    model, _, features, targets = fit(Raw(dropout=0))
    assert np.abs(model.predict(features, verbose=0) - targets).mean() > 500


def test_regression_weighs_outputs_of_unlike_units_alike() -> None:
    head = Regression(mean=[0, 0], std=[1, 1000])
    loss = head.loss()
    targets = np.zeros((1, 2), np.float32)
    small = float(loss(targets, np.float32([[0.5, 0]])))
    large = float(loss(targets, np.float32([[0, 500]])))
    assert small == pytest.approx(large)
    assert small == pytest.approx(0.5 * 0.5**2 / 2)


@pytest.mark.parametrize("head", [Classification(), Multilabel(), Regression()])
def test_layers_are_named_and_float32_under_bfloat16(head: Any) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((CHANNELS,))
        outputs = head.build(inputs, ["a", "b"])
        control = keras.layers.Dense(2)(inputs)
        model = keras.Model(inputs, outputs)
        assert control.dtype == "bfloat16"
        assert outputs.dtype == "float32"
        assert outputs.shape == (None, 2)
        assert all(layer.name.startswith("head_") for layer in model.layers[1:])
        assert np.asarray(model(np.ones((1, CHANNELS), np.float32))).dtype == np.float32
        history = fit(head, epochs=1)[1]
        assert np.isfinite(history["loss"]).all()
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("head", [Classification(), Multilabel(), Regression()])
def test_loss_and_metrics_take_sample_weights(head: Any) -> None:
    weights = np.zeros(IMAGES, np.float32)
    weights[:32] = 1
    model, _, features, targets = fit(head, epochs=1)
    measured = model.evaluate(features, targets, sample_weight=weights, verbose=0, batch_size=256)
    alone = model.evaluate(features[:32], targets[:32], verbose=0)
    everything = model.evaluate(features, targets, verbose=0)
    # The mean runs over all 256 images, of which 32 weigh anything.
    assert measured[0] == pytest.approx(alone[0] * 32 / 256, rel=1e-4)
    assert measured[0] != pytest.approx(everything[0], rel=1e-2)


@pytest.mark.parametrize("head", [Classification(), Multilabel(), Regression()])
def test_monitor_is_among_the_logs_and_the_best_epoch_is_the_right_end(head: Any) -> None:
    _, history, *_ = fit(head, epochs=8, validation_split=0.25)
    values = history[head.monitor.name]
    assert (values[-1] > values[0]) == (head.monitor.mode == "max")


@pytest.mark.parametrize("head", [Classification(), Multilabel(), Regression()])
def test_a_compiled_model_is_saved_and_loaded(head: Any, tmp_path: Path) -> None:
    model, _, features, targets = fit(head, epochs=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(features, verbose=0), model.predict(features, verbose=0)
    )
    assert loaded.evaluate(features, targets, verbose=0) == pytest.approx(
        model.evaluate(features, targets, verbose=0)
    )


def test_a_regression_model_loads_for_inference_without_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, *_ = fit(Regression(), epochs=1)
    model.save(tmp_path / "model.keras")
    for name in [name for name in sys.modules if name.startswith("tfxfer_heads")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("keras.src.saving.object_registration.GLOBAL_CUSTOM_OBJECTS", {})
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.layers[-1].name == "head_units"
    # The loss is what needs the plugin: the control that it is out of reach here.
    with pytest.raises((TypeError, ImportError)):
        keras.models.load_model(tmp_path / "model.keras")
