from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    Augmentation,
    Cache,
    Control,
    DataError,
    ModelError,
    Phase,
    ScheduleError,
    UsageError,
    fit,
    from_scratch,
    two_phase,
)
from tfxfer.data.draw import EpochDraw
from tfxfer.frontier.fill import fill_frontiers
from tfxfer.schedule import FitState
from tfxfer.stages import freeze_to, get_info, map_layers_to_stages
from tfxfer.training.plan import plan_fit

SCHEDULE = (
    Phase("head", "backbone", 4, 5e-2),
    Phase("fine_tune", "block_1", 2, 5e-3),
)
# Cached and uncached batches are the same images; what differs is rounding, in another order.
EXACT = 1e-4
# float16 keeps 11 bits of an activation.
HALF = 5e-3
EXACT_CACHE = Cache(dtype="float32")


def weights_of(model: Any) -> dict[str, np.ndarray]:
    return {item.path: np.array(item) for item in model.weights}


def distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    assert first.keys() == second.keys()
    return max(float(np.abs(first[path] - second[path]).max()) for path in first)


def train(model: Any, data: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "schedule": SCHEDULE,
        "augment": "none",
        "batch_size": 8,
        "cache": EXACT_CACHE,
        "verbose": 0,
        "seed": 3,
    }
    return fit(model, data, **(settings | options))


class Run:
    """One training of the tiny model, with its weights before and after each phase."""

    def __init__(self, make_tiny: Callable[..., Any], data: Any, **options: Any) -> None:
        self.model = make_tiny()
        self.snapshots = [weights_of(self.model)]
        self.states: list[FitState] = []
        control = replace(options.pop("control", Control()), on_phase_end=self.keep)
        self.history = train(self.model, data, control=control, **options)
        self.weights = weights_of(self.model)

    def keep(self, state: FitState) -> None:
        self.snapshots.append(weights_of(self.model))
        self.states.append(state)


@pytest.fixture(scope="module")
def run(make_tiny: Callable[..., Any], images: Any) -> Callable[..., Run]:
    return lambda data=images, **options: Run(make_tiny, data, **options)


@pytest.fixture(scope="module")
def reference(run: Callable[..., Run]) -> Run:
    return run()


def test_training_from_pixels_gives_the_weights_of_training_from_the_cache(
    run: Callable[..., Run], reference: Run
) -> None:
    assert distance(run(cache=False).weights, reference.weights) < EXACT


def test_a_tf_dataset_and_a_cache_filled_by_keras_give_the_same_weights(
    run: Callable[..., Run], reference: Run, images: Any
) -> None:
    pair = (images.train.dataset(batch_size=5), images.val.dataset(batch_size=5))
    found = run(pair, cache=replace(EXACT_CACHE, use_litert=False), schedule=SCHEDULE[:1])
    assert distance(found.weights, reference.snapshots[1]) < EXACT


def test_a_float16_cache_differs_by_its_rounding_only(
    run: Callable[..., Run], reference: Run
) -> None:
    found = distance(run(cache=Cache(dtype="float16")).weights, reference.weights)
    assert EXACT / 10 < found < HALF


def test_another_seed_fails_both_tolerances(run: Callable[..., Run], reference: Run) -> None:
    other = run(seed=4, schedule=SCHEDULE[:1])
    assert distance(other.weights, reference.snapshots[1]) > 2 * HALF


def test_a_perturbed_cache_fails_both_tolerances(
    run: Callable[..., Run], reference: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*args: Any, **options: Any) -> Any:
        arrays = fill_frontiers(*args, **options)
        for array in arrays["train"].values():
            array += 0.1 * np.random.default_rng(0).standard_normal(array.shape, np.float32)
        return arrays

    monkeypatch.setattr("tfxfer.training.activations.fill_frontiers", fill)
    perturbed = run(schedule=SCHEDULE[:1])
    assert distance(perturbed.weights, reference.snapshots[1]) > 2 * HALF


def test_augmented_views_are_the_same_from_pixels_and_from_the_cache(
    run: Callable[..., Run], reference: Run
) -> None:
    options = {"augment": Augmentation("light", views=2), "schedule": SCHEDULE[:1]}
    cached, uncached = run(**options), run(**options, cache=False)
    assert distance(cached.weights, uncached.weights) < EXACT
    assert distance(cached.weights, reference.snapshots[1]) > 10 * EXACT


