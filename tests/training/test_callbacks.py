from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ContractError, Monitor, Phase, fit
from tfxfer.training.callbacks import BestWeights, Bridge

pytestmark = pytest.mark.versions

PHASES = (
    Phase("head", "backbone", 2, 3e-2),
    Phase("up", "block_1", 2, 5e-3, stage_decay=0.5),
)


def train(model: Any, data: Any, **options: Any) -> Any:
    return fit(model, data, **({"schedule": PHASES, "batch_size": 8, "verbose": 0} | options))


class Watched:
    """One training of two phases, the second with a MultiOptimizer, under many callbacks."""

    def __init__(self, make_tiny: Callable[..., Any], data: Any, folder: Path) -> None:
        import keras

        watched = self
        self.folder, self.events, self.scores = folder, [], []  # type: ignore[var-annotated]
        self.pixels = next(iter(data[1]))[0]

        class Recorder(keras.callbacks.Callback):
            def on_train_begin(self, logs: Any = None) -> None:
                watched.events.append("begin")
                watched.params = dict(self.params)

            def on_train_end(self, logs: Any = None) -> None:
                watched.events.append("end")

            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                watched.events.append(epoch)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                assert self.model is watched.model
                watched.scores.append(np.asarray(self.model(watched.pixels, training=False)))

        files = keras.callbacks.ModelCheckpoint
        self.model = make_tiny()
        self.history = train(
            self.model,
            data,
            callbacks=[
                Recorder(),
                files(folder / "{epoch}.keras"),
                files(folder / "{epoch}.weights.h5", save_weights_only=True),
                files(folder / "best.keras", monitor="val_accuracy", save_best_only=True),
                files(
                    folder / "step-{epoch}-{batch}.weights.h5", save_freq=2, save_weights_only=True
                ),
                keras.callbacks.CSVLogger(str(folder / "log.csv")),
                keras.callbacks.TensorBoard(str(folder / "board")),
                # Mode "auto" asks the full model for the metric's direction.
                keras.callbacks.EarlyStopping("val_accuracy", patience=100),
            ],
        )


