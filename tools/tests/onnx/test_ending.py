from __future__ import annotations

import pytest

from tfxfer_edge.onnx.ending import find_onnx_activation

from ..onnx_files import build_onnx

pytest.importorskip("onnx")


@pytest.mark.parametrize(
    ("activation", "found"),
    [
        ("Softmax", "softmax"),
        ("Sigmoid", "sigmoid"),
        ("LogSoftmax", "log_softmax"),
        ("Relu", "relu"),
        (None, "linear"),
        ("Identity", "linear"),
        ("Exp", None),
    ],
)
def test_the_last_operator_says_how_a_graph_ends(activation: str | None, found: str | None) -> None:
    assert find_onnx_activation(build_onnx(activation=activation)) == found
