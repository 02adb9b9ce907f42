"""A graph that takes pixels as bytes, as one that takes the same numbers as floats.

The input of a TFLite file is quantized by a scale and a zero point, and what a graph does with
bytes before it makes floats of them has no quantized kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.tensorflow_lite import freeze_variables

__all__ = ["take_floats"]

_MOVES = frozenset(
    {"ExpandDims", "Identity", "Reshape", "ReverseV2", "Squeeze", "StopGradient", "StridedSlice",
     "Transpose", "ResizeNearestNeighbor"}
)  # fmt: skip
_LOOKS = frozenset({"ResizeBilinear", "ResizeBicubic", "ResizeArea", "Shape"})


def take_floats(function: Any, *, name: str) -> Callable[[Any], Any]:
    """Returns what maps float pixels 0..255 to the scores that a function gives for bytes.

    Args:
        function: a `ConcreteFunction` of one uint8 tensor, with one output.
        name: of the model, for messages.

    Raises:
        ModelError: it computes with bytes before it makes floats of them.
    """
    frozen = freeze_variables(function)
    source, target = frozen.inputs[0], frozen.outputs[0]
    definition = frozen.graph.as_graph_def()
    _retype(definition, source.op.name, name)

    def call(image: Any) -> Any:
        import tensorflow as tf

        (scores,) = tf.graph_util.import_graph_def(
            definition, input_map={source.name: image}, return_elements=[target.name], name="bytes"
        )
        return scores

    return call


def _retype(definition: Any, start: str, name: str) -> None:
    """Makes floats of the bytes in a graph, up to where they become floats anyway."""
    import tensorflow as tf

    floats = tf.float32.as_datatype_enum
    nodes = {node.name: node for node in definition.node}
    nodes[start].attr["dtype"].type = floats
    waiting = [start]
    while waiting:
        made = waiting.pop()
        for node in definition.node:
            if made not in {text.partition(":")[0] for text in node.input}:
                continue
            if node.op == "Cast":
                node.attr["SrcT"].type = floats
                if node.attr["DstT"].type == floats:
                    node.op = "Identity"
                    node.ClearField("attr")
                    node.attr["T"].type = floats
            elif node.op in _MOVES | _LOOKS:
                node.attr["T"].type = floats
                if node.op in _MOVES:
                    waiting.append(node.name)
            else:
                raise ModelError(
                    f"model {name!r}: expected bytes that are cast to float32 first. Received: "
                    f"{node.op} (makes {node.name!r}) on uint8. Save the model with a float32 "
                    "input of pixels 0..255."
                )
