"""Targets and scores of made-up models, and what evaluation says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.evaluation import (
    score_predictions,
)
from tfxfer_heads import Classification, Multilabel, Regression


def make_classes(
    sizes: tuple[int, ...], *, signal: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One-hot targets and probabilities of a model that is calibrated for equal sizes."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(sizes)), sizes)
    logits = rng.normal(size=(len(true), len(sizes)))
    logits[np.arange(len(true)), true] += signal
    scores = np.exp(logits * signal)
    return np.eye(len(sizes))[true], scores / scores.sum(axis=1, keepdims=True)


def make_labels(seed: int = 0, *, images: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((images, 4)) < (0.1, 0.3, 0.5, 0.2)).astype(float)
    return targets, np.clip(0.4 * targets + 0.7 * rng.random(targets.shape), 0, 1)


def score_classes(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"class {k}" for k in range(targets.shape[1])]
    return score_predictions(targets, scores, head=Classification(), labels=labels, **options)


def score_labels(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"label {k}" for k in range(targets.shape[1])]
    head = Multilabel(**options.pop("head", {}))
    return score_predictions(targets, scores, head=head, labels=labels, **options)


def score_values(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"value_{k + 1}" for k in range(targets.shape[1])]
    return score_predictions(targets, scores, head=Regression(), labels=labels, **options)


def check_figure(figure: dict[str, float], value: float) -> None:
    assert figure["value"] == pytest.approx(value, rel=1e-6)
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert figure["low"] < figure["high"]


# ---------------------------------------------------------------- values
