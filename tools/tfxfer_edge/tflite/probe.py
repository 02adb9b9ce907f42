"""The two ends of a `.tflite` file, and what it makes of noise: what a rewrite must not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["End", "Probe", "probe_ends"]


@dataclass(frozen=True)
class End:
    """An input or the output of a model.

    Args:
        name: of the tensor.
        dtype: such as `uint8`.
        shape: with 1 where the batch size is free.
        quantization: (scale, zero point); a scale of 0 where not quantized.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: tuple[float, int]


@dataclass(frozen=True)
class Probe:
    """The ends of a model, and its answer to noise.

    Args:
        inputs: in the file's order.
        output: the only one.
        answer: the output's bytes.
    """

    inputs: tuple[End, ...]
    output: End
    answer: bytes


def probe_ends(content: bytes, *, fills: Mapping[str, int] | None = None) -> Probe:
    """Returns the ends of a file, and runs it once on noise that is always the same.

    Args:
        content: the file.
        fills: inputs that hold one value instead, by their names.

    Raises:
        ModelError: it does not load, or has no input or several outputs.
    """
    interpreter = load_interpreter(content)
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    if not sources or len(targets) != 1:
        raise ModelError(
            f"model: expected an input and one output. Received: {len(sources)} and {len(targets)}."
        )
    rng = np.random.default_rng(0)
    for source in sources:
        values = _make_noise(source, rng)
        if source["name"] in (fills or {}):
            values = np.full_like(values, (fills or {})[source["name"]])
        interpreter.set_tensor(source["index"], values)
    try:
        with quiet_native():
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT runs. Received: {first}") from error
    return Probe(
        inputs=tuple(map(_describe_end, sources)),
        output=_describe_end(targets[0]),
        answer=interpreter.get_tensor(targets[0]["index"]).tobytes(),
    )


def _make_noise(source: Any, rng: np.random.Generator) -> np.ndarray:
    dtype, shape = np.dtype(source["dtype"]), source["shape"]
    if dtype.kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if dtype.itemsize > 2:
        # The number of a token, which has to be one of a table: 0 and 1 are always in it.
        return rng.integers(0, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def _describe_end(detail: Any) -> End:
    return End(
        name=str(detail["name"]),
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple(int(size) for size in detail["shape"]),
        quantization=(float(detail["quantization"][0]), int(detail["quantization"][1])),
    )
