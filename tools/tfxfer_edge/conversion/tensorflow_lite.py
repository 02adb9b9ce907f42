"""TensorFlow's converter to TFLite, which leaves TensorFlow after 2.21: named here alone.

Its version 1 takes a frozen graph as it is. Version 2 freezes what is frozen, and traces it,
again: 10 s for 1 s of work on MobileNetV2 at 224 px.

    python -m tfxfer_edge.conversion.tensorflow_lite JOB

does what `write_job` has put into a folder, in a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer_edge.conversion.internals import Names
from tfxfer_edge.conversion.recipes import Recipe

__all__ = [
    "MODEL_FILE",
    "RELIED_ON",
    "convert_function",
    "freeze_variables",
    "run_job",
    "write_job",
]

MODEL_FILE = "model.tflite"
"""What `run_job` writes."""

_GRAPH, _JOB = "graph.pb", "job.json"

_INT16X8 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
_ONE_SCALE = "_experimental_disable_per_channel"

RELIED_ON: Names = {
    "tensorflow:compat.v1.lite.TFLiteConverter": (),
    "tensorflow:compat.v1.lite.TFLiteConverter.convert": (),
    "tensorflow:lite.Optimize.DEFAULT": (),
    "tensorflow:lite.OpsSet.TFLITE_BUILTINS_INT8": (),
    f"tensorflow:lite.OpsSet.{_INT16X8}": (),
    ("tensorflow.python.framework.convert_to_constants:convert_variables_to_constants_v2"): (),
}
"""What this module uses of TensorFlow."""


def freeze_variables(function: Any) -> Any:
    """Returns a `ConcreteFunction` whose variables and other captures are constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function)


def convert_function(
    function: Any,
    recipe: Recipe | None,
    inputs: Sequence[np.ndarray] | None,
    *,
    takes_bytes: bool,
) -> bytes:
    """Returns the file of a frozen `ConcreteFunction`, converted in this process.

    Args:
        function: without variables.
        recipe: of fewer bits than float32, not `onnx`, not selective; None is float32.
        inputs: samples as the function takes them, an array for each of its arguments; None where
            the recipe is not static.
        takes_bytes: whether a full-integer file takes uint8; else its inputs stay as they are.

    Raises:
        Exception: what the converter raises: ConverterError, RuntimeError and ValueError alike.
    """
    definition = function.graph.as_graph_def(add_shapes=True)
    ends = function.inputs, function.outputs
    return _convert(definition, *ends, recipe, inputs, takes_bytes=takes_bytes)


def write_job(
    folder: Path,
    function: Any,
    recipe: Recipe | None,
    inputs: Sequence[np.ndarray] | None,
    *,
    takes_bytes: bool,
) -> None:
    """Writes into a folder what `run_job` needs; the arguments are those of `convert_function`."""
    definition = function.graph.as_graph_def(add_shapes=True)
    (folder / _GRAPH).write_bytes(definition.SerializeToString())
    for number, values in enumerate(inputs or ()):
        np.save(folder / f"{number}.npy", values)
    job = {
        "inputs": [tensor.name for tensor in function.inputs],
        "outputs": [tensor.name for tensor in function.outputs],
        "recipe": None if recipe is None else recipe.to_dict(),
        "has_samples": inputs is not None,
        "takes_bytes": takes_bytes,
    }
    (folder / _JOB).write_text(json.dumps(job), encoding="utf-8")


def run_job(folder: Path) -> Path:
    """Returns the file that a folder of `write_job` asks for, written beside.

    Raises:
        Exception: as `convert_function`.
    """
    import tensorflow as tf

    job = json.loads((folder / _JOB).read_text(encoding="utf-8"))
    definition = tf.compat.v1.GraphDef.FromString((folder / _GRAPH).read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    sources, targets = (
        [graph.get_tensor_by_name(name) for name in job[end]] for end in ("inputs", "outputs")
    )
    recipe = None if job["recipe"] is None else Recipe.from_dict(job["recipe"])
    inputs = None
    if job["has_samples"]:
        inputs = [np.load(folder / f"{number}.npy") for number in range(len(sources))]
    content = _convert(definition, sources, targets, recipe, inputs, takes_bytes=job["takes_bytes"])
    path = folder / MODEL_FILE
    path.write_bytes(content)
    return path


def _convert(
    definition: Any,
    sources: Sequence[Any],
    targets: Sequence[Any],
    recipe: Recipe | None,
    inputs: Sequence[np.ndarray] | None,
    *,
    takes_bytes: bool,
) -> bytes:
    import tensorflow as tf

    converter = tf.compat.v1.lite.TFLiteConverter(definition, sources, targets)
    if recipe is None:
        return bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if not recipe.per_channel:
        if not hasattr(converter, _ONE_SCALE):
            raise RuntimeError(f"expected TFLiteConverter.{_ONE_SCALE}, for one scale a kernel")
        setattr(converter, _ONE_SCALE, True)
    if recipe.kind == "float":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe.kind == "static":
        if inputs is None:
            raise ValueError(f"recipe {recipe.name!r}: expected samples. Received: none.")
        rows = list(zip(*inputs, strict=True))
        converter.representative_dataset = lambda: ([x[None] for x in row] for row in rows)
        if recipe.activation_bits == 8:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_output_type = tf.uint8
            if takes_bytes:
                converter.inference_input_type = tf.uint8
        else:
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, _INT16X8)]
    return bytes(converter.convert())


if __name__ == "__main__":
    run_job(Path(sys.argv[1]))