@pytest.fixture(scope="module")
def watched(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Watched:
    return Watched(make_tiny, pair(), tmp_path_factory.mktemp("watched"))


def test_callbacks_see_one_training(watched: Watched) -> None:
    assert watched.events == ["begin", 0, 1, 2, 3, "end"]
    assert watched.params["epochs"] == 4


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_a_checkpoint_of_any_phase_predicts_images(
    watched: Watched, make_tiny: Callable[..., Any], epoch: int
) -> None:
    import keras

    expected = watched.scores[epoch - 1]
    whole = keras.models.load_model(watched.folder / f"{epoch}.keras")
    assert whole.input_shape == (None, 32, 32, 3)
    assert whole.optimizer.built
    fresh = make_tiny(seed=5)
    fresh.load_weights(watched.folder / f"{epoch}.weights.h5")
    for model in (whole, fresh):
        scores = np.asarray(model(watched.pixels, training=False))
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        # Every epoch moved further than that.
        for other in {0, 1, 2, 3} - {epoch - 1}:
            assert np.abs(scores - watched.scores[other]).max() > 1e-5


def test_a_checkpoint_within_an_epoch_is_the_full_model(
    watched: Watched, make_tiny: Callable[..., Any]
) -> None:
    files = sorted(watched.folder.glob("step-*.weights.h5"))
    assert len(files) == 6
    model = make_tiny(seed=5)
    model.load_weights(files[0])
    assert np.isfinite(np.asarray(model(watched.pixels, training=False))).all()


def test_the_best_checkpoint_is_the_model_that_remains(watched: Watched) -> None:
    import keras

    best = keras.models.load_model(watched.folder / "best.keras")
    values = watched.history.history["val_accuracy"]
    np.testing.assert_allclose(
        np.asarray(best(watched.pixels, training=False)),
        watched.scores[int(np.argmax(values))],
        atol=1e-6,
    )


def test_csv_and_history_have_every_epoch_and_every_rate(watched: Watched) -> None:
    with (watched.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    history = watched.history.history
    keys = {"learning_rate", "learning_rate_block_2", "learning_rate_block_3"}
    assert keys == {key for key in history if key.startswith("learning_rate")}
    assert set(rows[0]) == {"epoch", *history}
    for key, values in history.items():
        assert [float(row[key]) for row in rows] == pytest.approx(values)
    assert history["learning_rate_block_3"][:2] == [0.0, 0.0]
    third = history["learning_rate"][2]
    assert history["learning_rate_block_3"][2] == pytest.approx(third)
    assert third > 0
    assert history["learning_rate_block_2"][2] == pytest.approx(third / 2)


def test_tensorboard_sees_one_training(watched: Watched) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow import make_ndarray

    for part, tag in (("train", "epoch_learning_rate_block_2"), ("validation", "epoch_loss")):
        folder = watched.folder / "board" / part
        assert len(list(folder.iterdir())) == 1  # a second set_model would have begun another
        events = EventAccumulator(str(folder))
        events.Reload()
        assert [event.step for event in events.Tensors(tag)] == [0, 1, 2, 3]
        last = float(make_ndarray(events.Tensors(tag)[-1].tensor_proto))
        key = tag.removeprefix("epoch_") if part == "train" else "val_loss"
        assert last == pytest.approx(watched.history.history[key][-1])


def test_early_stopping_ends_a_phase_and_starts_fresh_in_the_next(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    import keras

    # Nothing is better by 10: the first epoch of all is the best.
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=10)
    phases = [Phase(name, "backbone", 5, 1e-3) for name in ("one", "two")]
    state = train(make_tiny(), pair(), schedule=phases, callbacks=[stop]).state
    # Without fresh patience the second phase would end after one epoch.
    assert [record.epochs for record in state.records] == [3, 2]


@pytest.mark.parametrize(("stage", "moment"), [(None, "epoch"), ("backbone", "batch")])
def test_any_other_stop_ends_the_whole_training(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], stage: str | None, moment: str
) -> None:
    import keras

    def stop(number: int, logs: Any = None) -> None:
        if number == 1:
            callback.model.stop_training = True

    callback = keras.callbacks.LambdaCallback(**{f"on_{moment}_end": stop})
    if moment == "batch":
        callback = keras.callbacks.Callback()
        callback.on_train_batch_end = stop
    phases = [Phase("one", stage, 3, 1e-3), Phase("two", "backbone", 3, 1e-3)]
    state = train(make_tiny(), pair(), schedule=phases, callbacks=[callback]).state
    assert [record.epochs for record in state.records] == [2 if moment == "epoch" else 1]


@pytest.mark.parametrize("stage_decay", [1.0, 0.5])
def test_callbacks_that_set_the_rate_set_that_of_every_stage(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], stage_decay: float
) -> None:
    import keras

    phase = Phase("up", "block_1", 3, 1e-3, stage_decay=stage_decay)
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        keras.callbacks.ReduceLROnPlateau("val_accuracy", factor=0.1, patience=1, min_delta=10),
    ]
    history = train(make_tiny(), pair(), schedule=[phase], callbacks=callbacks).history
    # Halved before each epoch, and a tenth after each but the first. Read before the plateau acts.
    expected = [5e-4, 2.5e-4, 1.25e-5]
    assert history["learning_rate"] == pytest.approx(expected)
    if stage_decay < 1:
        assert history["learning_rate_block_3"] == pytest.approx(expected)
        assert history["learning_rate_block_2"] == pytest.approx([rate / 2 for rate in expected])


def test_the_patience_of_a_plateau_restarts_with_a_phase() -> None:
    import keras

    plateau = keras.callbacks.ReduceLROnPlateau(patience=3)
    stopping = keras.callbacks.EarlyStopping(patience=3)
    bridge = Bridge([plateau, stopping], keras.Sequential([keras.layers.Dense(1)]))
    bridge.start_phase(dict)
    plateau.wait = plateau.cooldown_counter = stopping.wait = 2
    plateau.best = 0.5
    bridge.start_phase(dict)
    assert (plateau.wait, plateau.cooldown_counter, stopping.wait) == (0, 0, 0)
    assert plateau.best == 0.5


class Weights:
    """Stands for a model: its weights, and whether to stop."""

    def __init__(self) -> None:
        self.value, self.stop_training = 0, False

    def get_weights(self) -> list[int]:
        return [self.value]

    def set_weights(self, weights: list[int]) -> None:
        (self.value,) = weights


def run_epochs(best: BestWeights, model: Weights, logs: list[tuple[float, float]]) -> None:
    for epoch, (accuracy, loss) in enumerate(logs):
        model.value = epoch
        best.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss})


