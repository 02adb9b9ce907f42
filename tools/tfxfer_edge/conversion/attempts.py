"""One model and one recipe become one file, by the first engine that can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.arguments import check_kind, check_word
from tfxfer_edge.conversion.calibration import Calibration
from tfxfer_edge.conversion.converted import Converted, Engine, Quantization
from tfxfer_edge.conversion.end_types import EndType, check_ends_of, check_type
from tfxfer_edge.conversion.engines import converter, quantizer
from tfxfer_edge.conversion.graph import FrozenGraph, Prepared, freeze
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.recipes import Recipe, get_recipe
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source
from tfxfer_edge.door import IMAGE, find_door
from tfxfer_edge.tflite.flatbuffer import refuse_forbidden
from tfxfer_edge.tflite.retyped_ends import find_byte_scale, retype_ends
from tfxfer_edge.tflite.runtime import load_interpreter, verify

if TYPE_CHECKING:
    import keras

__all__ = ["convert"]

_ENGINES = {quantizer.NAME: quantizer, converter.NAME: converter}


def convert(
    model: keras.Model | str | Path | FrozenGraph,
    *,
    recipe: str | Recipe = "int8",
    calibration: Calibration = None,
    preprocessing: PreprocessingArgument = None,
    dynamic_batch: bool = False,
    engine: Engine | None = None,
    io: EndType | None = None,
    trust: bool = False,
) -> Converted:
    """Returns a model as a file that a phone runs.

    Args:
        model: a Keras 3 or `tf_keras` model; the path of a run, a `.keras` or `.h5` file or a
            SavedModel; or a `FrozenGraph`, which several recipes can share.
        recipe: a name of `RECIPES`, or a recipe, such as one of `read_recipe`.
        calibration: real samples, which `int8`, `int8_selective` and `int16x8` need: of images
            pixels 0..255, an array (images, height, width, 3), or an iterable of images or
            batches; of a model with several inputs a dict of arrays by their names.
        preprocessing: what pixels go through before the model, or `in_graph` where it takes
            pixels. A model of ours knows it.
        dynamic_batch: leaves the number of images free; by default it is 1.
        engine: the only one to try; None tries LiteRT Quantizer, then the TFLite converter.
        io: type of the input and the output: `uint8`, `int8` or `float32`; None is uint8 where
            activations have 8 bits, else float32. Whole numbers, such as a text's, stay.
        trust: whether code in a `.keras` file (a Lambda) may run.

    Raises:
        UsageError: an unknown recipe or engine, ends that the recipe cannot have, no
            preprocessing, no calibration.
        DataError: calibration images that are none.
        ModelError: a model that does not convert; the message has what each engine said.

    Example:
        convert(model, calibration=pixels, preprocessing="in_graph").save("model.tflite")
    """
    if not isinstance(recipe, Recipe):
        recipe = get_recipe(recipe)
    if engine is not None:
        check_word(engine, _ENGINES, where="convert", name="engine")
    check_type(io, where="convert")
    check_ends_of(recipe, io)
    if calibration is not None:
        check_kind(
            calibration,
            Iterable,
            where="convert",
            name="calibration",
            expected="images, an array (images, height, width, 3) or several of them,",
        )
    if recipe.needs_calibration and calibration is None:
        # Before minutes of work.
        door = find_door(model.modality if isinstance(model, (FrozenGraph, Source)) else IMAGE)
        door.collect_calibration(None, inputs=(), recipe=recipe.name)
    if recipe.kind == "onnx":
        from tfxfer_edge.conversion.onnx import convert_onnx

        return convert_onnx(
            model,
            recipe=recipe,
            preprocessing=preprocessing,
            trust=trust,
            calibration=calibration,
        )
    graph = (
        model
        if isinstance(model, FrozenGraph)
        else freeze(model, preprocessing=preprocessing, dynamic_batch=dynamic_batch, trust=trust)
    )
    inputs: Prepared | None = None
    notes: tuple[str, ...] = ()
    if recipe.needs_calibration:
        samples, notes = find_door(graph.modality).collect_calibration(
            calibration, inputs=graph.inputs, recipe=recipe.name
        )
        inputs = graph.prepare(samples)
    used, result, failures = _try_engines(graph, recipe, inputs, engine, io)
    return _describe(graph, recipe, used, result, (*notes, *failures, *result.notes))


def _try_engines(
    graph: FrozenGraph,
    recipe: Recipe,
    inputs: Prepared | None,
    engine: Engine | None,
    io: EndType | None,
) -> tuple[str, Quantized, list[str]]:
    is_float32 = recipe.kind == "float" and recipe.weight_bits == 32
    # Nothing is left to quantize: the float file is the converter's.
    names = [engine] if engine else [converter.NAME] if is_float32 else list(_ENGINES)
    if len(names) > 1 and recipe.kind in ("float", "dynamic") and quantizer.leaves_tables(graph):
        names.reverse()
    failures: list[str] = []
    for name in names:
        try:
            result = _ENGINES[name].quantize(graph, recipe, inputs)
            refuse_forbidden(result.content, what=f"model {graph.name!r}")
            verify(result.content, fills=find_door(graph.modality).fills)
            _check_input(graph, result.content)
            result = _set_ends(graph, recipe, result, io)
        except ConversionError as error:
            failures.append(str(error))
            continue
        except ModelError as error:
            # A file that the runtime does not take is this engine's fault until the next fails.
            failures.append(f"engine {name}: {error}")
            continue
        return name, result, failures
    raise ModelError(
        f"model {graph.name!r}: no engine could do recipe {recipe.name!r}.\n  "
        + "\n  ".join(failures)
    )


def _set_ends(
    graph: FrozenGraph, recipe: Recipe, result: Quantized, io: EndType | None
) -> Quantized:
    """Returns a file with the ends that were asked for, tried once more where they are others."""
    wanted: str | None = io
    if io is None and recipe.kind == "file":
        # As built-in recipes have them: uint8 where both have 8 bits, else float32.
        kinds = {np.dtype(detail["dtype"]).name for detail in _list_ends(result.content)}
        wanted = "uint8" if kinds - {"int32", "int64"} == {"int8"} else "float32"
    if wanted is None:
        return result
    content = retype_ends(result.content, wanted)
    verify(content, fills=find_door(graph.modality).fills)
    return replace(result, content=content)


def _list_ends(content: bytes) -> list[Any]:
    interpreter = load_interpreter(content)
    return [*interpreter.get_input_details(), *interpreter.get_output_details()]


def _check_input(graph: FrozenGraph, content: bytes) -> None:
    """Refuses an input whose scale and zero point do not stand for the preprocessing."""
    detail = load_interpreter(content).get_input_details()[0]
    expected, found = graph.input_quantization, _quantization(detail)
    if found is None or expected is None or detail["dtype"] not in (np.uint8, np.int8):
        return
    (scale, zero), (wanted_scale, wanted_zero) = found, expected
    zero += 0 if detail["dtype"] is np.uint8 else 128  # byte 0 goes in as -128
    for pixel in (0, 255):
        off = abs(scale * (pixel - zero) - wanted_scale * (pixel - wanted_zero))
        # Half a step is what rounding the zero point costs.
        if not off <= 0.501 * wanted_scale:
            raise ConversionError(
                f"input: expected pixel {pixel} within half a step of its preprocessing, "
                f"scale={wanted_scale:.6g} and zero point={wanted_zero:.4g}. "
                f"Received: scale={scale:.6g}, zero point={zero}."
            )


def _describe(
    graph: FrozenGraph, recipe: Recipe, engine: str, result: Quantized, notes: tuple[str, ...]
) -> Converted:
    interpreter = load_interpreter(result.content)
    # Several inputs are all of the first one's kind: whole numbers, as they are.
    named = {detail["name"]: detail for detail in interpreter.get_input_details()}
    source, target = named[graph.inputs[0].name], interpreter.get_output_details()[0]
    return Converted(
        content=result.content,
        recipe=recipe,
        engine=engine,
        input_shape=graph.input_shape,
        input_dtype=np.dtype(source["dtype"]).name,
        output_dtype=np.dtype(target["dtype"]).name,
        input_quantization=_quantization(source),
        output_quantization=_quantization(target),
        normalization=_find_normalization(graph, result.content),
        preprocessing=graph.preprocessing,
        inputs=graph.inputs,
        modality=graph.modality,
        kept_float=result.kept_float,
        notes=notes,
    )


def _find_normalization(graph: FrozenGraph, content: bytes) -> Preprocessing:
    """Returns what pixels go through before the input: onto whole steps where these come next.

    -1..1 in 255 steps has its zero half-way between two of them, and what a client's last bit makes
    of each pixel would say which it becomes.
    """
    found = find_byte_scale(content) if graph.modality == IMAGE else None
    if found is None:
        return graph.normalization
    scale, zero = found
    return replace(graph.normalization, scale=(scale,) * 3, offset=(-scale * zero,) * 3)


def _quantization(detail: Any) -> Quantization | None:
    scale, zero = detail["quantization"]
    return (float(scale), int(zero)) if scale else None
