"""Small `.onnx` files, as others make them: the mean colour of a photo decides."""

from __future__ import annotations

from typing import Any

import numpy as np

LABELS = ("red", "green", "blue")
SIDE = 8


def build_onnx(
    *,
    shape: tuple[Any, ...] = ("batch", 3, SIDE, SIDE),
    activation: str | None = "Softmax",
    inputs: int = 1,
    output_shape: tuple[Any, ...] | None = ("batch", 3),
    pixels: str = "FLOAT",
) -> bytes:
    """Returns a file whose scores grow with the mean of each channel.

    Args:
        shape: of the input, with the channels first or last; words are sizes that are free.
        activation: the last operator; None ends in sums.
        inputs: how many; further ones are added to the first.
        output_shape: as the file states it.
        pixels: type of the input.
    """
    from onnx import TensorProto, helper, numpy_helper

    kind = getattr(TensorProto, pixels)
    names = [f"pixels{number or ''}" for number in range(inputs)]
    axes, channels = ([2, 3], 3) if shape[1] == 3 else ([1, 2], shape[3])
    weights = numpy_helper.from_array(np.eye(channels, 3, dtype=np.float32) * 4, "weights")
    bias = numpy_helper.from_array(np.zeros(3, np.float32), "bias")
    stored = numpy_helper.from_array(np.array(axes, np.int64), "axes")
    nodes = [helper.make_node("Cast", [names[0]], ["x0"], to=TensorProto.FLOAT)]
    for number, name in enumerate(names[1:], 1):
        nodes.append(helper.make_node("Add", [f"x{number - 1}", name], [f"x{number}"]))
    nodes += [
        helper.make_node("ReduceMean", [f"x{inputs - 1}", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["sums"]),
    ]
    if activation is not None:
        nodes.append(helper.make_node(activation, ["sums"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [
            helper.make_tensor_value_info(
                "sums" if activation is None else "scores", TensorProto.FLOAT, output_shape
            )
        ],
        [weights, bias, stored],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def paint_colours() -> np.ndarray:
    """Returns a photo of each label, uint8 (3, SIDE, SIDE, 3), with another colour in a corner."""
    found = np.full((3, SIDE, SIDE, 3), 20, np.uint8)
    for channel in range(3):
        found[channel, ..., channel] = 220
    found[:, :2, :2] = 128
    return found
