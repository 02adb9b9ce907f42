"""Weights of an earlier model in one with further labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.keeping.growth import copy_weights, grow_weight


def test_earlier_entries_come_first_and_new_ones_stay_as_they_begin() -> None:
    fresh = np.full((2, 3), 7.0)
    grown = grow_weight(np.array([[1.0, 2.0], [3.0, 4.0]]), fresh)
    assert grown is not None
    assert grown.tolist() == [[1, 2, 7], [3, 4, 7]]
    assert (fresh == 7).all()
    assert grow_weight(np.zeros((3, 2)), fresh) is None
    assert grow_weight(np.zeros((2, 4)), fresh) is None


def test_a_grown_model_scores_earlier_labels_as_before(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    earlier, model = make_tiny(seed=1), make_tiny(labels=5, seed=2)
    pixels = blobs(4, 3, seed=0)[0].astype(np.float32)
    earlier.get_layer("head_dense").set_weights(
        [np.random.default_rng(0).normal(size=(8, 3)), np.array([0.1, -0.2, 0.3])]
    )
    kernel, bias = model.get_layer("head_dense").get_weights()
    copy_weights(earlier, model, ("head_dense",))
    grown = model.get_layer("head_dense").get_weights()
    assert (grown[0][:, 3:] == kernel[:, 3:]).all()
    assert (grown[1][3:] == bias[3:]).all()
    before, after = earlier.predict_on_batch(pixels), model.predict_on_batch(pixels)
    ratio = after[:, :3] / after[:, :3].sum(axis=1, keepdims=True)
    assert ratio == pytest.approx(before, abs=1e-6)


def test_a_layer_that_may_not_grow_is_refused(make_tiny: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match=r"'head_dense'.*takes no further labels"):
        copy_weights(make_tiny(), make_tiny(labels=5), ())
