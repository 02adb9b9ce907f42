"""The main graph of a `.tflite` file as data: each operator with the tensors that it touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer_edge.tflite.flatbuffer import as_text, operator_names, type_name

__all__ = ["GraphTensor", "Operator", "describe_types", "list_graph"]

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")


@dataclass(frozen=True)
class GraphTensor:
    """One tensor of a graph.

    Args:
        index: where the graph has it.
        name: usually of the layer that made it.
        dtype: `float32`, `int8` and so on.
        shape: as the file allocates it, where a free size is 1.
        signature: the same, where a free size is -1.
        scale: one number, or one per channel; empty where not quantized.
        zero_point: as many as scales.
        axis: along which several scales follow each other.
        buffer: where the file has its values.
        values: those, as bytes; None where it has none.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int
    buffer: int
    values: np.ndarray | None

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.values is not None

    @property
    def bytes(self) -> int:
        """Of its values in the file; 0 where it has none."""
        return 0 if self.values is None else len(self.values)


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Args:
        index: its place in the order of execution.
        kind: what the schema calls it, such as `CONV_2D`; a custom one is `CUSTOM:` and its name.
        inputs: None where an optional one is left out.
        outputs: what it makes.
        options: its table of the schema; None where it has none.
    """

    index: int
    kind: str
    inputs: tuple[GraphTensor | None, ...]
    outputs: tuple[GraphTensor, ...]
    options: Any

    def input(self, number: int) -> GraphTensor | None:
        """Returns an input; None where it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None


def list_graph(model: Any) -> tuple[tuple[GraphTensor, ...], tuple[Operator, ...]]:
    """Returns the tensors of the main graph, and its operators in order of execution.

    Args:
        model: a `ModelT` whose graphs are sound, see `read_sound_model`.
    """
    graph, names = model.subgraphs[0], operator_names(model)
    tensors = tuple(_describe(model, index, x) for index, x in enumerate(graph.tensors))

    def pick(indices: Sequence[int] | None) -> tuple[GraphTensor | None, ...]:
        found = [] if indices is None else indices
        return tuple(tensors[int(x)] if x >= 0 else None for x in found)

    operators = tuple(
        Operator(
            index=index,
            kind=names[operator.opcodeIndex],
            inputs=pick(operator.inputs),
            outputs=tuple(x for x in pick(operator.outputs) if x is not None),
            options=operator.builtinOptions,
        )
        for index, operator in enumerate(graph.operators or [])
    )
    return tensors, operators


def describe_types(operator: Operator) -> str:
    """Returns the type that an operator computes in, and of its weights where that is another.

    Example: `int8`; `float32, int8 weights`; `float32 to uint8` of what converts.
    """
    source, weights = operator.input(0), operator.input(1)
    made = operator.outputs[0].dtype if operator.outputs else ""
    if operator.kind in _CONVERSIONS and source is not None:
        return f"{source.dtype} to {made}"
    if weights is not None and weights.is_constant and len(weights.shape) > 1:
        return made if weights.dtype == made else f"{made}, {weights.dtype} weights"
    return made


def _describe(model: Any, index: int, tensor: Any) -> GraphTensor:
    shape = _numbers(tensor.shape)
    data, quantization = model.buffers[tensor.buffer].data, tensor.quantization
    return GraphTensor(
        index=index,
        name=as_text(tensor.name),
        dtype=type_name(tensor).lower(),
        shape=shape,
        signature=_numbers(tensor.shapeSignature) or shape,
        scale=() if quantization is None else tuple(map(float, _listed(quantization.scale))),
        zero_point=() if quantization is None else _numbers(quantization.zeroPoint),
        axis=0 if quantization is None else int(quantization.quantizedDimension),
        buffer=int(tensor.buffer),
        values=data if data is not None and len(data) else None,
    )


def _numbers(values: Iterable[Any] | None) -> tuple[int, ...]:
    return tuple(map(int, _listed(values)))


def _listed(values: Iterable[Any] | None) -> Iterable[Any]:
    """Returns a vector of the flatbuffer, which is None where it is empty."""
    return () if values is None else values
