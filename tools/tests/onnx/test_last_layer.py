from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.onnx import OnnxModel
from tfxfer_edge.onnx.last_layer import cut_onnx_features, read_onnx_dense, replace_onnx_dense

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FEATURES, OUTPUTS = 4, 3
KERNEL = np.arange(12, dtype=np.float32).reshape(FEATURES, OUTPUTS) / 10
BIAS = np.array([0.1, -0.2, 0.3], np.float32)


def build(kind: str, *, end: str = "Softmax", **options: Any) -> bytes:
    """Returns a file that doubles its input, and ends as exporters end a network."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = KERNEL.T if options.get("transB") else KERNEL
    stored = {"two": np.float32(2.0), "kernel": np.ascontiguousarray(kernel)}
    nodes = [helper.make_node("Mul", ["x", "two"], ["features"])]
    if kind == "matmul":
        nodes.append(helper.make_node("MatMul", ["features", "kernel"], ["logits"]))
    elif kind == "matmul and add":
        nodes.append(helper.make_node("MatMul", ["features", "kernel"], ["products"]))
        nodes.append(helper.make_node("Add", ["bias", "products"], ["logits"]))
        stored["bias"] = BIAS[None]
    else:
        nodes.append(
            helper.make_node("Gemm", ["features", "kernel", "bias"], ["logits"], **options)
        )
        stored["bias"] = BIAS
    if kind == "shared":
        nodes.append(helper.make_node("MatMul", ["features", "kernel"], ["aside"]))
    nodes.append(helper.make_node(end, ["logits"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", OUTPUTS])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=8
    ).SerializeToString()
    return content


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


SAMPLES = np.random.default_rng(0).normal(size=(5, FEATURES)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("matmul", {}),
        ("matmul and add", {}),
        ("gemm", {}),
        ("gemm", {"transB": 1, "alpha": 1.0, "beta": 1.0}),
    ],
    ids=["no bias", "bias apart", "one node", "turned"],
)
def test_the_layer_is_read_cut_and_replaced(kind: str, options: dict[str, Any]) -> None:
    content = build(kind, **options)
    kernel, bias, end = read_onnx_dense(content)
    np.testing.assert_array_equal(kernel, KERNEL)
    np.testing.assert_array_equal(bias, 0 * BIAS if kind == "matmul" else BIAS)
    assert end == "SOFTMAX"
    features = OnnxModel(cut_onnx_features(content)).run(SAMPLES)
    np.testing.assert_array_equal(features, 2 * SAMPLES)
    np.testing.assert_allclose(
        OnnxModel(content).run(SAMPLES), softmax(features @ kernel + bias), atol=1e-6
    )
    other, shift = -KERNEL[::-1] + 0.05, np.array([1.0, 2.0, -3.0])
    changed = replace_onnx_dense(content, other, shift)
    found = OnnxModel(changed).run(SAMPLES)
    np.testing.assert_allclose(found, softmax(features @ other + shift), atol=1e-6)
    again = read_onnx_dense(changed)
    np.testing.assert_allclose(again[0], other, atol=1e-6)
    np.testing.assert_allclose(again[1], shift, atol=1e-6)


def test_a_sigmoid_is_an_end_too() -> None:
    assert read_onnx_dense(build("gemm", end="Sigmoid"))[2] == "LOGISTIC"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (build("gemm", end="Tanh"), "Received: Tanh"),
        (build("gemm", alpha=0.5), "alpha"),
        (build("shared"), "Received: Gemm"),
    ],
    ids=["another end", "scaled", "kernel read twice"],
)
def test_what_cannot_be_replaced_is_told(content: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read_onnx_dense(content)
