"""How the graph of a `.tflite` file ends: in probabilities, or in the sums before them."""

from __future__ import annotations

from typing import Any

from tfxfer_edge.tflite.flatbuffer import operator_names, read_model

__all__ = ["find_file_activation"]

_PASSES_ON = frozenset({"CAST", "DEQUANTIZE", "QUANTIZE"})
_RESHAPES = frozenset({"RESHAPE", "SQUEEZE"})
_ACTIVATIONS = {
    "LOGISTIC": "sigmoid",
    "LOG_SOFTMAX": "log_softmax",
    "RELU": "relu",
    "RELU6": "relu6",
    "SOFTMAX": "softmax",
    "TANH": "tanh",
}
_SUMS = frozenset({"CONV_2D", "FULLY_CONNECTED"})


def find_file_activation(content: bytes | bytearray) -> str | None:
    """Returns what the only output of a file went through.

    Returns:
        The name of a function, `linear` for what a dense layer adds up, or None where the end is
        another operator.

    Raises:
        ModelError: the bytes are no TFLite file.
    """
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)
    makers = {
        int(made): operator
        for operator in graph.operators or []
        for made in ([] if operator.outputs is None else operator.outputs)
    }
    index = int(graph.outputs[0])
    for _ in makers:  # a damaged file may go round in circles
        operator = makers.get(index)
        if operator is None or operator.inputs is None or not len(operator.inputs):
            return None
        name, source = names[operator.opcodeIndex], int(operator.inputs[0])
        if name in _PASSES_ON or (
            name in _RESHAPES and _last(graph, source) == _last(graph, index)
        ):
            index = source
            continue
        if name in _SUMS:
            return _fused(operator.builtinOptions)
        return _ACTIVATIONS.get(name)
    return None


def _last(graph: Any, index: int) -> int | None:
    shape = graph.tensors[index].shape
    return int(shape[-1]) if shape is not None and len(shape) else None


def _fused(options: Any) -> str | None:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {v: k for k, v in vars(schema.ActivationFunctionType).items() if isinstance(v, int)}
    name = kinds.get(getattr(options, "fusedActivationFunction", -1), "")
    return "linear" if name == "NONE" else name.lower() or None
