"""What a small network learns with each penalty, where another look differs and where it does not.

Half of the inputs tell a class in both looks, if with noise. The others tell it better, but in the
labelled look alone: in the other one they are loud and say nothing.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.adaptation.methods import TRAINED
from tfxfer.adaptation.penalties import make_penalty
from tfxfer.training.companion import accompany_network

BATCH, STEPS, CLASSES = 64, 150, 3
# In 150 steps the defaults, a tenth and a hundredth of these, turn little.
STRONG = {"deep_coral": 10.0, "dann": 1.0}


def draw(rng: np.random.Generator, count: int, *, is_other: bool) -> tuple[np.ndarray, np.ndarray]:
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, count)]
    lasting = 3 * targets + rng.normal(size=targets.shape)
    passing = 3 * targets + 0.3 * rng.normal(size=targets.shape)
    if is_other:
        passing = 4 * rng.normal(size=targets.shape) + [3, 0, -3]
    return np.concatenate([lasting, passing], axis=1).astype(np.float32), targets


def learn(method: str | None, *, is_other: bool, strength: float | None = None) -> float:
    """Returns the share of right answers on the other look."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((2 * CLASSES,))
    dense = keras.layers.Dense
    make = keras.initializers.GlorotUniform
    features = dense(8, kernel_initializer=make(1))(inputs)
    answers = dense(CLASSES, "softmax", kernel_initializer=make(2))(features)
    network = keras.Model(inputs, [features, answers])
    asked = strength
    if method is not None and asked is None:
        asked = TRAINED[method].strength
    penalty = make_penalty(method or "mmd", 8, strength=asked or 1e-9, seed=3)
    model = accompany_network(network, penalty, "small")
    model.compile(keras.optimizers.Adam(1e-2), "categorical_crossentropy")
    for step in range(STEPS):
        own, targets = draw(rng, BATCH, is_other=False)
        other, truth = draw(rng, BATCH, is_other=is_other)
        batch: dict[str, Any] = {
            "inputs": own,
            "other": other,
            "progress": np.array([step / STEPS], np.float32),
            # Pseudo-labels of which a tenth is wrong.
            "targets": np.roll(truth, 1, axis=1) if step % 10 == 0 else truth,
            "weights": np.ones(BATCH, np.float32),
        }
        model.train_on_batch(batch, targets)
    tested, truth = draw(np.random.default_rng(9), 1000, is_other=is_other)
    found = keras.ops.convert_to_numpy(model(tested))
    return float((found.argmax(axis=1) == truth.argmax(axis=1)).mean())


@pytest.fixture(scope="module")
def plain() -> float:
    """Without a penalty, on a look that differs."""
    return learn(None, is_other=True)


@pytest.mark.parametrize("method", list(TRAINED))
def test_it_helps_where_looks_differ(method: str, plain: float) -> None:
    assert plain < 0.5
    assert learn(method, is_other=True, strength=STRONG.get(method)) > plain + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("method", list(TRAINED))
def test_it_does_no_harm_where_they_do_not(method: str) -> None:
    strength = STRONG.get(method)
    assert learn(method, is_other=False, strength=strength) > learn(None, is_other=False) - 0.02
