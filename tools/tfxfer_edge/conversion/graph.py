"""A model as one frozen graph: trace, freeze the variables, convert, give it a named signature.

Converting a function with variables, or a plain SavedModel of a Keras 3 model, writes a file
without its weights and says nothing. Frozen first, the weights are constants that cannot be lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import DataError, ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.conversion.converting import convert_float
from tfxfer_edge.conversion.ends import ModelInput
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.rescaling import can_fold
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source, open_source
from tfxfer_edge.conversion.tensorflow_lite import freeze_variables
from tfxfer_edge.door import IMAGE
from tfxfer_edge.tflite.rewrites import name_ends

if TYPE_CHECKING:
    import keras

__all__ = [
    "OUTPUT",
    "SIGNATURE",
    "FrozenGraph",
    "Prepared",
    "check_weights",
    "describe_failure",
    "freeze",
]

OUTPUT, SIGNATURE = "scores", "serving_default"

Prepared = tuple[np.ndarray, ...]
"""Samples as a graph takes them: an array for each of its inputs, in their order."""


@dataclass(frozen=True)
class FrozenGraph:
    """One model without variables, as a function with named inputs and a named output.

    Args:
        name: of the model, for messages.
        function: a `ConcreteFunction` without variables.
        inputs: what it takes, in the order of its arguments.
        batch: how many samples at a time; None where that is free.
        outputs: how many scores a sample has.
        normalization: what pixels 0..255 must go through before the input.
        preprocessing: what pixels go through in all, where that is known.
        layers: names of the model's layers, where it has some.
        modality: what it reads.
        memory: what engines keep from one recipe to the next, such as ranges.
    """

    name: str
    function: Any
    inputs: tuple[ModelInput, ...]
    batch: int | None
    outputs: int
    normalization: Preprocessing
    preprocessing: Preprocessing | None = None
    layers: tuple[str, ...] = ()
    modality: str = IMAGE
    memory: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """(batch, …) of the first input; of images (batch, height, width, channels)."""
        return (self.batch, *self.inputs[0].shape)

    @property
    def input_range(self) -> tuple[float, float] | None:
        """(low, high) of what pixels 0..255 become at the input; None where it takes no pixels."""
        if self.modality != IMAGE:
            return None
        ranges = self.normalization.output_range
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    @property
    def input_quantization(self) -> tuple[float, float] | None:
        """(scale, zero point) of uint8 pixels; None where one of each cannot stand for them."""
        if self.modality != IMAGE or not can_fold(self.normalization):
            return None
        return self.normalization.scale[0], self.normalization.mean[0]

    @cached_property
    def float_content(self) -> bytes:
        """The float32 TFLite file, converted once for all recipes.

        Raises:
            ModelError: an operation has no TFLite builtin.
        """
        try:
            with quiet():
                content = convert_float(self.function)
        # The converter raises ConverterError, RuntimeError and ValueError alike.
        except Exception as error:
            raise ModelError(describe_failure(self, error)) from error
        return self.name_ends(content)

    def name_ends(self, content: bytes) -> bytes:
        """Returns a file of this graph with the names of its ends, and a signature of them."""
        names = [item.name for item in self.inputs]
        return name_ends(content, sources=names, target=OUTPUT, signature=SIGNATURE)

    def run(self, samples: Arrays) -> np.ndarray:
        """Returns the float scores of samples, from TensorFlow.

        Shapes: of images pixels 0..255 (images, height, width, channels) to (images, outputs).
        """
        import tensorflow as tf

        inputs = self.prepare(samples)
        count = len(inputs[0])
        size = self.batch or count
        parts = [
            np.asarray(
                _only(self.function(*(tf.constant(x[start : start + size]) for x in inputs)))
            )
            for start in range(0, count, size)
        ]
        return np.concatenate(parts)

    def prepare(self, samples: Arrays) -> Prepared:
        """Returns what each input takes of some samples, in the order of `inputs`.

        Raises:
            DataError: samples of other inputs, or of another size.
        """
        if self.modality == IMAGE:
            return (self.normalize(np.asarray(samples)),)
        named = samples if isinstance(samples, dict) else {self.inputs[0].name: samples}
        for item in self.inputs:
            found = None if item.name not in named else np.shape(named[item.name])
            if found is None or found[1:] != item.shape:
                raise DataError(
                    f"model {self.name!r}: expected an input {item.name!r} of shape (samples, "
                    f"{', '.join(map(str, item.shape))}). "
                    f"Received: {'none' if found is None else found}."
                )
        return tuple(np.asarray(named[item.name], item.dtype) for item in self.inputs)

    def normalize(self, pixels: np.ndarray) -> np.ndarray:
        """Returns what the input takes for pixels 0..255, as float32.

        Raises:
            DataError: images of another size.
        """
        pixels = np.asarray(pixels)
        if pixels.shape[1:] != self.input_shape[1:]:
            raise DataError(
                f"model {self.name!r}: expected images (count, {self.input_shape[1]}, "
                f"{self.input_shape[2]}, {self.input_shape[3]}). Received: shape={pixels.shape}."
            )
        if self.normalization == Preprocessing():
            return pixels.astype(np.float32)
        return self.normalization.apply(pixels)


def freeze(
    model: keras.Model | str | Path | Source,
    *,
    preprocessing: PreprocessingArgument = None,
    dynamic_batch: bool = False,
    trust: bool = False,
) -> FrozenGraph:
    """Returns any model as a frozen graph; see `sources.open_source` for the arguments.

    Where one scale and offset serve all channels, the first rescaling is taken out of the graph:
    the scale and zero point of the quantized input stand for it.

    Args:
        model: a model or a path, or a `Source`.
        preprocessing: what pixels go through before the model, or `in_graph`.
        dynamic_batch: leaves the number of images free; by default it is 1.
        trust: whether code in a `.keras` file may run.

    Raises:
        ModelError: NaN or infinite weights, several inputs, or a graph that cannot be traced.
        UsageError: the preprocessing is neither known nor given.
    """
    import tensorflow as tf

    source = (
        model
        if isinstance(model, Source)
        else open_source(model, preprocessing=preprocessing, trust=trust)
    )
    check_weights(source)
    if not source.normalization.is_uniform and source.image_shape[2] != 3:
        raise ModelError(
            f"model {source.name!r}: expected 3 channels, for a scale and an offset of each. "
            f"Received: {source.image_shape[2]}."
        )
    batch = None if dynamic_batch else 1
    specs = [
        tf.TensorSpec((batch, *item.shape), item.dtype, name=item.name) for item in source.inputs
    ]
    call, normalize = source.call, source.normalization
    if not can_fold(normalize):
        # One MUL and one ADD: what the quantized input cannot say; numbers that serve any channels.
        channels = 1 if normalize.is_uniform else 3
        scale = np.asarray(normalize.scale[:channels], np.float32)
        offset = np.asarray(normalize.offset[:channels], np.float32)
        call, normalize = (lambda image: source.call(image * scale + offset)), Preprocessing()
    function = tf.function(call, autograph=False)
    try:
        with quiet():
            frozen = function.get_concrete_function(*specs)
            # What is captured is a variable, or a tensor that a layer made outside of the graph.
            if frozen.captured_inputs:
                frozen = freeze_variables(frozen)
    # Layers run their own code while they are traced.
    except Exception as error:
        raise ModelError(
            f"model {source.name!r}: expected a graph that TensorFlow traces. "
            f"Received: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        ) from error
    shape = frozen.outputs[0].shape
    return FrozenGraph(
        name=source.name,
        function=frozen,
        inputs=source.inputs,
        batch=batch,
        outputs=int(shape[-1]) if shape.rank and shape[-1] is not None else 1,
        normalization=normalize,
        preprocessing=source.preprocessing,
        layers=source.layers,
        modality=source.modality,
    )


def check_weights(source: Source) -> None:
    """Refuses weights that are not finite.

    Raises:
        ModelError: names the variable.
    """
    for name, value in source.weights():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ModelError(
                f"model {source.name!r}: expected finite weights. Received: "
                f"{int(value.size - np.isfinite(value).sum())} NaN or infinite values in "
                f"{name!r}. Train again, with a smaller learning rate."
            )


def _only(outputs: Any) -> Any:
    # A frozen function returns its outputs as a list.
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def describe_failure(graph: FrozenGraph, error: BaseException) -> str:
    """Returns one line for what the TFLite converter said, with the operation and its layer."""
    text = str(error)
    kinds = dict.fromkeys(re.findall(r"'tf\.(\w+)' op is neither a custom op", text))
    kinds.update(dict.fromkeys(re.findall(r"^\s*tf\.(\w+)\(tensor<", text, re.M)))
    if not kinds:
        first = (text.strip() or type(error).__name__).splitlines()[0]
        return (
            f"model {graph.name!r}: expected a graph that the TFLite converter takes. "
            f"Received: {first}"
        )
    # The converter's own locations are lost in inlining; a node's name starts with its layer's.
    places = [
        f"{kind} (makes {operation.name!r})"
        for kind in kinds
        for operation in graph.function.graph.get_operations()
        if operation.type == kind
    ]
    return (
        f"model {graph.name!r}: expected TFLite builtin operations only, which every phone has. "
        f"Received: {', '.join(places[:3] or kinds)}. Replace that layer."
    )
