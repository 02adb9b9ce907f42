"""Which tensor of a float graph a tensor of a smaller file stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.operators import GraphTensor, Operator, list_graph
from tfxfer_edge.tflite.flatbuffer import read_model, write_model
from tfxfer_edge.tflite.soundness import read_sound_model

__all__ = ["Graph", "check_origin", "dequantize", "find_twins", "graft", "quantize", "read_graph"]

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # which quantization adds; a CAST is of the network
_STORED = ("float32", "float16", "int8", "int16", "uint8")
_MOST_OFF = 0.5
"""Of the size of weights: four bits are off by a tenth, another training by more than 1."""


_LEAST_CHANGE, _TIMES_MIDDLE = 0.1, 5
"""Eight bits for each channel are off by a hundredth, and all layers much alike."""


@dataclass(frozen=True)
class Graph:
    """The main graph of a file.

    Args:
        tensors: all of them, by index.
        operators: in order of execution.
        inputs: indices of tensors.
        outputs: indices of tensors.
    """

    tensors: tuple[GraphTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(content: bytes, *, source: str) -> Graph:
    """Returns the only graph of a file.

    Raises:
        ModelError: it is no whole `.tflite` file, or has several graphs.
    """
    try:
        model = read_sound_model(content)
    except ModelError as error:
        raise ModelError(f"model {source!r}: {str(error).removeprefix('model: ')}") from error
    if len(model.subgraphs) != 1:
        raise ModelError(
            f"model {source!r}: expected one graph, as files of a run have. "
            f"Received: {len(model.subgraphs)}."
        )
    tensors, operators = list_graph(model)
    main = model.subgraphs[0]
    return Graph(tensors, operators, tuple(map(int, main.inputs)), tuple(map(int, main.outputs)))


def find_twins(graph: Graph, exact: Graph) -> dict[int, int]:
    """Returns for tensors that a file computes those of the float graph, by index.

    Twins have one name and one shape; where names differ, one position among the operators of
    graphs that are alike but for conversions. What is only converted has one twin with its source.

    Args:
        graph: of the file.
        exact: the float graph.
    """
    twins: dict[int, int] = {}

    def pair(mine: GraphTensor, theirs: GraphTensor) -> None:
        if mine.index not in twins and mine.shape == theirs.shape:
            twins[mine.index] = theirs.index

    for ends in ("inputs", "outputs"):
        found, expected = (
            [side.tensors[index] for index in getattr(side, ends)] for side in (graph, exact)
        )
        if {x.name for x in found} == {x.name for x in expected}:  # in any order, as texts are
            found, expected = (sorted(x, key=lambda end: end.name) for x in (found, expected))
        if len(found) == len(expected):
            for mine, twin in zip(found, expected, strict=True):
                pair(mine, twin)
    named = {x.name: x for operator in exact.operators for x in operator.outputs}
    for operator in graph.operators:
        for tensor in operator.outputs:
            if tensor.name in named and operator.kind not in _CONVERSIONS:
                pair(tensor, named[tensor.name])
    kept = [[x for x in side.operators if x.kind not in _CONVERSIONS] for side in (graph, exact)]
    if [x.kind for x in kept[0]] == [x.kind for x in kept[1]]:
        for operator, other in zip(*kept, strict=True):
            for made, twin in zip(operator.outputs, other.outputs, strict=False):
                pair(made, twin)
    for operators in (reversed(graph.operators), graph.operators):
        for operator in operators:
            source = operator.input(0)
            if operator.kind in _CONVERSIONS and source is not None:
                made = operator.outputs[0]
                for known, other in ((made, source), (source, made)):
                    if known.index in twins:
                        pair(other, exact.tensors[twins[known.index]])
    return twins


def check_origin(
    graph: Graph, exact: Graph, twins: Mapping[int, int], *, source: str
) -> tuple[Operator, ...]:
    """Refuses a file that was not made of the float graph, told by tensors and by weights.

    Returns:
        Operators whose weights are others than rounding makes them, such as a head that was fitted
        anew.

    Raises:
        ModelError: it has other tensors, or weights of another training.
    """
    made = [x.index for operator in graph.operators for x in operator.outputs]
    found = sum(index in twins for index in made)
    if 2 * found < len(made) or not made:
        raise ModelError(
            f"model {source!r}: expected a file that was made of this run. Received: one of whose "
            f"{len(made)} tensors {found} are the run's. Give the run that it was exported from."
        )
    makers = {x.index: operator for operator in exact.operators for x in operator.outputs}
    off: dict[int, float] = {}
    for operator in graph.operators:
        other = makers.get(twins.get(operator.outputs[0].index, -1)) if operator.outputs else None
        if operator.kind in _WEIGHTED and other is not None and other.kind == operator.kind:
            found_off = _compare_weights(operator.input(1), other.input(1))
            if found_off is not None:
                off[operator.index] = found_off
    middle = float(np.median(list(off.values()))) if off else 0.0
    if middle > _MOST_OFF:
        raise ModelError(
            f"model {source!r}: expected a file that was made of this run. Received: the run's "
            f"layers with other weights, off by {100 * middle:.0f} % of their size. "
            "Give the run that it was exported from."
        )
    limit = max(_LEAST_CHANGE, _TIMES_MIDDLE * middle)
    return tuple(graph.operators[index] for index, value in off.items() if value > limit)


def graft(
    content: bytes, exact: Graph, twins: Mapping[int, int], operators: Sequence[Operator]
) -> bytes:
    """Returns the float network with the weights that some operators of a file have.

    Args:
        content: the float network's file.
        exact: its graph.
        twins: see `find_twins`.
        operators: of the other file, each with a twin.
    """
    model = read_model(content)
    makers = {x.index: operator for operator in exact.operators for x in operator.outputs}
    for operator in operators:
        for number, tensor in enumerate(makers[twins[operator.outputs[0].index]].inputs):
            mine = operator.input(number)
            if tensor is not None and tensor.is_constant and mine is not None:
                values = dequantize(_read(mine), mine)
                model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    return write_model(model)


def _compare_weights(mine: GraphTensor | None, theirs: GraphTensor | None) -> float | None:
    """Returns how far weights are off, as a share of their size; None where nobody can say."""
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return None
    if mine.values is None or theirs.values is None or mine.dtype not in _STORED:
        return None
    exact = _read(theirs)
    size = float(np.sqrt(np.square(exact, dtype=np.float64).mean()))
    if theirs.dtype != "float32" or not size:
        return None
    difference = dequantize(_read(mine), mine) - exact
    return float(np.sqrt(np.square(difference, dtype=np.float64).mean())) / size


def _read(tensor: GraphTensor) -> np.ndarray:
    assert tensor.values is not None
    return np.frombuffer(tensor.values.tobytes(), tensor.dtype).reshape(tensor.shape)


def dequantize(values: np.ndarray, tensor: GraphTensor) -> np.ndarray:
    """Returns real values of what a tensor holds, float32.

    Integers without a scale, such as a mask, stay as they are.
    """
    if values.dtype.kind == "f":
        return np.asarray(values, np.float32)
    if not tensor.scale:
        return values
    scale, zero = _along(tensor.scale, tensor), _along(tensor.zero_point or (0,), tensor)
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)


def quantize(values: np.ndarray, tensor: GraphTensor) -> np.ndarray:
    """Returns real values as a tensor holds them, rounded and cut off at its limits."""
    dtype = np.dtype(tensor.dtype)
    if not tensor.scale or dtype.kind == "f":
        return np.asarray(values).astype(dtype)
    scale, zero = _along(tensor.scale, tensor), _along(tensor.zero_point or (0,), tensor)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(dtype)


def _along(values: Sequence[float], tensor: GraphTensor) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if len(array) == 1:
        return array
    shape = [1] * len(tensor.shape)
    shape[tensor.axis] = len(array)
    return array.reshape(shape)
