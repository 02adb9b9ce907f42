from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.onnx import OnnxModel
from tfxfer_edge.conversion.onnx_int8 import quantize_onnx

from ..conftest import paint_photos

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIDE, FILTERS, CLASSES = 32, 8, 5


def build_network() -> bytes:
    """Returns a float network as Keras exports one: rescale, convolution, pooling, scores."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    # One filter of large weights: what a scale for all of them would not serve.
    kernel = rng.normal(0, 0.2, (FILTERS, 3, 3, 3)).astype(np.float32)
    kernel[0] *= 20
    stored = {
        "scale": np.array([1 / 127.5], np.float32),
        "offset": np.array([-1.0], np.float32),
        "kernel": kernel,
        "bias": rng.normal(0, 0.1, FILTERS).astype(np.float32),
        "dense": rng.normal(0, 1.5, (FILTERS, CLASSES)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["rescaled"]),
        helper.make_node("Transpose", ["rescaled"], ["image"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["image", "kernel", "bias"], ["map"], strides=[2, 2]),
        helper.make_node("Relu", ["map"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("MatMul", ["features", "dense"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=8
    ).SerializeToString()
    return content


def paint(count: int, *, seed: int) -> np.ndarray:
    return paint_photos(count, seed=seed, side_px=SIDE).astype(np.float32)


def paint_ends() -> np.ndarray:
    shape = (SIDE, SIDE, 3)
    return np.stack([np.zeros(shape), np.full(shape, 255.0)]).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> bytes:
    return build_network()


@pytest.fixture(scope="module")
def integers(network: bytes) -> bytes:
    return quantize_onnx(network, paint(20, seed=1), extremes=paint_ends(), name="network")


def list_stored(content: bytes) -> dict[str, np.ndarray]:
    graph = onnx.load_from_string(content).graph
    return {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}


def list_inputs_of(content: bytes, kind: str) -> list[tuple[str, ...]]:
    """Returns which operators make what those of one kind read."""
    graph = onnx.load_from_string(content).graph
    makers = {made: node.op_type for node in graph.node for made in node.output}
    return [
        tuple(makers.get(name, "") for name in node.input)
        for node in graph.node
        if node.op_type == kind
    ]


def test_scores_are_near_those_of_the_float_network(network: bytes, integers: bytes) -> None:
    photos = paint(40, seed=2)
    expected, found = (OnnxModel(each).run(photos) for each in (network, integers))
    assert np.abs(found - expected).mean() < 0.01
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    # The control: other photos differ by far more.
    assert np.abs(expected[::-1] - expected).mean() > 0.05


def test_convolutions_compute_in_integers_and_the_ends_in_float(integers: bytes) -> None:
    (sources,) = list_inputs_of(integers, "Conv")
    assert set(sources) == {"DequantizeLinear"}
    for kind in ("Mul", "Add", "MatMul", "Softmax"):
        for makers in list_inputs_of(integers, kind):
            assert "DequantizeLinear" not in makers, kind
    kernels = {name: x for name, x in list_stored(integers).items() if x.shape[1:] == (3, 3, 3)}
    assert [x.dtype.name for x in kernels.values()] == ["int8"]


def test_each_output_channel_has_a_scale_of_its_own(integers: bytes) -> None:
    (scale,) = [
        x for name, x in list_stored(integers).items() if "kernel" in name and "scale" in name
    ]
    assert scale.shape == (FILTERS,)
    assert scale[0] > 5 * scale[1:].max()


def test_the_input_has_room_for_pixels_that_no_photo_reached(network: bytes) -> None:
    dark = paint(20, seed=1) * 0.3
    bright = np.clip(paint(20, seed=3) + 80, 0, 255)
    expected = OnnxModel(network).run(bright)
    off = {}
    for name, ends in (("with", paint_ends()), ("without", None)):
        content = quantize_onnx(network, dark, extremes=ends, name="network")
        off[name] = np.abs(OnnxModel(content).run(bright) - expected).mean()
        scale = next(x for key, x in list_stored(content).items() if key == "image_scale")
        reach = {"with": 2 / 255, "without": 1 / 255}[name]
        assert scale == pytest.approx(reach, rel=0.01)
    assert off["with"] < off["without"]  # the control


def test_the_last_layer_is_known_where_its_bias_is_added_apart(network: bytes) -> None:
    whole: Any = onnx.load_from_string(network)
    softmax = whole.graph.node.pop()
    add = onnx.helper.make_node("Add", ["sums", "last_bias"], ["biased"])
    softmax.input[0] = "biased"
    whole.graph.node.extend([add, softmax])
    whole.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones(CLASSES, np.float32), "last_bias")
    )
    content = quantize_onnx(
        whole.SerializeToString(), paint(20, seed=1), extremes=paint_ends(), name="network"
    )
    assert {"MatMul", "Gemm"} & {node.op_type for node in onnx.load_from_string(content).graph.node}
    stored = list_stored(content)
    assert stored["last_bias"].dtype == np.float32
    assert stored["dense"].dtype == np.float32


def test_what_the_quantizer_refuses_is_one_line(network: bytes) -> None:
    with pytest.raises(ModelError, match=r"model 'mine'.*onnxruntime's quantizer") as caught:
        quantize_onnx(network, np.zeros((3, 4, 4, 3), np.float32), extremes=None, name="mine")
    assert len(str(caught.value).splitlines()) == 1
