"""A head whose weights follow from features: where it would train alone, it is computed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    BACKBONE_END,
    Augmentation,
    ClosedForm,
    ContractError,
    Control,
    Phase,
    StorageError,
    embed,
    fit,
    two_phase,
)
from tfxfer.frontier.store import CacheStore
from tfxfer.training.plan import plan_fit
from tfxfer_heads import Classification

TOLERANCE = 2e-3  # cached features are float16


@dataclass(frozen=True)
class Means(ClosedForm):
    """The simplest such form: class means as they are, and no bias."""

    def fit(self, features: Any, targets: Any, weights: Any) -> list[np.ndarray]:
        kernel = features.T @ targets / targets.sum(axis=0)
        return [kernel, np.zeros_like(weights[1])]

    def add_label(self, weights: Any, features: Any) -> list[np.ndarray]:
        raise NotImplementedError


class MeanHead(Classification):
    def closed_form(self) -> ClosedForm:
        return Means("head_dense")


def find_means(model: Any, split: Any) -> np.ndarray:
    features = embed(model, split)
    return features.T @ split.targets / split.targets.sum(axis=0)


def read_kernel(model: Any) -> np.ndarray:
    kernel: np.ndarray = model.get_layer("head_dense").get_weights()[0]
    return kernel


@pytest.fixture
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny(head=MeanHead(dropout=0.0))


@pytest.mark.parametrize("options", [{}, {"cache": False}, {"balance": "oversample"}])
def test_the_head_alone_takes_one_look(model: Any, images: Any, options: dict[str, Any]) -> None:
    before = model.get_layer("stem_conv").get_weights()[0].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(model, images, schedule="head", verbose=0, **options)
    np.testing.assert_allclose(
        read_kernel(model), find_means(model, images.train), atol=TOLERANCE, rtol=TOLERANCE
    )
    np.testing.assert_array_equal(model.get_layer("stem_conv").get_weights()[0], before)
    (record,) = history.state.records
    assert (record.epochs, record.planned_epochs, record.cached) == (1, 1, True)
    assert {"loss", "val_loss", "val_accuracy"} <= set(record.history)


def test_after_fine_tuning_it_is_of_the_features_as_they_have_become(
    model: Any, images: Any
) -> None:
    before = find_means(model, images.train)
    history = fit(
        model,
        images,
        schedule=two_phase(epochs=3, rate=1e-2),
        augment=Augmentation(views=2),
        verbose=0,
    )
    records = history.state.records
    assert [(x.name, x.epochs) for x in records] == [("head", 1), ("fine_tune", 3), ("refit", 1)]
    after = find_means(model, images.train)
    np.testing.assert_allclose(read_kernel(model), after, atol=TOLERANCE, rtol=TOLERANCE)
    # The features have moved: a head that had stayed would not pass.
    assert np.abs(after - before).max() > 10 * TOLERANCE
    assert history.state.best_phase == "refit"


def test_what_is_out_of_time_leaves_no_layer_of_other_features(model: Any, images: Any) -> None:
    history = fit(
        model, images, schedule=two_phase(epochs=3), verbose=0,
        control=Control(deadline=time.monotonic() - 1),
    )  # fmt: skip
    assert [x.name for x in history.state.records] == ["head", "refit"]
    np.testing.assert_allclose(
        read_kernel(model), find_means(model, images.train), atol=TOLERANCE, rtol=TOLERANCE
    )


def test_a_dataset_of_the_users_own_is_read_once(model: Any, pair: Any, images: Any) -> None:
    fit(model, pair(), schedule="head", verbose=0)
    # The same samples as the files of `images`, without their names.
    np.testing.assert_allclose(
        read_kernel(model), find_means(model, images.train), atol=TOLERANCE, rtol=TOLERANCE
    )


def test_a_plan_is_made_once(model: Any) -> None:
    options: dict[str, Any] = {"images": 10, "views": 4, "store": CacheStore(memory_bytes=2**30)}
    plan = plan_fit(model, two_phase(), **options)
    assert [(x.closed_form, x.views, x.refill) for x in plan.phases] == [
        (True, 1, False),
        (False, 4, False),
        (True, 1, True),
    ]
    again = plan_fit(model, [item.phase for item in plan.phases], **options)
    assert again == plan


def test_without_any_room_it_says_so(model: Any, images: Any) -> None:
    store = CacheStore(memory_bytes=0)
    store.place = lambda needed: "nowhere"  # type: ignore[method-assign]
    plan = plan_fit(model, two_phase(epochs=0), images=24, views=1, val=12, store=store)
    with pytest.raises(StorageError, match="room for a vector of each sample"):
        fit(model, images, schedule=plan, verbose=0)


def test_a_plugin_that_names_no_layer_is_told(make_tiny: Callable[..., Any], images: Any) -> None:
    class Wrong(MeanHead):
        def closed_form(self) -> ClosedForm:
            return Means("head_denso")

    with pytest.raises(ContractError, match=r"`closed_form\(\)` .* Received: 'head_denso'"):
        fit(make_tiny(head=Wrong()), images, schedule="head", verbose=0)


@pytest.mark.parametrize("bad", [[np.zeros((2, 2)), np.zeros(3)], [np.full((24, 3), np.nan)] * 2])
def test_a_plugin_that_makes_other_weights_is_told(
    make_tiny: Callable[..., Any], images: Any, bad: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Means, "fit", lambda *_: bad)
    with pytest.raises(ContractError, match="finite weights of shapes"):
        fit(make_tiny(head=MeanHead()), images, schedule="head", verbose=0)


def test_another_head_trains_as_before(make_tiny: Callable[..., Any]) -> None:
    options: dict[str, Any] = {"images": 10, "views": 4, "store": CacheStore(memory_bytes=2**30)}
    plan = plan_fit(make_tiny(), two_phase(), **options)
    assert [(x.closed_form, x.phase.epochs) for x in plan.phases] == [(False, 30), (False, 8)]
    assert all(x.phase.stage != BACKBONE_END for x in plan.phases[1:])
    assert Phase("head", BACKBONE_END, 30, 1e-3).epochs == 30


def test_it_goes_on_between_two_phases(
    make_tiny: Callable[..., Any], model: Any, images: Any
) -> None:
    """What is left is the last step, of the weights that fine-tuning ended with."""
    kept: list[tuple[Any, list[np.ndarray]]] = []
    options: dict[str, Any] = {"schedule": two_phase(epochs=2, rate=1e-2), "verbose": 0}
    options["augment"] = Augmentation(views=2)
    control = Control(on_phase_end=lambda state: kept.append((state, model.get_weights())))
    fit(model, images, control=control, **options)
    for state, weights in kept[:2]:
        again = make_tiny(head=MeanHead(dropout=0.0))
        again.set_weights(weights)
        history = fit(again, images, control=Control(state=state), **options)
        assert [x.name for x in history.state.records] == ["head", "fine_tune", "refit"]
        assert history.state.best_phase == "refit"
        np.testing.assert_allclose(
            read_kernel(again), read_kernel(model), atol=TOLERANCE, rtol=TOLERANCE
        )
