"""What a phase's batches are drawn from, and how much each sample counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfxfer import Phase, UsageError, fit
from tfxfer.data.draw import EpochDraw
from tfxfer.training import supply

SCHEDULE = (Phase("head", "backbone", 1, 5e-2),)


def train(model: Any, data: Any, **options: Any) -> Any:
    shared = {"schedule": SCHEDULE, "augment": "none", "batch_size": 8, "seed": 3, "verbose": 0}
    return fit(model, data, **(shared | options))


class SeenError(Exception):
    """Ends a training once it has been seen how it would draw its batches."""


@pytest.mark.parametrize("balance", ["none", "weights", "oversample"])
def test_balance_reaches_the_batches(
    make_tiny: Callable[..., Any], images: Any, balance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_batches(
        read: Any, draw: EpochDraw, targets: Any, *, sample_weights: Any = None, **_: Any
    ) -> None:
        assert (draw.oversampled is not None) is (balance == "oversample")
        assert (sample_weights is not None) is (balance == "weights")
        raise SeenError

    monkeypatch.setattr(supply, "make_batches", make_batches)
    with pytest.raises(SeenError):
        train(make_tiny(), images, balance=balance)


def test_sources_are_drawn_equally_and_weights_reach_the_loss(
    make_tiny: Callable[..., Any], images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(images.train)
    domains = (np.arange(count) >= 3).astype(np.int64)
    weights = np.linspace(0.5, 1.5, count, dtype=np.float32)
    data = replace(images, train=replace(images.train, domains=domains, weights=weights))

    def make_batches(
        read: Any, draw: EpochDraw, targets: Any, *, sample_weights: Any = None, **_: Any
    ) -> None:
        np.testing.assert_array_equal(sample_weights, weights)
        order, _ = draw.epoch(0)
        assert abs((domains[order] == 0).sum() - count / 2) <= 1
        raise SeenError

    monkeypatch.setattr(supply, "make_batches", make_batches)
    with pytest.raises(SeenError):
        train(make_tiny(), data)
    with pytest.raises(UsageError, match="balance='weights'"):
        train(make_tiny(), data, balance="oversample")
