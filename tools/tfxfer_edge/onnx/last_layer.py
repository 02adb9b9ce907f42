"""The dense layer before the softmax or sigmoid at the end of an `.onnx` file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import ModelError

__all__ = ["cut_onnx_features", "read_onnx_dense", "replace_onnx_dense"]

_ENDS = {"Sigmoid": "LOGISTIC", "Softmax": "SOFTMAX"}


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the layer is.

    Args:
        model: the file, a `ModelProto`.
        dense: the node that multiplies by the kernel.
        kernel: its name.
        is_turned: whether it is held as (outputs, features).
        bias: the name of what is added; None where nothing is.
        logits: the name of the tensor that the end takes.
        end: the last node.
    """

    model: Any
    dense: Any
    kernel: str
    is_turned: bool
    bias: str | None
    logits: str
    end: Any

    def find(self, name: str) -> Any:
        """Returns what is stored under a name; None where nothing is."""
        stored = self.model.graph.initializer
        return next((item for item in stored if item.name == name), None)


def read_onnx_dense(content: bytes) -> tuple[np.ndarray, np.ndarray, str]:
    """Returns the kernel and the bias of the layer, and what follows: `SOFTMAX` or `LOGISTIC`.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: the file does not end in a dense layer in float32 and one of them.
    """
    from onnx import numpy_helper

    place = _find_place(content)
    kernel = numpy_helper.to_array(place.find(place.kernel))
    kernel = kernel.T if place.is_turned else kernel
    bias = np.zeros(kernel.shape[1], np.float32)
    if place.bias is not None:
        bias = numpy_helper.to_array(place.find(place.bias))
    return kernel, bias.reshape(-1), _ENDS[place.end.op_type]


def cut_onnx_features(content: bytes) -> bytes:
    """Returns a file of the same inputs whose output is what the layer takes.

    Raises:
        ModelError: see `read_onnx_dense`.
    """
    from onnx import helper

    place = _find_place(content)
    graph = place.model.graph
    del graph.output[:]
    graph.output.append(helper.make_empty_tensor_value_info(place.dense.input[0]))
    found: bytes = place.model.SerializeToString()
    return found


def replace_onnx_dense(content: bytes, kernel: np.ndarray, bias: np.ndarray) -> bytes:
    """Returns the file with another kernel and another bias.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: see `read_onnx_dense`.
    """
    from onnx import helper, numpy_helper

    place = _find_place(content)
    graph = place.model.graph
    held = kernel.T if place.is_turned else kernel
    place.find(place.kernel).CopyFrom(
        numpy_helper.from_array(np.ascontiguousarray(held, np.float32), place.kernel)
    )
    if place.bias is not None:
        stored = place.find(place.bias)
        shaped = bias.astype(np.float32).reshape(tuple(stored.dims))
        stored.CopyFrom(numpy_helper.from_array(shaped, place.bias))
    else:
        name = f"{place.logits}_fitted"
        graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), f"{name}_bias"))
        add = helper.make_node("Add", [place.logits, f"{name}_bias"], [name], name=name)
        place.end.input[0] = name
        graph.node.insert(list(graph.node).index(place.end), add)
    found: bytes = place.model.SerializeToString()
    return found


def _find_place(content: bytes) -> _Place:
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    makers = {made: node for node in graph.node for made in node.output}
    readers = [name for node in graph.node for name in node.input]
    stored = {
        item.name: item
        for item in graph.initializer
        # Of one that two nodes read, not the layer's alone would change.
        if item.data_type == onnx.TensorProto.FLOAT and readers.count(item.name) == 1
    }
    end = makers.get(graph.output[0].name)
    if end is None or end.op_type not in _ENDS:
        raise _refuse("another end" if end is None else end.op_type)
    logits = end.input[0]
    dense, bias = makers.get(logits), None
    if dense is not None and dense.op_type == "Add":
        biases = [name for name in dense.input if name in stored]
        others = [name for name in dense.input if name not in stored]
        if len(biases) == 1:
            bias, dense = biases[0], makers.get(others[0])
    if dense is None or dense.op_type not in ("Gemm", "MatMul") or dense.input[1] not in stored:
        raise _refuse("another operator" if dense is None else dense.op_type)
    options = {item.name: onnx.helper.get_attribute_value(item) for item in dense.attribute}
    is_turned = bool(options.pop("transB", 0))
    if any(value not in (0, 1) for value in options.values()) or options.get("transA"):
        raise _refuse(f"{dense.op_type} with {options}")
    if dense.op_type == "Gemm" and len(dense.input) > 2:
        if bias is not None or dense.input[2] not in stored:
            raise _refuse("a bias that is computed")
        bias = dense.input[2]
    return _Place(model, dense, dense.input[1], is_turned, bias, logits, end)


def _refuse(received: str) -> ModelError:
    return ModelError(
        "model: expected a dense layer in float32 and a softmax or sigmoid at its end. "
        f"Received: {received}."
    )
