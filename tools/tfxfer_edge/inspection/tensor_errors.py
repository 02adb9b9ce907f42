"""How far the tensors of a file are from those of the float network, on real samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.inspection.operators import GraphTensor
from tfxfer_edge.inspection.twins import Graph, dequantize, quantize
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["Comparison", "TensorError", "compare_tensors", "run_once", "score_samples"]

_COMPARED = ("float32", "float16", "int8", "int16", "uint8")
_MOST_DB = 200.0  # no noise at all


@dataclass(frozen=True)
class TensorError:
    """One tensor of a file beside its twin of the float network.

    Args:
        tensor: of the file.
        operator: kind of the one that makes it; `input` of an input.
        sqnr_db: signal to quantization noise, of all that went wrong up to here.
        relative_rms: root mean square of the error, as a share of that of the exact values.
        own_sqnr_db: the same as `sqnr_db` of rounding the exact values alone, whatever came
            before; None of a tensor that is float.
    """

    tensor: GraphTensor
    operator: str
    sqnr_db: float
    relative_rms: float
    own_sqnr_db: float | None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "name": self.tensor.name,
            "operator": self.operator,
            "dtype": self.tensor.dtype,
            "shape": list(self.tensor.signature),
            "sqnr_db": self.sqnr_db,
            "relative_rms": self.relative_rms,
            "own_sqnr_db": self.own_sqnr_db,
        }


@dataclass
class Comparison:
    """What became of samples in both networks.

    Args:
        errors: of each tensor with a twin, the worst first.
        exact: scores of the float network.
        scores: those of the file.
        kept: values of tensors that were asked for, as the file holds them, by index; one for
            each of the first samples.

    Shapes: exact and scores float32 (samples, outputs); kept (samples kept, …).
    """

    errors: tuple[TensorError, ...]
    exact: np.ndarray
    scores: np.ndarray
    kept: dict[int, list[np.ndarray]] = field(default_factory=dict)


def compare_tensors(
    contents: tuple[bytes, bytes],
    graphs: tuple[Graph, Graph],
    twins: Mapping[int, int],
    samples: Sequence[Sequence[np.ndarray]],
    *,
    keep: Iterable[int] = (),
    keep_samples: int = 0,
    tell: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Runs samples through a file and the float network, and compares all tensors.

    Args:
        contents: the file, and the float32 one.
        graphs: of both.
        twins: see `find_twins`.
        samples: each what the float network's inputs take, in their order.
        keep: tensors of the file whose values are kept.
        keep_samples: of how many samples.
        tell: called with the number of samples done.

    Raises:
        ModelError: a file that does not run, or inputs that do not fit.
    """
    graph, exact = graphs
    ours, theirs = (load_interpreter(content, keep_all=True) for content in contents)
    rows = _list_compared(graph, exact, twins)
    powers = {index: np.zeros(3) for index in rows}  # signal, noise, rounding alone
    kept: dict[int, list[np.ndarray]] = {index: [] for index in keep}
    scores: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number, sample in enumerate(samples):
        run_once(theirs, sample)
        run_once(
            ours,
            [
                quantize(sample[exact.inputs.index(twins[index])], graph.tensors[index])
                for index in graph.inputs
            ],
        )
        for index in rows:
            tensor = graph.tensors[index]
            value = theirs.get_tensor(twins[index])
            found = dequantize(ours.get_tensor(index), tensor)
            rounded = dequantize(quantize(value, tensor), tensor)
            powers[index] += (_power(value), _power(found - value), _power(rounded - value))
        if number < keep_samples:
            for index, values in kept.items():
                values.append(ours.get_tensor(index))
        for found_scores, interpreter, side in zip(
            scores, (theirs, ours), (exact, graph), strict=True
        ):
            end = side.tensors[side.outputs[0]]
            found_scores.append(dequantize(interpreter.get_tensor(end.index), end).reshape(1, -1))
        tell(number + 1)
    errors = [
        _describe(graph.tensors[index], kind, powers[index])
        for index, kind in rows.items()
        if powers[index][0]
    ]
    exact_scores, own_scores = map(np.concatenate, scores)
    errors.sort(key=lambda x: x.sqnr_db)
    return Comparison(tuple(errors), exact_scores, own_scores, kept)


def score_samples(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Returns the scores of a float32 file.

    Args:
        content: the file.
        samples: each what its inputs take, in order.

    Shapes: (samples, outputs).
    """
    interpreter = load_interpreter(content)
    target = interpreter.get_output_details()[0]["index"]
    scores = []
    for sample in samples:
        run_once(interpreter, sample)
        scores.append(interpreter.get_tensor(target).reshape(1, -1))
    return np.concatenate(scores)


def run_once(interpreter: Any, values: Sequence[np.ndarray]) -> None:
    """Runs one sample.

    Args:
        interpreter: allocated.
        values: what each input holds, in order.

    Raises:
        ModelError: it does not run, or takes something else.
    """
    try:
        with quiet_native():
            for detail, value in zip(interpreter.get_input_details(), values, strict=True):
                interpreter.set_tensor(detail["index"], np.ascontiguousarray(value))
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT runs. Received: {first}") from error


def _list_compared(graph: Graph, exact: Graph, twins: Mapping[int, int]) -> dict[int, str]:
    """Returns the tensors whose values stand for those of their twin, and what makes each."""
    makers = {x.index: operator.kind for operator in graph.operators for x in operator.outputs}
    makers.update(dict.fromkeys(graph.inputs, "input"))
    found = {}
    for index, twin in sorted(twins.items()):
        tensor = graph.tensors[index]
        is_whole = tensor.dtype.startswith("float") or len(tensor.scale) == 1
        if tensor.dtype in _COMPARED and is_whole and exact.tensors[twin].dtype == "float32":
            found[index] = makers[index]
    return found


def _describe(tensor: GraphTensor, kind: str, powers: np.ndarray) -> TensorError:
    signal, noise, rounding = map(float, powers)
    return TensorError(
        tensor=tensor,
        operator=kind,
        sqnr_db=_decibels(signal, noise),
        relative_rms=math.sqrt(noise / signal),
        own_sqnr_db=None if tensor.dtype == "float32" else _decibels(signal, rounding),
    )


def _decibels(signal: float, noise: float) -> float:
    return min(10 * math.log10(signal / noise), _MOST_DB) if noise else _MOST_DB


def _power(values: np.ndarray) -> float:
    return float(np.square(values, dtype=np.float64).sum())
