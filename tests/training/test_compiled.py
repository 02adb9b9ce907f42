"""Models that their users compiled, and heads that are their users' own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import ModelError, Phase, evaluate, fit, freeze_to
from tfxfer.stages import attach_info, get_info

SCHEDULE = (
    Phase("head", "backbone", 1, 5e-2, decay="constant"),
    Phase("upper", "block_1", 1, 5e-3, stage_decay=0.5),
)


def train(model: Any, data: Any, **options: Any) -> Any:
    return fit(model, data, **({"schedule": SCHEDULE, "batch_size": 8, "verbose": 0} | options))


class Spy(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append((self.model.optimizer, self.model.loss))


def test_a_compiled_model_keeps_loss_metrics_and_optimizer(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model, spy = make_tiny(), Spy()
    loss = keras.losses.CategoricalFocalCrossentropy()
    compiled = keras.optimizers.RMSprop(3e-4, rho=0.8, weight_decay=1e-3)
    compiled.exclude_from_weight_decay(var_names=["bias"])
    model.compile(compiled, loss, metrics=["accuracy", keras.metrics.AUC(name="auc")])
    with pytest.warns(UserWarning, match="fit: the compiled RMSprop") as told:
        history = train(model, pair(), callbacks=[spy])
    (line,) = (warning for warning in told if warning.category is UserWarning)
    words = str(line.message)
    assert "(head 0.05, upper 0.005) in place of 0.0003" in words
    assert line.filename == __file__
    assert {"val_accuracy", "val_auc"} <= set(history.history)
    (first, first_loss), (second, second_loss) = spy.seen
    assert first_loss is second_loss is loss
    assert isinstance(first, keras.optimizers.RMSprop)
    assert (first.rho, first.weight_decay) == (0.8, 1e-3)
    kernel, bias = model.get_layer("head_dense").weights
    assert [first._use_weight_decay(x) for x in (kernel, bias)] == [True, False]
    # Rates fall with the stage, each an optimizer of the same kind.
    assert {type(x) for x in second.optimizers} == {keras.optimizers.RMSprop}
    # It is as its user left it, with an optimizer that holds to what trains now.
    assert model.loss is loss
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert float(model.optimizer.learning_rate) == pytest.approx(3e-4)
    model.fit(pair()[0], verbose=0, shuffle=False)


def test_nothing_is_said_where_nothing_is_replaced(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model = make_tiny()
    model.compile(keras.optimizers.SGD(5e-2), "categorical_crossentropy", metrics=["accuracy"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(model, pair(), schedule=SCHEDULE[:1])
        # What `fit` compiled itself is no user's, also after the frontier was moved.
        plain = make_tiny()
        train(plain, pair(), schedule=SCHEDULE[:1])
        freeze_to(plain, "block_1")
        train(plain, pair(), schedule=SCHEDULE[:1])


def test_what_a_phase_names_wins_and_is_said(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model, spy = make_tiny(), Spy()
    model.compile(keras.optimizers.Nadam(5e-2), "categorical_crossentropy", metrics=["accuracy"])
    phase = replace(SCHEDULE[0], optimizer="sgd")
    with pytest.warns(UserWarning, match="sgd in head takes the place of the compiled Nadam"):
        train(model, pair(), schedule=[phase], callbacks=[spy])
    assert isinstance(spy.seen[0][0], keras.optimizers.SGD)


def test_an_optimizer_of_several_is_replaced_and_put_back(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model, spy = make_tiny(), Spy()
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(1e-2), {"head_dense/": keras.optimizers.RMSprop(1e-3)}
        )
    )
    model.compile(several, "categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    with pytest.warns(UserWarning, match="adam in head .* MultiOptimizer, since"):
        train(model, pair(), schedule=SCHEDULE[:1], callbacks=[spy])
    assert isinstance(spy.seen[0][0], keras.optimizers.Adam)
    assert model.run_eagerly
    assert [type(x).__name__ for x in model.optimizer.optimizers] == ["RMSprop", "SGD"]


def test_a_sparse_loss_gets_numbers_of_classes(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], images: Any
) -> None:
    found = []
    for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        for data in (pair(), images):
            model = make_tiny()
            model.compile(keras.optimizers.Adam(5e-2), loss, metrics=["accuracy"])
            history = train(model, data, schedule=SCHEDULE[:1], augment="none", seed=3)
            found.append(history.history["val_loss"] + history.history["val_accuracy"])
    np.testing.assert_allclose(found[:2], found[2:], rtol=1e-3)


def test_without_the_heads_metric_the_validation_loss_chooses(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model = make_tiny()
    model.compile(keras.optimizers.Adam(5e-2), "categorical_crossentropy")
    phase = replace(SCHEDULE[0], epochs=3)
    with pytest.warns(UserWarning, match="lowest val_loss .* no compiled metric is 'accuracy'"):
        history = train(model, pair(), schedule=[phase])
    assert history.state.best_epoch == int(np.argmin(history.history["val_loss"]))


def test_without_a_loss_the_heads_stands_in(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    model = make_tiny()
    model.compile(keras.optimizers.Adam(5e-2), metrics=["accuracy"])
    with pytest.warns(UserWarning, match="fit: the head's loss is trained with"):
        train(model, pair(), schedule=SCHEDULE[:1])


def put_head(model: Any, outputs: int = 3) -> Any:
    features = model.get_layer("pool").output
    found = keras.layers.Dense(outputs, activation="softmax", name="mine")(features)
    return keras.Model(model.input, found, name="with_mine")


def test_a_head_of_the_users_own_trains_on_the_features(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    import tensorflow as tf

    first, second = (part.map(lambda x, y: (x, tf.argmax(y, axis=1))) for part in pair(classes=3))
    for outputs in (3, 5):
        model = put_head(make_tiny(), outputs)
        with pytest.raises(ModelError, match=r"expected a loss.*Call model\.compile"):
            train(model, (first, second))
        model.compile(keras.optimizers.Adam(5e-2), "categorical_crossentropy", metrics=["accuracy"])
        before = model.get_layer("mine").get_weights()[0]
        with pytest.warns(UserWarning, match="the compiled Adam"):
            history = train(model, (first, second))
        assert all(record.cached for record in history.state.records)
        assert not np.array_equal(before, model.get_layer("mine").get_weights()[0])
    with pytest.raises(ModelError, match=r"expected labels of its 5 outputs"):
        evaluate(model, second)
    named = replace(get_info(model), labels=("a", "b", "c", "d", "e"))
    attach_info(model, named)
    assert evaluate(model, second)["images"] == 12


def test_the_same_outputs_in_another_model_are_the_same_head(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    again = keras.Model(model.input, model.output)
    assert get_info(again) == get_info(model)
    assert get_info(put_head(model)).has_own_head is False
    with pytest.raises(ModelError, match=r"expected one from tfxfer\.build_model"):
        get_info(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))


def test_an_optimizer_that_cannot_be_made_anew_is_named(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    class Odd(keras.optimizers.SGD):
        def __init__(self, rate: float) -> None:
            super().__init__(rate)

    model = make_tiny()
    model.compile(Odd(5e-2), "categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ModelError, match="optimizer 'Odd': expected one that its from_config"):
        train(model, pair(), schedule=SCHEDULE[:1])
