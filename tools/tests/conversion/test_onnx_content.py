from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.onnx import OnnxModel
from tfxfer_edge.conversion.onnx_content import check_onnx_content

onnx: Any = pytest.importorskip("onnx")


def make_model(tensor: Any, *, within: str) -> Any:
    from onnx import TensorProto, helper

    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    one = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    two = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    add = helper.make_node("Add", ["x", "w"], ["y"])
    if within == "initializer":
        tensor.name = "w"
        graph = helper.make_graph([add], "g", [one], [two], [tensor])
    elif within == "attribute":
        graph = helper.make_graph([constant, add], "g", [one], [two])
    else:
        inner = helper.make_graph([constant], "inner", [], [two])
        node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
        graph = helper.make_graph([node], "g", [one], [two])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def make_tensor(*, is_elsewhere: bool) -> Any:
    tensor = onnx.numpy_helper.from_array(np.ones(2, np.float32), "w")
    if is_elsewhere:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../secret.bin"
    return tensor


@pytest.mark.parametrize("within", ["initializer", "attribute", "branch"])
def test_weights_of_another_file_are_refused(within: str, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(make_model(make_tensor(is_elsewhere=True), within=within).SerializeToString())
    with pytest.raises(ModelError, match=r"weights within the file.*another one"):
        OnnxModel(path)
    whole = make_model(make_tensor(is_elsewhere=False), within=within).SerializeToString()
    check_onnx_content(whole, source="x")  # the control


def test_nothing_hides_behind_a_field_that_onnx_does_not_use(tmp_path: Path) -> None:
    hidden = make_model(make_tensor(is_elsewhere=True), within="initializer").SerializeToString()
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\xc3\x3e\xc4\x3e" + hidden)  # an empty group, number 1000
    with pytest.raises(ModelError, match=r"Received: a group, field 1000"):
        OnnxModel(path)


def test_what_is_no_message_is_left_to_the_runtime(tmp_path: Path) -> None:
    for content in (b"", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff" * 99):
        check_onnx_content(content, source="x")