def test_a_network_is_converted_once_until_it_has_been_trained(
    run: Callable[..., Run], conversions: list[int]
) -> None:
    head, fine = replace(SCHEDULE[0], views=1), SCHEDULE[1]
    found = run(augment=Augmentation("light", views=2), schedule=(head, fine))
    assert all(record.cached for record in found.history.state.records)
    assert conversions == [2]
    run(schedule=(fine, head))
    assert conversions == [2, 1, 1]


def test_equal_seeds_repeat_everything(run: Callable[..., Run], reference: Run) -> None:
    again = run(schedule=SCHEDULE[:1])
    assert again.states[0].records[0].history == reference.states[0].records[0].history
    assert distance(again.weights, reference.snapshots[1]) == 0


def test_every_epoch_trains_on_the_batches_of_its_draw(
    make_tiny: Callable[..., Any], images: Any
) -> None:
    from tfxfer_heads import Classification

    head = Classification(dropout=0)
    phase = Phase("all", None, 2, 1e-2, decay="constant")
    model, by_hand = make_tiny(head=head), make_tiny(head=head)
    train(model, images, schedule=[phase])
    freeze_to(by_hand, None)
    by_hand.compile("adam", head.loss())
    by_hand.optimizer.learning_rate = 1e-2
    pixels = images.train.read_views(range(24))[:, 0].astype(np.float32)
    draw = EpochDraw(24, 1, 8, seed=3)
    losses = []
    for epoch in range(2):
        order, _ = draw.epoch(epoch)
        for batch in order.reshape(3, 8):
            by_hand.train_on_batch(pixels[batch], images.train.targets[batch])
        losses.append(weights_of(by_hand))
    found = weights_of(model)
    # One of both epochs was the best; each has a draw of its own.
    assert min(distance(found, weights) for weights in losses) < EXACT


def test_batch_normalization_stays_bit_equal(reference: Run) -> None:
    before, *after = reference.snapshots
    norms = [path for path in before if "_bn/" in path]
    assert len(norms) == 4 * 4
    for snapshot in after:
        assert all(np.array_equal(before[path], snapshot[path]) for path in norms)


