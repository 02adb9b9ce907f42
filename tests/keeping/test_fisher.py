"""The diagonal of the Fisher information."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tfxfer.errors import RunError
from tfxfer.keeping.fisher import (
    add_importances,
    draw_residuals,
    mean_squares,
    read_importances,
    write_importances,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("link", ["softmax", "sigmoid", None])
def test_residuals_have_the_covariance_of_the_answers(link: str | None) -> None:
    row = np.array([0.6, 0.3, 0.1]) if link == "softmax" else np.array([0.9, 0.2, 0.5])
    scores = np.tile(row, (200_000, 1))
    found = draw_residuals(scores, link, np.random.default_rng(0)).astype(np.float64)
    expected = np.eye(3) if link is None else np.diag(row * (1 - row))
    if link == "softmax":
        expected = np.diag(row) - np.outer(row, row)
    assert found.T @ found / len(found) == pytest.approx(expected, abs=0.01)
    assert found.mean(axis=0) == pytest.approx(0, abs=0.01)


def test_the_information_on_a_mean_is_one_over_its_variance() -> None:
    scores, scale = np.zeros((200_000, 2)), np.array([0.5, 10.0])
    found = draw_residuals(scores, None, np.random.default_rng(0), scale).astype(np.float64)
    assert (found**2).mean(axis=0) == pytest.approx(1 / scale**2, rel=0.02)


def test_fisher_of_a_linear_model_has_its_closed_form() -> None:
    rng = np.random.default_rng(1)
    x, kernel = rng.normal(size=(4000, 3)), rng.normal(size=(3, 2))
    scores = softmax(x @ kernel)
    residuals = draw_residuals(scores, "softmax", rng)
    # The gradient of a sample's log likelihood is the outer product of input and residual.
    (found,) = mean_squares([np.outer(a, b)] for a, b in zip(x, residuals, strict=True))
    variance = scores * (1 - scores)
    expected = (x**2).T @ variance / len(x)
    assert found == pytest.approx(expected, rel=0.1)
    # That of labels that the model does not believe in is another one.
    wrong = np.eye(2)[rng.integers(0, 2, len(x))] - scores
    (other,) = mean_squares([np.outer(a, b)] for a, b in zip(x, wrong, strict=True))
    assert other != pytest.approx(expected, rel=0.1)


def test_the_backend_gives_the_gradient_of_weighed_logits() -> None:
    from tfxfer.trust.gradients import WeightGradients

    inputs = keras.Input((3,))
    dense = keras.layers.Dense(2, name="dense")
    model = keras.Model(inputs, keras.layers.Softmax()(dense(inputs)))
    x, weights = np.array([[1.0, -2.0, 0.5]], np.float32), np.array([[0.25, -3.0]], np.float32)
    told: list[np.ndarray] = []

    def choose(scores: np.ndarray) -> np.ndarray:
        told.append(scores)
        return weights

    gradients = WeightGradients(model, None)
    kernel, bias = gradients.compute([x], choose)
    assert gradients.link == "softmax"
    assert told[0] == pytest.approx(model.predict_on_batch(x), rel=1e-5)
    assert kernel == pytest.approx(np.outer(x[0], weights[0]))
    assert bias == pytest.approx(weights[0])
    assert [v.path for v in gradients.variables] == ["dense/kernel", "dense/bias"]


def test_tasks_add_up_and_are_read_back(tmp_path: Path) -> None:
    found = add_importances(
        {"head": [np.ones((2, 1)), np.ones(1)], "old": [np.full(2, 3.0)]},
        {"head": [np.ones((2, 2)), np.zeros(2)]},
    )
    assert found["head"][0].tolist() == [[2, 1], [2, 1]]
    assert found["head"][1].tolist() == [1, 0]
    write_importances(tmp_path / "trust" / "fisher.npz", found)
    again = read_importances(tmp_path / "trust" / "fisher.npz")
    assert sorted(again) == ["head", "old"]
    for name, weights in found.items():
        for left, right in zip(weights, again[name], strict=True):
            assert left == pytest.approx(right)
    (tmp_path / "trust" / "fisher.npz").write_bytes(b"PK nothing")
    with pytest.raises(RunError, match="--keep ewc wrote"):
        read_importances(tmp_path / "trust" / "fisher.npz")


def test_no_samples_have_no_mean() -> None:
    with pytest.raises(ValueError, match="expected a sample"):
        mean_squares([])
