"""A linear head becomes the last layer of a model, exactly, and no other layer does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer.adaptation.last_layer import fold_head, score_features
from tfxfer.adaptation.linear_head import LinearHead
from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ContractError
from tfxfer.frontier.cut import stage_shape
from tfxfer_heads import Classification, Regression


class Misnamed(Classification):
    """Names a layer that has no weights."""

    def linear_end(self) -> str:
        return "head_softmax"


def draw_head(model: Any, classes: int) -> tuple[LinearHead, np.ndarray]:
    rng, features = np.random.default_rng(0), stage_shape(model, BACKBONE_END)[-1]
    head = LinearHead(rng.normal(size=(features, classes)), rng.normal(size=classes))
    return head, rng.normal(size=(40, features)).astype(np.float32)


def test_the_network_says_what_the_linear_head_says(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    classes = model.outputs[0].shape[-1]
    head, probe = draw_head(model, classes)
    names = [layer.name for layer in model.layers]
    before = score_features(model, probe)
    assert np.abs(before - head.score(probe)).max() > 0.1
    fold_head(model, head, probe)
    assert score_features(model, probe) == pytest.approx(head.score(probe), abs=1e-5)
    assert [layer.name for layer in model.layers] == names
    images = np.random.default_rng(1).integers(0, 255, (4, *model.inputs[0].shape[1:]))
    assert np.asarray(model(images.astype(np.float32))).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_head_that_names_another_layer_is_told(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny(head=Misnamed())
    head, probe = draw_head(model, model.outputs[0].shape[-1])
    weights = [np.array(x) for x in model.get_weights()]
    with pytest.raises(ContractError, match="head_softmax"):
        fold_head(model, head, probe)
    assert all((a == b).all() for a, b in zip(model.get_weights(), weights, strict=True))


def test_heads_say_whether_they_can_be_fitted() -> None:
    assert Classification().linear_end() == "head_dense"
    assert Regression().linear_end() is None
