"""Files of a subject, one per recipe, in memory: made, given their metadata, and timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import ModelError
from tfxfer.progress import Progress
from tfxfer_edge.conversion.attempts import convert
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.end_types import EndType, allows_ends
from tfxfer_edge.conversion.recipes import FLOAT, Recipe, get_recipe, is_onnx
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.refit import HeadFitter, is_refitted
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.card import KINDS, ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.timing.latency import Turn, take_turns

__all__ = ["Made", "add_metadata", "make_files", "make_timed_files", "time_files"]

_TIMED_SAMPLES = 8


@dataclass(frozen=True)
class Made:
    """One recipe's file in memory, or why there is none.

    Args:
        recipe: name.
        reason: why there is none, or what was noted.
        converted: what the file is; None where the recipe failed.
        content: the file, metadata included.
        laps_ms: times of one sample on one thread, lap by lap; none before it was timed.
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


def make_timed_files(
    subject: Subject,
    recipes: Mapping[str, str | Recipe],
    samples: Arrays,
    *,
    tell: Callable[[str], None],
    progress: Progress,
    fitter: HeadFitter | None = None,
    io: EndType | None = None,
) -> tuple[list[Made], Made | None]:
    """Returns the files of all recipes, timed, and the float32 file that they are compared with.

    Args:
        subject: what is exported.
        recipes: by name.
        samples: to calibrate with.
        tell: see `make_files`, as of the next three.
        progress: told of laps, too.
        fitter: of heads.
        io: type of the ends.
    """
    wanted = list(recipes.values())
    if FLOAT not in recipes and not all(map(is_onnx, recipes)):
        wanted = [FLOAT, *wanted]  # every other TFLite file is made from it
    val = subject.data.val
    rows = choose_rows(val, samples=_TIMED_SAMPLES, seed=0)
    timed = map_arrays(lambda x: x[:, 0], val.read_views(rows))
    made = time_files(
        make_files(subject, wanted, samples, tell=tell, progress=progress, fitter=fitter, io=io),
        timed,
        progress=progress,
    )
    baseline = next((item for item in made if item.recipe == FLOAT and item.converted), None)
    return [item for item in made if item.recipe in recipes], baseline


def make_files(
    subject: Subject,
    recipes: Sequence[str | Recipe],
    samples: Arrays,
    *,
    tell: Callable[[str], None],
    progress: Progress,
    fitter: HeadFitter | None = None,
    io: EndType | None = None,
) -> list[Made]:
    """Returns each recipe's file with its metadata, not timed yet.

    Args:
        subject: what is exported.
        recipes: names of built-in ones, or recipes.
        samples: to calibrate with.
        tell: gets remarks, one line each.
        progress: told of each conversion as it begins and ends.
        fitter: of the heads of integer files; None leaves them as they were trained.
        io: type of the ends, of the recipes that can have it.
    """
    made = []
    for number, item in enumerate(recipes):
        recipe = get_recipe(item) if isinstance(item, str) else item
        what = f"converting to {recipe.name} ({number + 1} of {len(recipes)})"
        progress(what, 0, 1)
        ends = io if allows_ends(recipe, io) else None
        made.append(_make_file(subject, recipe, samples, tell, fitter, ends))
        progress(what, 1, 1)
    return made


def _make_file(
    subject: Subject,
    recipe: Recipe,
    samples: Arrays,
    tell: Callable[[str], None],
    fitter: HeadFitter | None,
    io: EndType | None,
) -> Made:
    try:
        model = subject.source if recipe.kind == "onnx" else subject.graph
        converted = convert(model, recipe=recipe, calibration=samples, io=io)
        if fitter is not None and is_refitted(converted.recipe):
            converted = fitter.fit(converted)
        content = _add_metadata(subject, converted)
    except ModelError as error:
        reason = " ".join(str(error).split())
        tell(f"{recipe.name}: {reason}")
        return Made(recipe.name, reason)
    for note in converted.notes:
        tell(f"{recipe.name}: {note}")
    return Made(recipe.name, "; ".join(converted.notes), converted, content)


def _add_metadata(subject: Subject, converted: Converted) -> bytes:
    if converted.suffix == ".onnx" and subject.predictor.head.metadata_kind not in KINDS:
        return converted.content  # which nothing but the graph is needed of
    card = subject.make_card(converted)
    return add_metadata(converted, card, outputs=len(subject.predictor.labels))


def add_metadata(converted: Converted, card: ModelCard, *, outputs: int) -> bytes:
    """Returns a file that says of itself what a card says.

    Args:
        converted: the file.
        card: what to write.
        outputs: how many scores a sample has.

    Raises:
        ModelError: the card cannot be that of the file.
    """
    if converted.suffix == ".tflite":
        return write_metadata(converted.content, card)
    from tfxfer_edge.onnx.metadata import write_onnx_metadata

    return write_onnx_metadata(converted.content, card, outputs=outputs)


def time_files(
    made: Sequence[Made], samples: Arrays, *, progress: Progress | None = None
) -> list[Made]:
    """Returns the same with the times of one sample on one thread, the files taking turns.

    Args:
        made: what `make_files` returned.
        samples: real ones: what a kernel costs may depend on what it is fed with.
        progress: told of laps.

    Shapes: of images pixels 0..255 (images, size, size, 3).
    """
    at = [number for number, item in enumerate(made) if item.converted is not None]
    found = take_turns([_open_turn(made[number], samples) for number in at], progress=progress)
    laps = dict(zip(at, found, strict=True))
    return [replace(item, laps_ms=laps.get(number, ())) for number, item in enumerate(made)]


def _open_turn(item: Made, samples: Arrays) -> Turn:
    assert item.converted is not None
    inputs = find_door(item.converted.modality).encode(item.converted, samples)
    if item.converted.suffix == ".onnx":
        from tfxfer_edge.conversion.onnx import OnnxModel

        session = OnnxModel(item.content, threads=1)
        # Of one input the file's name for it is Keras's.
        given: Arrays = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        return lambda number: lambda: session.run(_pick(given, number))
    interpreter = load_interpreter(item.content)
    places = {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}

    def turn(number: int) -> Callable[[], object]:
        for name, values in inputs.items():
            interpreter.set_tensor(places[name], _pick(values, number))
        run: Callable[[], object] = interpreter.invoke
        return run

    return turn


def _pick(samples: Arrays, number: int) -> Any:
    return map_arrays(lambda x: x[number % len(x)][None], samples)
