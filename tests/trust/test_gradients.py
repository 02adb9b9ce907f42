"""Gradients at a stage against closed forms, finite differences and the other backend."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import explain
from tfxfer.errors import ModelError, ScheduleError
from tfxfer.stages import attach_info, get_info, stage_tensor
from tfxfer.trust.gradients import StageGradients, find_logits

COUNT = 3
CHOSEN = np.array([0, 2, 1])


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


@pytest.fixture(scope="module")
def pixels(blobs: Callable[..., tuple[Any, Any]]) -> np.ndarray:
    found: np.ndarray = blobs(COUNT, 3, seed=5)[0]
    return found


def find_dense(model: Any) -> Any:
    return next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))


def test_behind_the_last_map_it_is_the_kernel_over_the_number_of_places(
    model: Any, pixels: np.ndarray
) -> None:
    gradients = StageGradients(model, "block_3")
    maps, slopes = gradients.compute([pixels], CHOSEN)
    assert gradients.squashed_by == "softmax"
    assert maps.shape == slopes.shape == (COUNT, 4, 4, 8)
    kernel = find_dense(model).get_weights()[0]
    expected = kernel[:, CHOSEN].T[:, None, None, :] / 16
    np.testing.assert_allclose(slopes, np.broadcast_to(expected, slopes.shape), rtol=1e-5)
    # The output of another sample has another gradient.
    assert not np.allclose(slopes, np.roll(expected, 1, axis=0), rtol=1e-2)


@pytest.mark.parametrize("stage", ["stem", "block_1", "block_2"])
def test_it_is_what_finite_differences_say(model: Any, pixels: np.ndarray, stage: str) -> None:
    maps, slopes = StageGradients(model, stage).compute([pixels], CHOSEN)
    rest = keras.Model(stage_tensor(model, stage), model.layers[-1].input)
    rng, step = np.random.default_rng(0), 2e-3
    for _ in range(4):
        # One place and channel at a time, so that hardly any ReLU behind it changes its mind.
        place = tuple(rng.integers(0, side) for side in maps.shape[1:])
        moved = np.zeros_like(maps)
        moved[:, *place] = step
        ends = [np.array(rest(maps + sign * moved))[np.arange(COUNT), CHOSEN] for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step)
        largest = np.abs(slopes).max()
        np.testing.assert_allclose(slopes[:, *place], expected, atol=0.02 * largest)
        assert np.abs(slopes[:, *place] + expected).max() > 0.02 * largest  # its sign counts


def test_a_sure_softmax_hides_no_gradient(make_tiny: Callable[..., Any], pixels: Any) -> None:
    model = make_tiny(seed=1)
    dense = find_dense(model)
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel, bias + np.array([200, 0, 0], np.float32)])
    first = np.zeros(COUNT, int)
    assert (np.array(model(pixels))[:, 0] == 1).all()
    _, slopes = StageGradients(model, "block_3").compute([pixels], first)
    assert np.abs(slopes).max() > 1e-3
    # The control: through the softmax it is gone.
    attach_info(squashed := keras.Model(model.inputs[0], model.outputs[0] * 1.0), get_info(model))
    _, gone = StageGradients(squashed, "block_3").compute([pixels], first)
    assert np.abs(gone).max() == 0


def test_an_activation_inside_of_the_dense_layer_is_taken_off_too(model: Any, pixels: Any) -> None:
    features = stage_tensor(model, "backbone")
    dense = keras.layers.Dense(3, activation="sigmoid", name="own")
    other = keras.Model(model.inputs[0], dense(features))
    tensor, name = find_logits(other)
    assert name == "sigmoid"
    logits = np.array(keras.Model(model.inputs[0], tensor)(pixels))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), np.array(other(pixels)), rtol=1e-5)
    _, slopes = StageGradients(other, "block_3").compute([pixels], CHOSEN)
    expected = dense.get_weights()[0][:, CHOSEN].T[:, None, None, :] / 16
    np.testing.assert_allclose(slopes, np.broadcast_to(expected, slopes.shape), rtol=1e-5)


@pytest.mark.parametrize("ending", ["linear", "relu", "input"])
def test_other_ends_stay_as_they_are(model: Any, ending: str) -> None:
    features = stage_tensor(model, "backbone")
    if ending == "input":
        source = keras.Input((3,))
        other = keras.Model(source, keras.layers.Identity()(source))
    else:
        other = keras.Model(model.inputs, keras.layers.Dense(3, activation=ending)(features))
    assert find_logits(other) == (other.outputs[0], None)


def test_what_follows_a_stage_may_read_an_input_of_its_own(model: Any) -> None:
    values, mask = keras.Input((4, 4, 2), name="values"), keras.Input((4, 4, 1), name="mask")
    end = keras.layers.Conv2D(3, 1, name="end")(values)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Multiply()([end, mask]))
    both = keras.Model([mask, values], keras.layers.Dense(2)(pooled))
    info = get_info(model)
    attach_info(both, replace(info, stages=(replace(info.stages[0], name="s", end="end"),)))
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 2, (2, 4, 4, 1)), rng.normal(size=(2, 4, 4, 2))]
    _, slopes = StageGradients(both, "s").compute(given, np.array([1, 0]))
    kernel = both.layers[-1].get_weights()[0][:, [1, 0]].T[:, None, None, :]
    np.testing.assert_allclose(slopes, given[0] * kernel / 16, rtol=1e-5)


def test_a_stage_that_ends_inside_of_a_block_is_refused(model: Any) -> None:
    source = keras.Input((4, 4, 2))
    first = keras.layers.Conv2D(2, 1, name="first")(source)
    end = keras.layers.Conv2D(2, 1, name="end")(first)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([first, end]))
    other = keras.Model(source, keras.layers.Dense(2)(pooled))
    info = get_info(model)
    attach_info(other, replace(info, stages=(replace(info.stages[0], name="s", end="end"),)))
    with pytest.raises(ModelError, match="layer 'first' crosses, too"):
        StageGradients(other, "s")


def test_no_such_stage(model: Any) -> None:
    with pytest.raises(ScheduleError, match="Did you mean 'block_2'"):
        StageGradients(model, "blok_2")


JAX = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import keras
import conftest
from tfxfer import build_model, explain
from tfxfer.trust.gradients import StageGradients
from tfxfer_heads import Classification

assert keras.backend.backend() == "jax"
given = np.load(sys.argv[2])
model = build_model(
    conftest.TinyBackbone(), labels=["0", "1", "2"], head=Classification(), weights=None
)
model.set_weights([given[f"weight_{number}"] for number in range(len(model.weights))])
maps, slopes = StageGradients(model, "block_1").compute([given["pixels"]], given["chosen"])
np.testing.assert_allclose(maps, given["maps"], atol=1e-4)
np.testing.assert_allclose(slopes, given["slopes"], atol=1e-4 * np.abs(given["slopes"]).max())
assert np.abs(slopes - given["slopes"][::-1]).max() > 1e-2 * np.abs(slopes).max()
heat = explain(model, given["pixels"])
np.testing.assert_allclose(heat, given["heat"], atol=1e-3)
assert np.abs(heat - given["heat"][::-1]).max() > 0.1
print("done")
"""


@pytest.mark.versions
def test_jax_says_the_same(model: Any, pixels: np.ndarray, tmp_path: Path) -> None:
    maps, slopes = StageGradients(model, "block_1").compute([pixels], CHOSEN)
    weights = {f"weight_{number}": value for number, value in enumerate(model.get_weights())}
    given = tmp_path / "given.npz"
    found = {"maps": maps, "slopes": slopes, "heat": explain(model, pixels)}
    np.savez(given, pixels=pixels, chosen=CHOSEN, **found, **weights)
    done = subprocess.run(
        [sys.executable, "-c", JAX, str(Path(__file__).parent.parent), str(given)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("done\n")
