from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.inspection import onnx_file
from tfxfer_edge.inspection.onnx_file import inspect_onnx

onnx = pytest.importorskip("onnx")


def make_model(*, domain: str = "", kind: Any = np.float32) -> Any:
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    kernel = onnx.numpy_helper.from_array(np.zeros((6, 3, 3, 3), kind), "kernel")
    bias = onnx.numpy_helper.from_array(np.zeros(6, np.float32), "bias")
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["a"]),
        helper.make_node("Conv", ["image", "kernel", "bias"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["scores"], domain=domain),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", float32, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", float32, ["N", 6, 6, 6])],
        initializer=[kernel, bias],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="us")


def test_ends_operators_and_weights() -> None:
    content = make_model().SerializeToString()
    document = inspect_onnx(content, source="x")
    assert document["kind"] == "onnx"
    assert document["bytes"] == len(content)
    (source,), (target,) = document["inputs"], document["outputs"]
    assert (source["name"], source["dtype"], source["shape"]) == ("image", "float32", [-1, 3, 8, 8])
    assert target["name"] == "scores"
    rows = {row["operator"]: row for row in document["operators"]}
    weights = 4 * (6 * 3 * 3 * 3 + 6)  # both convolutions read the same
    assert (rows["Conv"]["count"], rows["Conv"]["weight_bytes"]) == (2, weights)
    assert rows["Add"]["weight_bytes"] == 0
    assert document["total"] == {
        "operators": 3,
        "weight_bytes": weights,
        "multiplications": 2 * 6 * 6 * (6 * 3 * 3 * 3),
    }
    # Both sums are held at the end, and what they add up to.
    assert document["activations"] == {
        "peak_bytes": 3 * 4 * 6 * 6 * 6,
        "operator": "Add",
        "index": 2,
    }
    first = document["largest"][0]
    assert (first["shape"], first["bytes"]) == ([1, 6, 6, 6], 864)
    assert document["metadata"]["producer"] == "us"
    assert document["metadata"]["opsets"] == {"ai.onnx": 17}
    assert document["remarks"] == []


