"""Trainings made to fail, each noticed; and ten healthy ones, of which nothing is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import ModelError, Phase, UsageError, Watch, fit

pytestmark = pytest.mark.versions


def draw(
    count: int, classes: int, *, seed: int, apart: float = 2.0, shares: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns clouds of points, one for each class, and one-hots."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(classes, count, p=shares)
    centres = apart * np.eye(8)[:classes]
    points = rng.normal(0, 1, (count, 8)) + centres[numbers]
    return points.astype(np.float32), np.eye(classes, dtype=np.float32)[numbers]


def train(
    watch: Watch | None,
    *,
    classes: int = 3,
    rate: float = 0.01,
    smoothing: float = 0.0,
    epochs: int = 12,
    seed: int = 0,
    apart: float = 2.0,
    shares: Any = None,
    units: int = 16,
    count: int = 240,
) -> Any:
    """Trains a small network with Keras alone; returns it."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
        metrics=["accuracy"],
    )
    points, targets = draw(count, classes, seed=seed, apart=apart, shares=shares)
    val = draw(120, classes, seed=seed + 1000, apart=apart, shares=shares)
    callbacks = [] if watch is None else [watch]
    model.fit(points, targets, validation_data=val, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def watch_of(action: str = "warn", *, classes: int = 3, seed: int = 0, **options: Any) -> Any:
    """Returns a watch that knows the validation samples of `train`, and what it tells."""
    lines: list[str] = []
    val = draw(120, classes, seed=seed + 1000, **options)
    return Watch(action, validation=val, tell=lines.append), lines


SKEWED = [0.7, 0.2, 0.1]


@pytest.mark.parametrize("action", ["warn", "stop", "rollback"])
def test_a_collapse_onto_one_label_is_noticed_once(action: str) -> None:
    # Nothing tells the classes apart, so that the most frequent one is all there is to learn.
    watch, lines = watch_of(action, apart=0.0, shares=SKEWED)
    model = train(watch, apart=0.0, shares=SKEWED, rate=0.003, units=2)
    (finding,) = [each for each in watch.findings if each.kind == "collapse"]
    assert len([line for line in lines if "collapsed" in line]) == 1
    assert "--balance weights" in finding.remedy
    assert finding.action == (None if action == "warn" else action)
    epochs = len(model.history.history["loss"])
    assert epochs == (12 if action == "warn" else finding.epoch + 1)


@pytest.mark.parametrize("rate", [1e3, math.inf])
def test_an_absurd_rate_diverges_and_is_rolled_back(rate: float) -> None:
    watch, lines = watch_of("rollback")
    losses: list[float] = []

    class Spoil(keras.callbacks.Callback):
        """A healthy training that gets an absurd rate after three epochs."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 3:
                self.model.optimizer.learning_rate.assign(rate)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            losses.append(logs["val_loss"])

    model = make(watch, Spoil())
    (finding,) = watch.findings
    assert (finding.kind, finding.action) == ("divergence", "rollback")
    assert "lower the learning rate" in finding.remedy
    assert "back to the best epoch" in lines[0]
    points, targets = draw(120, 3, seed=1000)
    left = model.evaluate(points, targets, verbose=0)[0]
    assert left == pytest.approx(min(losses[:3]), rel=1e-4)
    assert not losses[-1] < 2 * left


class BlindAt(keras.callbacks.Callback):
    """Gives one layer weights of NaN while an epoch is validated, and training its own back."""

    def __init__(self, epoch: int, *, layer: int | str = -1, value: float = math.nan) -> None:
        super().__init__()
        self._blind, self._layer, self._value = epoch, layer, value
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_test_begin(self, logs: Any = None) -> None:
        layer = self._find()
        self._kept = layer.get_weights()
        if self._epoch == self._blind:
            layer.set_weights([np.full_like(values, self._value) for values in self._kept])

    def on_test_end(self, logs: Any = None) -> None:
        self._find().set_weights(self._kept)

    def _find(self) -> Any:
        if isinstance(self._layer, str):
            return self.model.get_layer(self._layer)
        return self.model.layers[self._layer]


@pytest.mark.parametrize("value", [math.nan, 3e38])
def test_a_loss_of_validation_alone_is_rolled_back(value: float) -> None:
    watch, lines = watch_of("rollback")
    losses: list[dict[str, float]] = []
    listen = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: losses.append(dict(logs)))
    model = make(BlindAt(3, value=value), listen, watch)
    (finding,) = watch.findings
    assert (finding.kind, finding.epoch, finding.action) == ("divergence", 3, "rollback")
    assert "the validation loss is nan; back to the best epoch. Lower" in lines[0]
    assert math.isfinite(losses[3]["loss"])  # which alone would have said nothing
    assert len(losses) == 4
    points, targets = draw(120, 3, seed=1000)
    left = model.evaluate(points, targets, verbose=0)[0]
    assert left == pytest.approx(min(logs["val_loss"] for logs in losses[:3]), rel=1e-4)


def test_without_an_epoch_to_go_back_to_nothing_is_rolled_back() -> None:
    watch, lines = watch_of("rollback")
    make(BlindAt(0), watch)
    assert watch.findings[0].action == "stop"
    assert "the validation loss is nan; stopped. " in lines[0]


def make(*callbacks: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    points, targets = draw(240, 3, seed=0)
    val = draw(120, 3, seed=1000)
    model.fit(points, targets, validation_data=val, epochs=12, verbose=0, callbacks=[*callbacks])
    return model


def test_overfitting_is_noticed() -> None:
    watch, _ = watch_of(apart=0.5)
    train(watch, apart=0.5, count=40, units=256, rate=0.01, epochs=40)
    assert [each.kind for each in watch.findings] == ["overfitting"]
    assert "--augment strong" in watch.findings[0].remedy


def test_a_plateau_is_noticed_in_every_training() -> None:
    watch, lines = watch_of()
    for count in (1, 2):
        train(watch, rate=1e-9, epochs=10)
        assert [each.kind for each in watch.findings] == ["plateau"]
        assert "--unfreeze-from" in watch.findings[0].remedy
        assert len(lines) == count


def test_a_falling_slice_is_noticed() -> None:
    # At night the first two classes are named the other way round: what day learns, night loses.
    points, targets = draw(240, 2, seed=0, apart=4.0)
    val, truth = draw(200, 2, seed=1000, apart=4.0)
    night = np.arange(200) % 4 == 0
    truth[night] = truth[night][:, ::-1]
    lines: list[str] = []
    groups = np.where(night, "night", "day").tolist()
    watch = Watch(validation=(val, truth), groups=groups, tell=lines.append)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
    # It starts with night's names.
    kernel = np.zeros((8, 2), np.float32)
    kernel[0, 1] = kernel[1, 0] = 1
    model.layers[0].set_weights([kernel, np.zeros(2, np.float32)])
    model.compile(keras.optimizers.Adam(0.04), "categorical_crossentropy", metrics=["accuracy"])
    data = (val, truth)
    model.fit(points, targets, validation_data=data, epochs=8, verbose=0, callbacks=[watch])
    (finding,) = [each for each in watch.findings if each.kind == "falling_slice"]
    assert finding.message.startswith("slice 'night' falls")


PHASES = (
    Phase("head", "backbone", 3, 3e-2, warmup=0),
    Phase("absurd", "block_3", 4, 1e-3, warmup=0),
    Phase("again", "backbone", 2, 1e-2, warmup=0),
)

HEALTHY: tuple[dict[str, Any], ...] = (
    {"seed": 1},
    {"seed": 2, "smoothing": 0.1},
    {"seed": 3, "rate": 0.003, "smoothing": 0.1},
    {"seed": 4, "classes": 6},
    {"seed": 5, "shares": SKEWED},
    {"seed": 6, "shares": [0.9, 0.05, 0.05], "apart": 4.0},
    {"seed": 7, "classes": 2, "apart": 1.0},
    {"seed": 8, "apart": 6.0, "epochs": 20},
    {"seed": 9, "rate": 0.02},
    {"seed": 10, "classes": 2, "shares": [0.8, 0.2], "smoothing": 0.1},
)


@pytest.mark.parametrize("options", HEALTHY, ids=lambda options: str(options["seed"]))
def test_of_a_healthy_training_nothing_is_said(options: dict[str, Any]) -> None:
    shared = {key: value for key, value in options.items() if key in ("seed", "classes", "apart",
                                                                      "shares")}  # fmt: skip
    watch, lines = watch_of("rollback", **shared)
    model = train(watch, **options)
    assert lines == []
    assert len(model.history.history["loss"]) == options.get("epochs", 12)
    assert max(model.history.history["val_accuracy"]) > 0.65


def test_in_a_schedule_a_rollback_ends_the_phase_alone(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    val = blobs(24, 3, seed=1)
    lines: list[str] = []
    model = make_tiny()

    class Spoil(keras.callbacks.Callback):
        """Makes a phase of a healthy training absurd."""

        def on_phase_begin(self, name: str) -> None:
            self.is_absurd = name == "absurd"

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.is_absurd:
                layer = self.model.get_layer("head_dense")
                layer.bias.assign(np.full(3, np.nan, np.float32))

    def train_phases(watch: Watch) -> Any:
        return fit(
            model,
            (blobs(48, 3, seed=0), val),
            schedule=PHASES,
            callbacks=[Spoil(), watch],
            batch_size=8,
            verbose=0,
        )

    watch = Watch("rollback", validation=val, tell=lines.append)
    history = train_phases(watch)
    (finding,) = watch.findings
    assert (finding.kind, finding.phase, finding.epoch) == ("divergence", "absurd", 3)
    assert [(x.name, x.epochs) for x in history.state.records] == [
        ("head", 3),
        ("absurd", 1),
        ("again", 2),
    ]
    assert [x.stopped for x in history.state.records] == [None, "callback", None]
    assert history.state.best_phase in ("head", "again")
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    # Only warned, or stopped, the training ends as it did without a watch.
    stopped = Watch("stop", tell=lines.append)
    with pytest.raises(ModelError, match="expected a finite loss"):
        train_phases(stopped)
    assert stopped.findings[0].action == "stop"


@pytest.mark.parametrize("first", [3, 0])
def test_in_a_schedule_validation_alone_is_rolled_back_to_an_epoch_that_is_there(
    first: int, make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    watch = Watch("rollback", tell=lambda line: None)

    def train_phases() -> Any:
        return fit(
            make_tiny(),
            (blobs(48, 3, seed=0), blobs(24, 3, seed=1)),
            schedule=PHASES,
            callbacks=[BlindAt(first, layer="head_dense"), watch],
            batch_size=8,
            verbose=0,
        )

    if first:
        history = train_phases()
        assert [(x.name, x.epochs) for x in history.state.records] == [
            ("head", 3),
            ("absurd", 1),
            ("again", 2),
        ]
    else:
        with pytest.raises(ModelError, match="no epoch before it had a finite loss") as caught:
            train_phases()
        # Both name one rate, that of the epoch: the phase's own is its peak.
        (said,) = (word for word in watch.findings[0].remedy.split(", ") if "now" in word)
        assert said in str(caught.value)
    (finding,) = watch.findings
    assert (finding.kind, finding.epoch) == ("divergence", first)
    assert finding.action == ("rollback" if first else "stop")


def test_each_phase_that_diverges_is_rolled_back(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    data = (blobs(48, 3, seed=0), blobs(24, 3, seed=1))
    phases = tuple(
        Phase(name, "backbone", epochs, 3e-2, warmup=0)
        for name, epochs in (("head", 2), ("absurd", 3), ("worse", 3))
    )
    model = make_tiny()

    class Spoil(keras.callbacks.Callback):
        """Makes each phase but the first absurd."""

        def on_phase_begin(self, name: str) -> None:
            self.is_absurd = name != "head"

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.is_absurd:
                layer = self.model.get_layer("head_dense")
                layer.bias.assign(np.full(3, np.nan, np.float32))

    watch = Watch("rollback", tell=lambda line: None)
    for _ in range(2):  # a second training starts afresh
        fit(model, data, schedule=phases, callbacks=[Spoil(), watch], batch_size=8, verbose=0)
        assert [(x.kind, x.phase, x.action) for x in watch.findings] == [
            ("divergence", "absurd", "rollback"),
            ("divergence", "worse", "rollback"),
        ]
        assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_what_nothing_was_done_about_is_said_once_in_all_phases() -> None:
    lines: list[str] = []
    watch = Watch(tell=lines.append)
    watch.set_model(make())
    watch.on_train_begin()
    for name in ("head", "all"):
        watch.on_phase_begin(name)
        watch.on_epoch_end(0, {"loss": math.nan})
    assert len(lines) == len(watch.findings) == 1


def test_arguments_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match=r"stop, rollback as on_collapse. Received: .*'panic'"):
        Watch("panic")
    with pytest.raises(UsageError, match=r"one group for each .* 1 groups, 0 samples"):
        Watch(groups=["day"])
    with pytest.raises(UsageError, match=r"expected validation samples .* Received: 3"):
        Watch(validation=3)  # type: ignore[arg-type]
    three, four = np.zeros((3, 8)), np.zeros(4)
    with pytest.raises(UsageError, match=r"as many of each. Received: 3 inputs, 4 targets"):
        Watch(validation=(three, four))
    with pytest.raises(UsageError, match=r"as many of each. Received: 4 ids, 3 mask, 4 targets"):
        Watch(validation=({"ids": four, "mask": three}, four))
    with pytest.raises(UsageError, match=r"Received: inputs=a list"):
        Watch(validation=([[1], [1, 2]], four))
    with pytest.raises(UsageError, match=r"Received: groups='day'"):
        Watch(validation=(three, three), groups="day")
    with pytest.raises(UsageError, match=r"a function .* Received: tell='print'"):
        Watch(tell="print")  # type: ignore[arg-type]
    Watch(validation=([[1], [2]], [0, 1]), groups=np.array(["day", "night"]))
