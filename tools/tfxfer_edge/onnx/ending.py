"""How the graph of an `.onnx` file ends: in probabilities, or in the sums before them."""

from __future__ import annotations

from tfxfer_edge.conversion.onnx_content import list_fields

__all__ = ["find_onnx_activation"]

_GRAPH = 7
_NODE, _STORED, _OUTPUT = 1, 5, 12  # of a graph
_READS, _WRITES, _KIND = 1, 2, 4  # of a node
_NAME, _NAME_OF_TENSOR = 1, 8
_PASSES_ON = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze"})
_ACTIVATIONS = {
    "Clip": "clip",
    "LogSoftmax": "log_softmax",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
_SUMS = frozenset({"Conv", "Gemm", "MatMul"})

_Node = dict[int, list[bytes]]


def find_onnx_activation(content: bytes) -> str | None:
    """Returns what the first output of a file went through.

    Args:
        content: of a whole `.onnx` file.

    Returns:
        The name of a function, `linear` for what a dense layer adds up, or None where the end is
        another operator.
    """
    graph = _read(dict(list_fields(memoryview(content)))[_GRAPH])
    nodes = [_read(item) for item in graph.get(_NODE, [])]
    stored = {name for item in graph.get(_STORED, []) for name in _read(item)[_NAME_OF_TENSOR]}
    makers = {made: node for node in nodes for made in node.get(_WRITES, [])}
    (name, *_) = _read(graph[_OUTPUT][0])[_NAME]
    for _ in nodes:  # a damaged file may go round in circles
        node = makers.get(name)
        if node is None or not node.get(_READS):
            return None
        kind = node[_KIND][0].decode()
        if kind in _PASSES_ON or kind in _RESHAPES:
            name = node[_READS][0]
            continue
        if kind == "Add" and _adds_bias(node, makers, stored):
            return "linear"
        return "linear" if kind in _SUMS else _ACTIVATIONS.get(kind)
    return None


def _adds_bias(node: _Node, makers: dict[bytes, _Node], stored: set[bytes]) -> bool:
    """Returns whether one side of an addition is stored, and the other what weights add up to."""
    others = [name for name in node[_READS] if name not in stored]
    if len(others) != 1 or others[0] not in makers:
        return False
    return makers[others[0]][_KIND][0].decode() in _SUMS


def _read(message: bytes | memoryview) -> _Node:
    """Returns the fields of a message that have bytes, each as often as it is there."""
    found: _Node = {}
    for field, value in list_fields(memoryview(message)):
        if isinstance(value, memoryview):
            found.setdefault(field, []).append(bytes(value))
    return found
