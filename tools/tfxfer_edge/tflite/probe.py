"""The two ends of a `.tflite` file, and what it makes of noise: what a rewrite must not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["Probe", "probe_ends"]


@dataclass(frozen=True)
class Probe:
    """The ends of a model, and its answer to a noise image.

    Args:
        input_dtype: such as `uint8`.
        input_shape: with 1 where the batch size is free.
        input_quantization: (scale, zero point); a scale of 0 where not quantized.
        output_dtype: such as `float32`.
        output_shape: likewise.
        output_quantization: likewise.
        answer: the output's bytes.
    """

    input_dtype: str
    input_shape: tuple[int, ...]
    input_quantization: tuple[float, int]
    output_dtype: str
    output_shape: tuple[int, ...]
    output_quantization: tuple[float, int]
    answer: bytes


def probe_ends(content: bytes) -> Probe:
    """Returns the ends of a file, and runs it once on noise that is always the same.

    Raises:
        ModelError: it does not load, or has several inputs or outputs.
    """
    interpreter = load_interpreter(content)
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    if len(sources) != 1 or len(targets) != 1:
        raise ModelError(
            "model: expected one input and one output. "
            f"Received: {len(sources)} and {len(targets)}."
        )
    source, target = sources[0], targets[0]
    dtype = np.dtype(source["dtype"])
    rng = np.random.default_rng(0)
    noise: Any = rng.uniform(-1, 1, source["shape"])
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        noise = rng.integers(limits.min, limits.max, source["shape"], endpoint=True)
    interpreter.set_tensor(source["index"], noise.astype(dtype))
    with quiet_native():
        interpreter.invoke()
    return Probe(
        input_dtype=dtype.name,
        input_shape=tuple(int(size) for size in source["shape"]),
        input_quantization=(float(source["quantization"][0]), int(source["quantization"][1])),
        output_dtype=np.dtype(target["dtype"]).name,
        output_shape=tuple(int(size) for size in target["shape"]),
        output_quantization=(float(target["quantization"][0]), int(target["quantization"][1])),
        answer=interpreter.get_tensor(target["index"]).tobytes(),
    )
