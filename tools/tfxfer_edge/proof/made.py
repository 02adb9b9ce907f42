"""Files of a subject, one per recipe, in memory: made, given their metadata, and timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.conversion.attempts import convert
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.timing.latency import median_latencies

__all__ = ["Made", "make_file", "time_files"]


@dataclass(frozen=True)
class Made:
    """One recipe's file in memory, or why there is none.

    Args:
        recipe: name.
        reason: why there is none, or what was noted.
        converted: what the file is; None where the recipe failed.
        content: the file, metadata included.
        latency_ms: median of one image on one thread.
    """

    recipe: str
    reason: str
    converted: Converted | None = None
    content: bytes = b""
    latency_ms: float = float("nan")


def make_file(
    subject: Subject, recipe: str, pixels: np.ndarray, tell: Callable[[str], None]
) -> Made:
    """Returns a recipe's file with its metadata, not timed yet.

    Args:
        subject: what is exported.
        recipe: name.
        pixels: calibration images.
        tell: gets remarks, one line each.
    """
    try:
        model = subject.source if recipe == "onnx" else subject.graph
        converted = convert(model, recipe=recipe, calibration=pixels)
        content = converted.content
        if converted.suffix == ".tflite":
            content = write_metadata(content, subject.make_card(converted))
    except ModelError as error:
        reason = " ".join(str(error).split())
        tell(f"{recipe}: {reason}")
        return Made(recipe, reason)
    for note in converted.notes:
        tell(f"{recipe}: {note}")
    return Made(recipe, "; ".join(converted.notes), converted, content)


def time_files(made: Sequence[Made]) -> list[Made]:
    """Returns the same with the time of one image on one thread, the files taking turns."""
    files = [item for item in made if item.converted is not None]
    found = dict(
        zip(
            (item.recipe for item in files),
            median_latencies([_one_image(item) for item in files]),
            strict=True,
        )
    )
    return [replace(item, latency_ms=found.get(item.recipe, float("nan"))) for item in made]


def _one_image(item: Made) -> Callable[[], object]:
    assert item.converted is not None
    if item.converted.suffix == ".onnx":
        from tfxfer_edge.conversion.onnx import OnnxModel

        session = OnnxModel(item.content, threads=1)
        shape = [size or 1 for size in item.converted.input_shape]  # of a batch that may be any
        zeros = np.zeros((1, *shape[1:]), np.float32)
        return lambda: session.run(zeros)
    with quiet_native():
        interpreter = load_interpreter(item.content)
    return interpreter.invoke
