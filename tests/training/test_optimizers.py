from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer import Backbone, Phase, fit, freeze_to
from tfxfer.stages import map_layers_to_stages
from tfxfer.training.optimizers import make_optimizer, read_rates, stage_rates

pytestmark = pytest.mark.versions

STAGES = ["stem", "block_1", "block_2", "block_3"]
PHASE = Phase("up", "stem", 5, 1e-2, stage_decay=0.5)


@given(st.sampled_from([None, *STAGES, "backbone"]), st.floats(0.1, 1))
def test_rates_fall_from_the_head_to_the_input(stage: str | None, decay: float) -> None:
    rates = stage_rates(Phase("p", stage, 1, 1.0, stage_decay=decay), STAGES)
    trained = list(rates)
    assert trained[0] is None
    assert stage not in trained[1:]
    frozen = 0 if stage is None else [*STAGES, "backbone"].index(stage) + 1
    assert trained[1:] == STAGES[frozen:][::-1]
    values = list(rates.values())
    assert values == sorted(values, reverse=True)
    assert values[:2] == [1.0] * len(values[:2])


def test_every_variable_has_the_rate_of_its_stage(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    freeze_to(model, "stem")
    phase = replace(PHASE, decay="constant")
    optimizer = make_optimizer(model, phase, steps_per_epoch=4)
    rates = {
        variable.path: float(optimizer._optimizer_map(variable).learning_rate)
        for variable in model.trainable_variables
    }
    assert rates == pytest.approx(
        {
            "block_1_conv/kernel": 2.5e-3,
            "block_2_conv/kernel": 5e-3,
            "block_3_conv/kernel": 1e-2,
            "head_dense/kernel": 1e-2,
            "head_dense/bias": 1e-2,
        }
    )
    head, stages = read_rates(optimizer)
    assert head == pytest.approx(1e-2)
    assert stages == pytest.approx({"block_1": 2.5e-3, "block_2": 5e-3, "block_3": 1e-2})


@pytest.fixture(scope="module")
def backbone_with_a_head(tiny_backbone: type[Backbone]) -> type[Backbone]:
    """Its second stage has the name that people have for what follows a backbone."""

    class Named(tiny_backbone):  # type: ignore[misc, valid-type]
        stages = tuple(
            replace(stage, name="head") if stage.name == "block_2" else stage
            for stage in tiny_backbone.stages
        )

    return Named


def test_a_stage_named_head_is_not_the_head(
    make_tiny: Callable[..., Any], backbone_with_a_head: type[Backbone]
) -> None:
    model = make_tiny(backbone=backbone_with_a_head())
    freeze_to(model, "stem")
    owner = map_layers_to_stages(model)
    assert (owner["block_2_conv"], owner["head_dense"]) == ("head", None)
    optimizer = make_optimizer(model, replace(PHASE, decay="constant"), steps_per_epoch=4)
    rates = {
        path: float(optimizer._optimizer_map(variable).learning_rate)
        for variable in model.trainable_variables
        if (path := variable.path) != "head_dense/bias"
    }
    assert list(rates) == [
        "block_1_conv/kernel", "block_2_conv/kernel", "block_3_conv/kernel", "head_dense/kernel"
    ]  # fmt: skip
    assert list(rates.values()) == pytest.approx([2.5e-3, 5e-3, 1e-2, 1e-2])
    head, stages = read_rates(optimizer)
    assert head == pytest.approx(1e-2)
    assert stages == pytest.approx({"block_1": 2.5e-3, "head": 5e-3, "block_3": 1e-2})
    # Keras's callbacks log by name: two of one name would be one column.
    names = [single.name for single in optimizer.optimizers]
    assert len(set(names)) == len(names)


def test_a_stage_named_head_has_a_column_of_its_own(
    make_tiny: Callable[..., Any], backbone_with_a_head: type[Backbone], pair: Callable[..., Any]
) -> None:
    schedule = [replace(PHASE, epochs=2, decay="constant")]
    model = make_tiny(backbone=backbone_with_a_head())
    logs = fit(model, pair(), schedule=schedule, verbose=0).history
    assert logs["learning_rate"] == pytest.approx([1e-2] * 2)
    assert logs["learning_rate_head"] == pytest.approx([5e-3] * 2)
    assert logs["learning_rate_block_1"] == pytest.approx([2.5e-3] * 2)


@pytest.mark.parametrize(
    "phase", [replace(PHASE, stage_decay=1.0), replace(PHASE, stage="backbone")]
)
def test_one_rate_needs_one_optimizer(make_tiny: Callable[..., Any], phase: Phase) -> None:
    import keras

    optimizer = make_optimizer(make_tiny(), phase, steps_per_epoch=4)
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert read_rates(optimizer)[1] == {}


def rates_of(
    make_tiny: Callable[..., Any], phase: Phase, steps: int, **options: Any
) -> list[float]:
    optimizer = make_optimizer(make_tiny(), phase, steps_per_epoch=steps, **options)
    rates = []
    for step in range(phase.epochs * steps):
        optimizer.iterations.assign(step)
        rates.append(read_rates(optimizer)[0])
    return rates


def test_the_rate_rises_and_then_falls_to_nothing(make_tiny: Callable[..., Any]) -> None:
    phase = Phase("p", "backbone", 5, 1e-2, warmup=0.2)
    rates = rates_of(make_tiny, phase, 10)
    assert rates[0] == 0
    assert rates[10] == max(rates) == pytest.approx(1e-2)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-4
    assert rates_of(make_tiny, replace(phase, warmup=0), 10)[0] == pytest.approx(1e-2)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (2, 1)])
