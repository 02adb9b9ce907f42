"""Whether a phone can run it: TFLite files made by the installed `tfxfer-edge`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows
from tfxfer.images.modality import ImageModality
from tfxfer.system.quiet import quiet_native
from tfxfer.testing.check import check, fail, not_applicable, not_run
from tfxfer.testing.subject import Subject

__all__ = ["export_float", "export_int8", "export_uint8_input"]

_FUNCTIONS = ("convert", "freeze", "list_modalities")

# Of outputs over samples. Measured with random weights, which are harder than trained ones: .39
# (efficientnet_b3) to .98 (resnet50) for our families; unrelated answers lie within .1 of 0.
_INT8_CORRELATION = 0.25
_COMMAND = "export"  # what tfxfer-edge's entry point is called


@check("exports to a float file of builtin operations with equal outputs", requires=("model",))
def export_float(subject: Subject) -> None:
    """Converts, runs the file with LiteRT alone, and compares."""
    converted = _convert(subject, "float32")
    tolerance = subject.tolerance
    inputs = subject.values
    if subject.modality.name == ImageModality.name:
        inputs = converted.normalization.apply(inputs)
    found, _ = _run(subject, converted.content, inputs)
    expected = subject.outputs
    scale = max(float(np.abs(expected).max()), 1e-6)
    off = float(np.abs(found - expected).max())
    if not off <= tolerance * scale:
        fail(
            f"float file of {subject.name!r}",
            expected=f"outputs equal within {tolerance:g} of their scale, {scale:.3g}",
            received=f"difference={off:.3g}",
            fix="Some operation means something else in TFLite: replace it.",
        )


@check(
    "exports to an int8 file of builtin operations whose outputs follow the float model's",
    requires=("export_float",),
)
def export_int8(subject: Subject) -> None:
    """Quantizes on the kit's own samples; only a wrong file fails, not a lossy one."""
    converted = _convert(subject, "int8")
    found, _ = _run(subject, converted.content, subject.samples)
    expected = subject.outputs
    similarity = _correlation(found, expected)
    if not similarity >= _INT8_CORRELATION:
        fail(
            f"int8 file of {subject.name!r}",
            expected=f"outputs that correlate with the float model's by {_INT8_CORRELATION:g}",
            received=f"correlation={similarity:.3g}",
            fix="Look for values of very different size in one tensor; `quantization` should say "
            "what hurts.",
        )


@check(
    "the uint8 input of the int8 file means what `preprocessing` says",
    requires=("export_int8", "preprocessing"),
)
def export_uint8_input(subject: Subject) -> None:
    """Compares what the bytes 0 and 255 stand for, by the file's own scale and zero point."""
    subject.require_images()
    converted = _convert(subject, "int8")
    _, detail = _run(subject, converted.content, subject.samples[:1])
    what = f"uint8 input of {subject.name!r}"
    scale, zero = detail["quantization"]
    if detail["dtype"] is not np.uint8 or not scale:
        fail(
            what,
            expected="uint8 with a scale and a zero point",
            received=f"dtype={np.dtype(detail['dtype']).name}, quantization={(scale, zero)}",
            fix="Upgrade tfxfer-edge.",
        )
    wanted = subject.plugin.preprocessing
    # What a scale and a zero point cannot say stays in the graph, behind raw pixels.
    is_raw = np.isclose(scale, 1.0) and zero == 0
    for pixel in (0, 255):
        meant = float(scale) * (pixel - int(zero))
        needed = np.full(3, float(pixel)) if is_raw else wanted.apply(np.full(3, pixel))
        # Half a step is what rounding the zero point costs.
        if not np.abs(meant - needed).max() <= 0.51 * scale:
            fail(
                what,
                expected=f"pixel {pixel} to mean {needed.tolist()}",
                received=f"{meant:.4g}, by scale={scale:.6g} and zero point={zero}",
                fix="Upgrade tfxfer-edge.",
            )


def _find_edge(subject: Subject) -> Any:
    """Returns the package that brings `tfxfer export`; ends the check where there is none."""
    import keras

    if keras.backend.backend() != "tensorflow":
        not_run(f"export needs the TensorFlow backend, not {keras.backend.backend()!r}")
    for component in subject.registry.list("command"):
        if component.name != _COMMAND:
            continue
        if component.status != "ok":
            not_run(f"command {_COMMAND!r} is {component.status}: {component.error}")
        package = importlib.import_module(component.value.partition(":")[0].partition(".")[0])
        missing = [name for name in _FUNCTIONS if not hasattr(package, name)]
        if missing:
            not_run(f"{component.origin} has no functions named {', '.join(missing)}")
        return package
    return not_run("tfxfer-edge is not installed: pip install tfxfer-edge")


def _convert(subject: Subject, recipe: str) -> Any:
    edge = _find_edge(subject)
    known = edge.list_modalities()
    if subject.modality.name not in known:
        not_applicable(
            f"files are made of {', '.join(known)}, and the model reads {subject.modality.plural}"
        )
    done = subject.conversions
    if "graph" not in done:
        done["graph"] = edge.freeze(subject.model)
    if recipe not in done:
        calibration = subject.samples if recipe == "int8" else None
        done[recipe] = edge.convert(done["graph"], recipe=recipe, calibration=calibration)
    return done[recipe]


def _run(subject: Subject, content: bytes, inputs: Arrays) -> tuple[np.ndarray, Any]:
    """Returns a file's outputs as numbers, and the details of its first input.

    LiteRT without further libraries refuses a file with any but builtin operations.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with quiet_native():
            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
            sources, target = interpreter.get_input_details(), interpreter.get_output_details()[0]
            rows = []
            for number in range(count_rows(inputs)):
                for source in sources:
                    # A file lists several inputs in any order, and knows them by their names.
                    values = inputs[source["name"]] if isinstance(inputs, dict) else inputs
                    row = values[number][None].astype(source["dtype"])
                    interpreter.set_tensor(source["index"], row)
                interpreter.invoke()
                rows.append(interpreter.get_tensor(target["index"]).copy())
    except (ValueError, RuntimeError) as error:
        fail(
            f"file of {subject.name!r}",
            expected="a file that LiteRT runs with its builtin operations",
            received=str(error).strip().splitlines()[0],
            fix="Replace the layer that needs another operation.",
        )
    outputs = np.concatenate(rows).astype(np.float32)
    scale, zero = target["quantization"]
    return (outputs - zero) * np.float32(scale) if scale else outputs, sources[0]


def _correlation(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns Pearson's correlation of both, each output around its own mean over the samples."""
    first, second = (values - values.mean(axis=0) for values in (found, expected))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    # Outputs that do not depend on the sample are followed by outputs that do not either.
    if float(np.linalg.norm(second)) <= 1e-6 * max(float(np.abs(expected).max()), 1.0):
        return 1.0
    return float((first * second).sum()) / norm if norm else 0.0
