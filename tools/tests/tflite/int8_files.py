"""What LiteRT Quantizer writes itself, and one run of a file."""

from __future__ import annotations

import numpy as np

from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.tflite.flatbuffer import tensor_table
from tfxfer_edge.tflite.runtime import load_interpreter

__all__ = ["invoke", "quantize"]


def quantize(content: bytes) -> bytes:
    """Returns the file as LiteRT Quantizer writes it: int8 at the ends."""
    from litert_quantizer import quantizer, recipe

    ranges = {
        row.name: {"min": np.array([-1.0]), "max": np.array([1.0])}
        for row in tensor_table(content)
        if not row.is_constant
    }
    with quiet():
        tool = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        made = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(made.quantized_model)


def invoke(content: bytes, value: int) -> np.ndarray:
    """Returns the output for an image of one value."""
    interpreter = load_interpreter(content)
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.full(detail["shape"], value, detail["dtype"]))
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