@pytest.mark.parametrize(
    ("mode", "logs", "expected"),
    [
        ("max", [(0.5, 1), (0.7, 1), (0.6, 0)], 1),
        ("min", [(0.5, 1), (0.7, 1), (0.6, 0)], 0),
        ("max", [(0.5, 1), (0.5, 0.9), (0.5, 1.1)], 1),  # a tie goes to the lower loss
        ("max", [(0.5, 1), (0.9, np.nan), (0.4, 1)], 0),  # NaN scores guess one class
        ("max", [(np.nan, np.nan), (0.1, 9)], 1),
    ],
)
def test_the_best_epoch_is_kept(mode: Any, logs: Any, expected: int) -> None:
    model = Weights()
    best = BestWeights(model, Monitor("val_accuracy", mode), 100)
    best.set_model(model)
    best.start_phase("one", None)
    run_epochs(best, model, logs)
    best.restore()
    assert (model.value, best.epoch, best.phase) == (expected, expected, "one")


@pytest.mark.parametrize(
    ("images", "logs", "expected"),
    [
        # The standard error of 0.8 is 0.04 with 100 images, and 0.004 with 10,000.
        (100, [(0.77, 0.5), (0.8, 0.6)], 0),
        (10_000, [(0.77, 0.5), (0.8, 0.6)], 1),
        (100, [(0.8, 0.6), (0.77, 0.5)], 1),
        (10_000, [(0.8, 0.6), (0.77, 0.5)], 0),
        (100, [(0.75, 0.5), (0.8, 0.6)], 1),
        (100, [(0.77, 0.5), (0.8, 0.6), (0.76, 0.4)], 2),
        (100, [(0.77, 0.5), (0.79, 0.6), (0.815, 0.7)], 2),  # a peak that leaves the kept behind
        # Of few samples the last epoch is kept, whatever its loss: 8 of 16 are within two standard
        # errors, 0.21, of 11, and 4 are not.
        (16, [(0.6875, 0.5), (0.5, 0.9)], 1),
        (16, [(0.6875, 0.5), (0.25, 0.4)], 0),
        (16, [(0.25, 0.1), (0.75, 0.9), (0.5625, 2.0)], 2),
        (9, [(1.0, 0.1), (8 / 9, 0.9)], 1),  # all of 9 right is no certainty
        (9, [(1.0, 0.1), (5 / 9, 0.9)], 0),
        (50, [(0.6, 0.5), (0.58, 0.9)], 0),
        (49, [(0.6, 0.5), (0.58, 0.9)], 1),
    ],
)
def test_of_epochs_as_good_as_the_best_the_loss_decides_or_of_few_samples_the_schedule(
    images: int, logs: Any, expected: int
) -> None:
    model = Weights()
    best = BestWeights(model, Monitor("val_accuracy", "max", share=True), images)
    best.set_model(model)
    best.start_phase("one", None)
    run_epochs(best, model, logs)
    best.restore()
    assert model.value == best.epoch == expected
    # What an earlier process knew decides like what this one saw.
    for cut in range(1, len(logs)):
        first, second = Weights(), Weights()
        earlier = BestWeights(first, Monitor("val_accuracy", "max", share=True), images)
        earlier.set_model(first)
        run_epochs(earlier, first, logs[:cut])
        later = BestWeights(second, Monitor("val_accuracy", "max", share=True), images)
        later.set_model(second)
        assert earlier.best is not None
        assert earlier.epoch is not None
        later.continue_from(earlier.best, earlier.peak, earlier.epoch, "one")
        run_epochs(later, second, [(-1.0, 9.0)] * cut + list(logs[cut:]))
        assert later.epoch == expected


def test_patience_restarts_with_each_phase_and_the_best_does_not() -> None:
    model = Weights()
    best = BestWeights(model, Monitor("val_accuracy", "max"), 100)
    best.set_model(model)
    best.start_phase("one", 2)
    run_epochs(best, model, [(0.9, 1), (0.1, 1)])
    assert not model.stop_training
    best.start_phase("two", 2)
    run_epochs(best, model, [(0.2, 1)])
    assert not model.stop_training
    run_epochs(best, model, [(0.3, 1)])
    assert model.stop_training
    assert best.phase == "one"


def test_a_head_that_monitors_nothing_there_is_named() -> None:
    best = BestWeights(Weights(), Monitor("val_f1", "max"), 100)
    with pytest.raises(ContractError, match="val_f1"):
        best.score({"val_loss": 1.0})