def test_even_a_single_step_trains(make_tiny: Callable[..., Any], epochs: int, steps: int) -> None:
    phase = Phase("p", "backbone", epochs, 1e-2, warmup=0.9)
    assert max(rates_of(make_tiny, phase, steps)) == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("changes", "options"), [({"decay": "constant"}, {}), ({}, {"constant_rate": True})]
)
def test_a_constant_rate_can_be_set(
    make_tiny: Callable[..., Any], changes: Any, options: Any
) -> None:
    phase = replace(Phase("p", "backbone", 1, 1e-2), **changes)
    assert rates_of(make_tiny, phase, 3, **options) == pytest.approx([1e-2] * 3)
    optimizer = make_optimizer(make_tiny(), phase, steps_per_epoch=3, **options)
    optimizer.learning_rate = 0.5
    assert read_rates(optimizer)[0] == 0.5


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("stage_decay", [1.0, 0.5])
def test_weight_decay_spares_biases(
    make_tiny: Callable[..., Any], kind: str, stage_decay: float
) -> None:
    import numpy as np

    model = make_tiny()
    freeze_to(model, "block_1")
    phase = Phase(
        "p", "block_1", 1, 0.1, stage_decay=stage_decay, optimizer=kind, weight_decay=0.1,
        decay="constant",
    )  # fmt: skip
    optimizer = make_optimizer(model, phase, steps_per_epoch=1)
    variables = model.trainable_variables
    model.get_layer("head_dense").bias.assign(np.ones(3))
    before = {variable.path: np.array(variable) for variable in variables}
    optimizer.build(variables)
    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in variables], variables)
    moved = {v.path for v in variables if not np.array_equal(before[v.path], np.array(v))}
    assert moved == {"block_2_conv/kernel", "block_3_conv/kernel", "head_dense/kernel"}


def test_the_kinds_are_keras_s(make_tiny: Callable[..., Any]) -> None:
    names = {
        kind: type(
            make_optimizer(
                make_tiny(), Phase("p", "backbone", 1, 1e-3, optimizer=kind), steps_per_epoch=1
            )
        ).__name__
        for kind in ("adam", "adamw", "sgd")
    }
    assert names == {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