def build(kind: str, shapes: Any, made: Any, **attributes: Any) -> bytes:
    """Returns a file of one node, whose first input is computed and whose others are weights."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    names = [f"i{number}" for number in range(len(shapes))]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["made"], **attributes)],
        "g",
        [helper.make_tensor_value_info("i0", float32, shapes[0])],
        [helper.make_tensor_value_info("made", float32, made)],
        initializer=[
            onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
            for name, shape in zip(names[1:], shapes[1:], strict=True)
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


@pytest.mark.parametrize(
    ("kind", "shapes", "made", "attributes", "expected"),
    [
        ("Conv", [("N", 7, 8, 10), (6, 7, 3, 3)], ("N", 6, 6, 8), {}, 6 * 8 * 9 * 7 * 6),
        ("Conv", [(1, 8, 8, 8), (6, 4, 3, 3)], None, {"group": 2}, 6 * 6 * 9 * 4 * 6),
        ("ConvTranspose", [(1, 3, 4, 4), (3, 5, 2, 2)], None, {}, 4 * 4 * 4 * 3 * 5),
        ("Gemm", [(1, 20), (11, 20)], None, {"transB": 1}, 20 * 11),
        ("Gemm", [(20, 2), (20, 11)], None, {"transA": 1}, 2 * 20 * 11),
        ("MatMul", [(2, 3, 7), (7, 5)], None, {}, 2 * 3 * 7 * 5),
        ("GRU", [(9, 1, 4), (1, 18, 4), (1, 18, 6)], None, {"hidden_size": 6}, 9 * 18 * (4 + 6)),
        ("Relu", [(1, 8)], None, {}, 0),
        ("Einsum", [(2, 3), (3, 4)], None, {"equation": "ij,jk->ik"}, None),
    ],
)
def test_multiplications_are_those_of_a_hand(
    kind: str, shapes: Any, made: Any, attributes: Any, expected: int | None
) -> None:
    document = inspect_onnx(build(kind, shapes, made, **attributes), source="x")
    assert document["operators"][0]["multiplications"] == expected
    assert (len(document["remarks"]) == 1) == (expected is None)


def test_what_cannot_be_inferred_is_not_guessed() -> None:
    """A free size within the graph, and an operator that nobody knows, whose output is read."""
    model = make_model(domain="com.us")
    node = onnx.helper.make_node("Conv", ["scores", "kernel"], ["more"])
    model.graph.node.append(node)
    model.graph.output[0].name = "more"
    document = inspect_onnx(model.SerializeToString(), source="x")
    assert document["activations"] is None
    rows = {row["operator"]: row["multiplications"] for row in document["operators"]}
    assert rows == {"Conv": None, "com.us.Add": None}
    assert document["remarks"] == [
        "multiplications without those of Conv, com.us.Add, which the file does not tell"
    ]


def test_bytes_are_those_of_the_type() -> None:
    document = inspect_onnx(make_model(kind=np.int8).SerializeToString(), source="x")
    assert document["total"]["weight_bytes"] == 6 * 3 * 3 * 3 + 4 * 6


def test_values_that_are_not_stored_raw_count_alike() -> None:
    model = make_model()
    values = onnx.helper.make_tensor("bias", onnx.TensorProto.FLOAT, [6], [0.0] * 6)
    assert not values.raw_data
    model.graph.initializer[1].CopyFrom(values)
    document = inspect_onnx(model.SerializeToString(), source="x")
    assert document["total"]["weight_bytes"] == 4 * (6 * 3 * 3 * 3 + 6)


def test_an_operator_of_another_domain_says_so() -> None:
    document = inspect_onnx(make_model(domain="com.us").SerializeToString(), source="x")
    assert "com.us.Add" in [row["operator"] for row in document["operators"]]


def test_graphs_within_operators_are_named() -> None:
    model = make_model()
    inner = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["a"], ["r"])], "i", [], [])
    model.graph.node[2].attribute.append(onnx.helper.make_attribute("body", inner))
    (remark,) = inspect_onnx(model.SerializeToString(), source="x")["remarks"]
    assert "graphs within operators" in remark


def test_a_type_of_the_future_is_no_fault() -> None:
    model = make_model()
    model.graph.initializer[0].data_type = 99
    document = inspect_onnx(model.SerializeToString(), source="x")
    assert document["total"]["weight_bytes"] == 4 * (6 * 3 * 3 * 3 + 6)  # as many as it holds


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_refused(share: float) -> None:
    content = make_model().SerializeToString()
    with pytest.raises(ModelError, match=r"expected (a whole ONNX file|an ONNX file with a graph)"):
        inspect_onnx(content[: int(share * len(content))], source="x")


@pytest.mark.parametrize(
    "content", [b"", b"\x08\x08", np.random.default_rng(1).bytes(3000), b"{'json': 1}"]
)
def test_a_foreign_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="ONNX file"):
        inspect_onnx(content, source="x")


def test_weights_in_another_file_are_refused() -> None:
    model = make_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"
    with pytest.raises(ModelError, match="expected weights within the file"):
        inspect_onnx(model.SerializeToString(), source="x")


def test_without_onnx_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_file.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'tfxfer-edge\[onnx\]'"):
        inspect_onnx(make_model().SerializeToString(), source="x")


@pytest.mark.parametrize("word", [b"kernel", b"scores", b"Add", b"bias"])
def test_names_that_are_no_text_are_refused(word: bytes) -> None:
    content = make_model().SerializeToString()
    assert word in content
    with pytest.raises(ModelError, match="expected an ONNX file with names in UTF-8"):
        inspect_onnx(content.replace(word, b"\xaa" * len(word)), source="x")
