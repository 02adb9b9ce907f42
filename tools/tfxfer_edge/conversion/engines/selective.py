"""Finds what int8 rounds worst, and keeps it float.

The error of a tensor is its own: what rounding its exact values to 8 bits costs, whatever came
before. A bad tensor is spared only if what makes it and what reads it are all float. Their weights
stay in 8 bits, which cost little, so that the file does not grow: on MobileNetV3 and EfficientNet
nine tenths of the error of int8 are of the activations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.spread import spread_rows
from tfxfer_edge.conversion.engines.integer import quantize_static
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.tflite.flatbuffer import list_operators, read_model, tensor_table
from tfxfer_edge.tflite.runtime import load_interpreter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tfxfer_edge.conversion.engines.integer import Ranges
    from tfxfer_edge.conversion.graph import FrozenGraph, Prepared
    from tfxfer_edge.conversion.recipes import Recipe

    Samples = Sequence[Mapping[str, np.ndarray]]

__all__ = ["TensorError", "layers_of", "measure_errors", "quantize_selective"]

_IMAGES = 32
_SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75)  # of the tensors, tried in this order
_REMOVED = 0.8  # enough, of the error that float activations can remove
_MIN_GAIN = 0.25  # share of the error of int8 that all of them together must remove
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
_FLOAT32 = 0


@dataclass(frozen=True)
class TensorError:
    """What rounding one tensor costs.

    Args:
        tensor: its name.
        noise: power of the rounding error, as a share of the signal's.
    """

    tensor: str
    noise: float


@dataclass(frozen=True)
class _Operator:
    makes: str
    reads: tuple[str, ...]
    has_weights: bool


def quantize_selective(
    graph: FrozenGraph, recipe: Recipe, ranges: Ranges, inputs: Prepared
) -> Quantized:
    """Returns an int8 model whose worst layers compute in float.

    More and more layers stay float until most of the error that this can remove is gone.

    Args:
        graph: what to convert.
        recipe: `int8_selective`.
        ranges: from `calibrate`.
        inputs: calibration samples as the graph takes them.

    Raises:
        ConversionError: the integer model cannot be compared with the float one.
    """
    probe = _choose_probe(graph, inputs)
    expected = _scores(graph.float_content, probe)
    operators = _operators(graph.float_content)

    def build(tensors: Iterable[str]) -> tuple[bytes, dict[str, bool], float]:
        bad = set(tensors)
        kept = {x.makes: x.has_weights for x in operators if bad & {x.makes, *x.reads}}
        content = quantize_static(graph, recipe, ranges, keep_float=kept)
        return content, kept, _noise(_scores(content, probe), expected)

    content, _, start = build(())
    ranked = measure_errors(graph.float_content, content, probe)
    if not ranked:
        raise ConversionError("engine quantizer: its tensors have other names than the float's.")
    *_, floor = build(item.tensor for item in ranked)
    # Where the weights are at fault, float activations are not the remedy: the fewest will do.
    can_gain = start - floor > _MIN_GAIN * start
    enough = start - _REMOVED * (start - floor) if can_gain else start
    best: tuple[bytes, dict[str, bool], float] | None = None
    for share in _SHARES:
        candidate = build(x.tensor for x in ranked[: max(1, round(share * len(ranked)))])
        if best is None or candidate[2] < best[2]:
            best = candidate
        if best[2] <= enough:
            break
    assert best is not None
    content, kept, noise = best
    notes = [
        f"int8_selective: {len(kept)} of {len(operators)} operators stay float; the error of the "
        f"scores is {noise:.2g} of their power, {start:.2g} in int8"
    ]
    if not can_gain:
        notes.append("int8_selective: no better than int8, whose error is that of the weights")
    return Quantized(content, kept_float=layers_of(kept, graph.layers), notes=tuple(notes))


def _choose_probe(graph: FrozenGraph, inputs: Prepared) -> Samples:
    # They may lie one class after the other.
    rows = spread_rows(len(inputs[0]), _IMAGES)
    chosen = [values[rows] for values in inputs]
    names = [item.name for item in graph.inputs]
    return [dict(zip(names, row, strict=True)) for row in zip(*chosen, strict=True)]


def measure_errors(
    float_content: bytes, content: bytes, samples: Samples
) -> tuple[TensorError, ...]:
    """Returns the error of every activation that the integer model rounds, the worst first.

    Args:
        float_content: the float32 file.
        content: the integer file of the same graph, whose scales are tried on exact values.
        samples: what the float model's inputs take, by name.
    """
    scales = {x.name: x for x in tensor_table(content) if len(x.scale) == 1 and not x.is_constant}
    main = read_model(float_content).subgraphs[0]
    ends = {int(index) for index in main.inputs}  # bytes of pixels are the pixels themselves
    rows = [
        row
        for row in tensor_table(float_content)
        if row.name in scales and not row.is_constant and row.index not in ends
    ]
    interpreter = load_interpreter(float_content, keep_all=True)
    signal, noise = (dict.fromkeys((row.name for row in rows), 0.0) for _ in range(2))
    for sample in samples:
        _feed(interpreter, sample)
        for row in rows:
            exact = interpreter.get_tensor(row.index)
            twin = scales[row.name]
            scale, zero, limits = twin.scale[0], twin.zero_point[0], np.iinfo(twin.dtype)
            stored = np.clip(np.round(exact / scale) + zero, limits.min, limits.max)
            signal[row.name] += float(np.square(exact, dtype=np.float64).sum())
            noise[row.name] += float(
                np.square((stored - zero) * scale - exact, dtype=np.float64).sum()
            )
    errors = [TensorError(name, noise[name] / max(signal[name], 1e-12)) for name in signal]
    return tuple(sorted(errors, key=lambda item: item.noise, reverse=True))


def layers_of(tensors: Iterable[str], layers: Collection[str]) -> tuple[str, ...]:
    """Returns the layers that make the tensors, each once.

    Args:
        tensors: names, made of scopes: `model/layer/operation` or `layer/operation`.
        layers: names that a scope may be; a tensor in none of them stands for itself.

    Example:
        >>> layers_of(("net/conv_2/Relu6;net/bn_1/mul", "conv_1/x", "scores"), ("conv_1", "conv_2"))
        ('conv_2', 'conv_1', 'scores')
    """
    names = []
    for tensor in tensors:
        scopes = tensor.split(";")[0].split("/")
        # TensorFlow numbers scopes that it has seen before.
        found = [x for y in scopes for x in (y, re.sub(r"_\d+$", "", y)) if x in layers]
        names.append(found[0] if found else scopes[0])
    return tuple(dict.fromkeys(names))


def _operators(content: bytes) -> tuple[_Operator, ...]:
    """Returns every operator with a float output."""
    model = read_model(content)
    graph = model.subgraphs[0]

    def name(index: int) -> str:
        return str(graph.tensors[index].name, "utf-8")

    return tuple(
        _Operator(
            makes=name(operator.outputs[0]),
            reads=tuple(name(index) for index in operator.inputs if index >= 0),
            has_weights=kind in _WEIGHTED,
        )
        for kind, operator in zip(list_operators(content), graph.operators, strict=True)
        if graph.tensors[operator.outputs[0]].type == _FLOAT32
    )


def _feed(interpreter: Any, sample: Mapping[str, np.ndarray]) -> None:
    for detail in interpreter.get_input_details():
        values = sample[detail["name"]][None]
        scale, zero = detail["quantization"]
        if scale:
            limits = np.iinfo(detail["dtype"])
            values = np.clip(np.round(values / scale + zero), limits.min, limits.max)
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    interpreter.invoke()


def _real(interpreter: Any, detail: Any) -> np.ndarray:
    values = interpreter.get_tensor(detail["index"])
    scale, zero = detail["quantization"]
    if values.dtype == np.float32 or not scale:
        return np.asarray(values, np.float32)
    return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale)


def _scores(content: bytes, samples: Samples) -> np.ndarray:
    interpreter = load_interpreter(content)
    parts = []
    for sample in samples:
        _feed(interpreter, sample)
        parts.append(_real(interpreter, interpreter.get_output_details()[0]))
    return np.concatenate(parts)


def _noise(scores: np.ndarray, expected: np.ndarray) -> float:
    return float(np.square(scores - expected).sum() / max(np.square(expected).sum(), 1e-12))
