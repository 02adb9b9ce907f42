"""A file as C++ for TensorFlow Lite Micro: an array that is linked in, and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer.data.arrays import map_arrays
from tfxfer_edge.conversion.converted import Converted, Quantization
from tfxfer_edge.door import find_door
from tfxfer_edge.handover.rendering import render_template
from tfxfer_edge.proof.made import Made
from tfxfer_edge.proof.micro import MicroReport, measure_micro
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.card import MICRO_FILES

__all__ = ["make_micro", "name_method", "render_micro"]

_PER_LINE = 12
# What a `MicroMutableOpResolver` does not name as the schema does.
_METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}


def name_method(operator: str) -> str:
    """Returns the method of a `MicroMutableOpResolver` that adds an operator.

    Example:
        >>> name_method("DEPTHWISE_CONV_2D"), name_method("SOFTMAX"), name_method("PADV2")
        ('AddDepthwiseConv2D', 'AddSoftmax', 'AddPadV2')

    Source:
        micro_mutable_op_resolver.h of github.com/tensorflow/tflite-micro, read 2026-11-29.
    """
    words = operator.split("_")
    joined = "".join(word if word[0].isdigit() else word.capitalize() for word in words)
    return _METHODS.get(operator, f"Add{joined}")


def render_micro(
    content: bytes,
    converted: Converted,
    report: MicroReport,
    *,
    name: str,
    labels: tuple[str, ...],
) -> dict[str, bytes]:
    """Returns `model_data.cc` and `model_data.h`.

    Args:
        content: what goes into the array: the file without metadata, which no controller reads.
        converted: what the file is.
        report: what was measured of it.
        name: of the file that it was made from.
        labels: names of the outputs, in order.
    """
    height, width, channels = converted.input_shape[1:]
    uniform = converted.normalization
    context: dict[str, Any] = {
        "name": _as_comment(name),
        "recipe": _as_comment(converted.recipe.name),
        "bytes": len(content),
        "lines": [
            ", ".join(f"0x{byte:02x}" for byte in content[at : at + _PER_LINE])
            for at in range(0, len(content), _PER_LINE)
        ],
        "height": height,
        "width": width,
        "channels": channels,
        "input_dtype": converted.input_dtype,
        "output_dtype": converted.output_dtype,
        "input": _as_literals(converted.input_quantization),
        "output": _as_literals(converted.output_quantization),
        "mean": [_as_float(x) for x in uniform.mean[:channels]],
        "std": [_as_float(x) for x in uniform.std[:channels]],
        "labels": [_as_text(label) for label in labels],
        "arena_bytes": report.arena_bytes,
        "reason": _as_comment(report.reason or ""),
        "version": _as_comment(report.version or ""),
        "equality": _as_comment(report.equality or ""),
        "samples": report.samples,
        "operators": report.operators,
        "calls": [f"resolver.{name_method(x)}() == 0" for x in report.operators],
    }
    return {
        MICRO_FILES[0]: render_template("micro/model_data.cc.j2", context).encode(),
        MICRO_FILES[1]: render_template("micro/model_data.h.j2", context).encode(),
    }


def make_micro(
    subject: Subject, item: Made, *, name: str, rows: Sequence[int]
) -> tuple[dict[str, bytes], MicroReport]:
    """Returns the two files of a `.tflite` file, and what TensorFlow Lite Micro makes of it.

    Args:
        subject: what is exported.
        item: the file.
        name: what it is called.
        rows: test samples that it is tried on.
    """
    assert item.converted is not None
    converted = item.converted
    samples = map_arrays(lambda x: x[:, 0], subject.data.test.read_views(rows))
    (inputs,) = find_door(converted.modality).encode(converted, samples).values()
    report = measure_micro(subject, converted.content, inputs)
    labels = subject.predictor.labels
    files = render_micro(converted.content, converted, report, name=name, labels=labels)
    return files, report


def _as_literals(quantization: Quantization | None) -> dict[str, str] | None:
    if quantization is None:
        return None
    scale, zero = quantization
    return {"scale": _as_float(scale), "zero_point": str(zero)}


def _as_float(value: float) -> str:
    """Returns a number as C++ writes a float, to the last bit."""
    text = str(np.float32(value))
    return f"{text}f" if re.search(r"[.e]", text) else f"{text}.0f"


def _as_text(text: str) -> str:
    """Returns a text as C++ quotes it, UTF-8 byte by byte: nothing in it means anything to C++."""
    plain = re.compile(rb"[A-Za-z0-9 ,.;:()<>=+_-]")
    parts = (bytes([byte]) for byte in text.encode())
    return '"' + "".join(x.decode() if plain.match(x) else f"\\{x[0]:03o}" for x in parts) + '"'


def _as_comment(text: str) -> str:
    """Returns a text that stays on its line, whatever is in it."""
    return re.sub(r"[^ -~]|\\", "?", " ".join(text.split()))
