"""Files of a subject, one per recipe, in memory: made, given their metadata, and timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.progress import Progress
from tfxfer_edge.conversion.attempts import convert
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.timing.latency import Turn, take_turns

__all__ = ["Made", "make_files", "time_files"]


@dataclass(frozen=True)
class Made:
    """One recipe's file in memory, or why there is none.

    Args:
        recipe: name.
        reason: why there is none, or what was noted.
        converted: what the file is; None where the recipe failed.
        content: the file, metadata included.
        laps_ms: times of one image on one thread, lap by lap; none before it was timed.
    """

    recipe: str
    reason: str
    converted: Converted | None = None
    content: bytes = b""
    laps_ms: tuple[float, ...] = ()

    @property
    def latency_ms(self) -> float:
        """Median of the laps; NaN where there are none."""
        return float(np.median(self.laps_ms)) if self.laps_ms else float("nan")


def make_files(
    subject: Subject,
    recipes: Sequence[str],
    pixels: np.ndarray,
    *,
    tell: Callable[[str], None],
    progress: Progress,
) -> list[Made]:
    """Returns each recipe's file with its metadata, not timed yet.

    Args:
        subject: what is exported.
        recipes: names.
        pixels: calibration images.
        tell: gets remarks, one line each.
        progress: told of each conversion as it begins and ends.
    """
    made = []
    for number, recipe in enumerate(recipes):
        what = f"converting to {recipe} ({number + 1} of {len(recipes)})"
        progress(what, 0, 1)
        made.append(_make_file(subject, recipe, pixels, tell))
        progress(what, 1, 1)
    return made


def _make_file(
    subject: Subject, recipe: str, pixels: np.ndarray, tell: Callable[[str], None]
) -> Made:
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


def time_files(
    made: Sequence[Made], pixels: np.ndarray, *, progress: Progress | None = None
) -> list[Made]:
    """Returns the same with the times of one image on one thread, the files taking turns.

    Args:
        made: what `make_files` returned.
        pixels: real images: what a kernel costs may depend on what it is fed with.
        progress: told of laps.

    Shapes: pixels 0..255 (images, size, size, 3).
    """
    at = [number for number, item in enumerate(made) if item.converted is not None]
    found = take_turns([_open_turn(made[number], pixels) for number in at], progress=progress)
    laps = dict(zip(at, found, strict=True))
    return [replace(item, laps_ms=laps.get(number, ())) for number, item in enumerate(made)]


def _open_turn(item: Made, pixels: np.ndarray) -> Turn:
    assert item.converted is not None
    if item.converted.suffix == ".onnx":
        from tfxfer_edge.conversion.onnx import OnnxModel

        session = OnnxModel(item.content, threads=1)
        prepared = item.converted.normalization.apply(pixels)
        return lambda number: lambda: session.run(prepared[number % len(prepared)][None])
    inputs = _encode(item.converted, pixels)
    interpreter = load_interpreter(item.content)
    source = interpreter.get_input_details()[0]["index"]

    def turn(number: int) -> Callable[[], object]:
        interpreter.set_tensor(source, inputs[number % len(inputs)][None])
        run: Callable[[], object] = interpreter.invoke
        return run

    return turn


def _encode(converted: Converted, pixels: np.ndarray) -> np.ndarray:
    """Returns pixels as the only input of a file holds them."""
    if converted.input_dtype == "uint8":
        return np.asarray(pixels, np.uint8)
    return converted.normalization.apply(pixels).astype(converted.input_dtype)