def test_batch_normalization_moves_where_the_user_asks_for_it(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    model = make_tiny()
    before = weights_of(model)
    pixels, targets = blobs(16, 3, seed=0)
    freeze_to(model, "block_1", batch_norm=True)
    model.compile("adam", get_info(model).head.loss())
    model.fit(pixels.astype(np.float32), targets, verbose=0)
    after = weights_of(model)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        path = f"block_3_bn/{name}"
        assert not np.array_equal(before[path], after[path])
        path = f"stem_bn/{name}"
        assert np.array_equal(before[path], after[path])


def test_training_from_scratch_moves_everything(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model = make_tiny()
    before = weights_of(model)
    fit(model, pair(), schedule=from_scratch(epochs=1), verbose=0)
    after = weights_of(model)
    assert [path for path in before if np.array_equal(before[path], after[path])] == []


def test_statistics_keep_up_with_a_short_training(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    blobs: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the momentum of published networks they stay what they were initialised with."""
    import keras

    pixels = blobs(32, 3, seed=5)[0].astype(np.float32)

    def train() -> tuple[Any, float]:
        model = make_tiny()
        norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        for norm in norms:
            norm.momentum = 0.999
            norm.moving_variance.assign(np.full(norm.moving_variance.shape, 9.0))
        fit(model, pair(), schedule=from_scratch(epochs=30), batch_size=8, verbose=0)
        stem = keras.Model(model.inputs[0], model.get_layer("stem_bn").output)
        moments = np.asarray(stem(pixels, training=False)).std(axis=(0, 1, 2))
        # 1 where the statistics are those of the images.
        return model, float(np.abs(moments / np.asarray(stem.layers[-1].gamma) - 1).max())

    model, off = train()
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.999}
    monkeypatch.setattr(
        "tfxfer.training.phase.adapted_momentum", lambda *_, **__: contextlib.nullcontext()
    )
    _, stale = train()
    assert off < 0.5 * stale


def test_each_phase_trains_what_its_plan_announces(reference: Run) -> None:
    owner = map_layers_to_stages(reference.model)
    allowed = [{None}, {None, "block_2", "block_3"}]
    pairs = zip(reference.snapshots[:-1], reference.snapshots[1:], strict=True)
    for trained, (before, after) in zip(allowed, pairs, strict=True):
        moved = {
            owner[path.split("/")[0]]
            for path in before
            if not np.array_equal(before[path], after[path])
        }
        assert moved == trained
    assert [record.cached for record in reference.history.state.records] == [True, True]


def test_the_history_counts_through_all_phases(reference: Run) -> None:
    history = reference.history
    assert history.epoch == list(range(6))
    assert {len(values) for values in history.history.values()} == {6}
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} <= set(history.history)
    assert [record.epochs for record in history.state.records] == [4, 2]


def make_after_head(make_tiny: Callable[..., Any], reference: Run) -> Any:
    """Returns a model as it is after the reference's first phase."""
    model = make_tiny()
    for item in model.weights:
        item.assign(reference.snapshots[1][item.path])
    return model


def test_what_remains_is_the_best_epoch_of_all_phases(
    make_tiny: Callable[..., Any],
    reference: Run,
    images: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tfxfer.head._FEW", 0)  # so few samples would choose no epoch
    ruin = Phase("ruin", "block_1", 2, 5.0, decay="constant", warmup=0)
    model, go_on = make_after_head(make_tiny, reference), Control(state=reference.states[0])
    history = train(model, images, schedule=(SCHEDULE[0], ruin), control=go_on)
    state, values = history.state, history.history["val_accuracy"]
    assert [record.name for record in state.records] == ["head", "ruin"]
    assert state.best_phase == "head"
    assert max(values[4:]) < values[state.best_epoch]
    assert distance(weights_of(model), reference.snapshots[1]) == 0
    # The same checks on a second phase that helps.
    assert reference.history.state.best_phase == "fine_tune"
    assert distance(reference.weights, reference.snapshots[1]) > 0


def test_a_loss_of_nan_is_an_error_that_leaves_the_best_weights(
    make_tiny: Callable[..., Any], reference: Run, images: Any
) -> None:
    ruin = Phase("ruin", None, 1, 1e38, decay="constant", warmup=0, optimizer="sgd")
    model, go_on = make_after_head(make_tiny, reference), Control(state=reference.states[0])
    with pytest.raises(ModelError, match="finite loss"):
        train(model, images, schedule=(SCHEDULE[0], ruin), control=go_on)
    assert distance(weights_of(model), reference.snapshots[1]) == 0


def test_the_best_epoch_is_the_one_that_scores_like_the_model(reference: Run, images: Any) -> None:
    pixels = images.val.read_views(range(12))[:, 0].astype(np.float32)
    scores = np.asarray(reference.model(pixels, training=False))
    accuracy = float((scores.argmax(1) == images.val.targets.argmax(1)).mean())
    best = reference.history.state.best_epoch
    assert accuracy == pytest.approx(reference.history.history["val_accuracy"][best])


def test_a_resumed_training_gives_the_weights_of_one_without_a_break(
    make_tiny: Callable[..., Any], images: Any, reference: Run, tmp_path: Path
) -> None:
    model, path = make_tiny(seed=9), tmp_path / "best.weights.h5"
    make_after_head(make_tiny, reference).save_weights(path)
    model.load_weights(path)
    state = FitState.from_dict(json.loads(json.dumps(reference.states[0].to_dict())))
    history = train(model, images, control=Control(state=state))
    assert history.epoch == list(range(6))
    assert history.history["val_loss"] == pytest.approx(reference.history.history["val_loss"])
    assert distance(weights_of(model), reference.weights) < EXACT
    # Other draws, of the batches and of the dropout, fail the same check.
    other = make_tiny()
    other.load_weights(path)
    train(other, images, control=Control(state=state), seed=4)
    assert distance(weights_of(other), reference.weights) > EXACT


def test_a_state_survives_json_with_a_score_that_is_not_finite() -> None:
    from tfxfer.system.files import to_plain

    state = FitState(best=(-np.inf, -np.inf), best_epoch=0, best_phase="head")
    assert FitState.from_dict(to_plain(state.to_dict())) == state
    assert FitState.from_dict(FitState().to_dict()) == FitState()


def test_a_finished_training_is_not_repeated(run: Callable[..., Run], reference: Run) -> None:
    again = run(control=Control(state=reference.history.state))
    assert again.history.history == reference.history.history
    assert distance(again.weights, again.snapshots[0]) == 0


def test_a_schedule_that_freezes_again_recomputes(
    run: Callable[..., Run],
    make_tiny: Callable[..., Any],
    images: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule = (
        Phase("upper", "block_1", 1, 3e-3, decay="constant", warmup=0),
        Phase("head", "backbone", 4, 5e-2, decay="constant", warmup=0),
    )
    cached = run(schedule=schedule)
    assert cached.history.state.best_phase == "head"
    uncached = make_tiny()
    for item in uncached.weights:
        item.assign(cached.snapshots[1][item.path])
    control = Control(state=cached.states[0])
    train(uncached, images, schedule=schedule, control=control, cache=False)
    assert distance(cached.weights, weights_of(uncached)) < EXACT

    def plan_stale(*args: Any, **options: Any) -> Any:
        plan = plan_fit(*args, **options)
        assert [item.refill for item in plan.phases] == [False, True]
        return replace(plan, phases=tuple(replace(item, refill=False) for item in plan.phases))

    monkeypatch.setattr("tfxfer.training.fit.plan_fit", plan_stale)
    assert distance(run(schedule=schedule).weights, weights_of(uncached)) > EXACT


def test_a_deadline_that_is_over_leaves_one_epoch(run: Callable[..., Run]) -> None:
    result = run(control=Control(deadline=time.monotonic()))
    assert [record.epochs for record in result.history.state.records] == [1]
    assert result.history.state.best_epoch == 0


def test_the_weights_of_a_dataset_and_of_its_classes_multiply(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    first, second = pair()
    for weight, moves in ((0.0, False), (1.0, True)):
        model = make_tiny()
        before = weights_of(model)
        weighted = first.map(lambda x, y, w=weight: (x, y, 0 * y[:, 0] + w))
        train(model, (weighted, second), schedule=SCHEDULE[:1], balance="weights")
        assert (distance(before, weights_of(model)) > 0) is moves


def test_a_schedule_is_named_as_on_the_command_line(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    options = {"batch_size": 8, "verbose": 0, "callbacks": None}
    named = fit(make_tiny(), pair(), schedule="head", **options).state
    listed = fit(make_tiny(), pair(), schedule=two_phase(epochs=0), **options).state
    assert [record.name for record in named.records] == ["head"]
    assert named.records[0].history == listed.records[0].history
    other = fit(make_tiny(), pair(), schedule=[Phase("x", None, 1, 1e-3)], **options).state
    assert other.records[0].history != named.records[0].history


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, UsageError, "batch_size"),
        ({"balance": "luck"}, UsageError, "balance"),
        ({"schedule": ()}, ScheduleError, "at least one phase"),
        ({"schedule": "two_phases"}, ScheduleError, "Did you mean 'two_phase'"),
        ({"schedule": [Phase("p", "block_9", 1, 1.0)]}, ScheduleError, "block_9"),
        ({"cache": False, "balance": "oversample"}, UsageError, "fetched one by one"),
        ({"augment": "light"}, UsageError, "augmentation in the dataset itself"),
        ({"epochs": 0}, UsageError, "at least 1 as epochs"),
        ({"epochs": 3}, UsageError, "epochs or a schedule of several phases"),
        ({"class_weight": {3: 2.0}}, UsageError, "classes 0 to 2 in class_weight"),
        ({"class_weight": {"class_9": 2.0}}, UsageError, "or their labels, 'class_0'"),
        ({"class_weight": {0: -1.0}}, UsageError, "finite weights"),
        ({"class_weight": "balanced"}, UsageError, 'balance="weights"'),
        ({"class_weight": {0: 2.0}, "balance": "weights"}, UsageError, "Received: both"),
        ({"callbacks": [print]}, UsageError, "expected Keras callbacks"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    options: Any,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        train(make_tiny(), pair(), **options)


def test_images_and_targets_must_fit_the_model(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    first, second = pair()
    small = first.map(lambda x, y: (x[:, :16, :16], y))
    with pytest.raises(DataError, match=r"training data: expected images of shape \(32, 32, 3\)"):
        train(make_tiny(), (small, second))
    gray = second.map(lambda x, y: (x[..., :1], y))
    with pytest.raises(DataError, match=r"validation data: .*\(32, 32, 3\).*\(32, 32, 1\)"):
        train(make_tiny(), (first, gray))
    with pytest.raises(DataError, match="validation data: expected targets of shape"):
        train(make_tiny(), (first, second.map(lambda x, y: (x, y[:, :2]))))


def test_a_plain_keras_model_is_refused() -> None:
    import keras

    with pytest.raises(ModelError, match="build_model"):
        fit(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), (None, None))


def test_a_head_with_its_own_loss_and_monitor_trains_through_two_phases(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    import keras

    from tfxfer_heads import Regression

    class Squared(keras.losses.Loss):  # registered nowhere: Keras cannot make it anew
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

    class Custom(Regression):
        def loss(self) -> Any:
            return Squared()

    history = train(make_tiny(head=Custom(dropout=0)), pair())
    assert history.epoch == list(range(6))
    assert history.state.best_epoch == int(np.argmin(history.history["val_loss"]))
