"""Where a model comes from: memory, a run, a file, a SavedModel; Keras 3 or legacy `tf_keras`.

Each becomes one callable on its input tensors; nothing after this module asks which it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfxfer.errors import ModelError, UsageError
from tfxfer.inference.outputs import find_activation
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.arguments import describe_value
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer_edge.conversion.byte_input import take_floats
from tfxfer_edge.conversion.copies import as_float32
from tfxfer_edge.conversion.ends import (
    BYTES,
    ModelInput,
    check_dtype,
    check_ends,
    check_named_ends,
    image_input,
)
from tfxfer_edge.conversion.model_files import read_model_file
from tfxfer_edge.conversion.rescaling import (
    can_fold,
    find_rescaling,
    is_same,
    preprocessing_of,
    take_out_rescaling,
)
from tfxfer_edge.door import GROUP, IMAGE, list_modalities

__all__ = ["IN_GRAPH", "PreprocessingArgument", "Source", "check_preprocessing", "open_source"]

IN_GRAPH = "in_graph"
PreprocessingArgument = Preprocessing | Literal["in_graph"] | None
_RESCALE = "rescale_pixels"  # what `tfxfer.build_model` calls its first layer


@dataclass(frozen=True)
class Source:
    """One model as a function of its inputs.

    Args:
        name: for messages.
        call: maps a tensor for each of `inputs`, in their order, to the scores; of an image model
            the float32 pixels (batch, height, width, channels).
        inputs: what it takes.
        normalization: what pixels 0..255 must go through before `call`.
        preprocessing: what pixels go through in all, where that is known.
        weights: names and values, to be checked.
        layers: names of the model's layers, where it has some.
        keras_model: the whole Keras 3 model in float32, where it is one.
        takes_pixels: whether that whole model takes pixels 0..255.
        takes_bytes: whether its input is uint8, so that nobody need ask.
        activation: what the scores went through, as `find_activation` has it.
        modality: what it reads.
        keep: what must live as long as `call` does.
    """

    name: str
    call: Callable[..., Any]
    inputs: tuple[ModelInput, ...]
    normalization: Preprocessing
    preprocessing: Preprocessing | None
    weights: Callable[[], Iterator[tuple[str, np.ndarray]]]
    layers: tuple[str, ...] = ()
    keras_model: Any = None
    takes_pixels: bool = False
    takes_bytes: bool = False
    activation: str | None = None
    modality: str = IMAGE
    keep: Any = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels, of an image model."""
        return self.inputs[0].shape


def open_source(
    model: Any, *, preprocessing: PreprocessingArgument = None, trust: bool = False
) -> Source:
    """Returns a model of any kind as a `Source`.

    Args:
        model: a Keras 3 or `tf_keras` model, or the path of a run directory, a `.keras` file, a
            legacy `.h5` file or a SavedModel folder.
        preprocessing: what pixels 0..255 go through before the model; `in_graph` where the model
            takes pixels and rescales them itself. A model of ours knows it, and one whose input
            is uint8 takes pixels.
        trust: whether code in a `.keras` file (a Lambda) may run.

    Raises:
        SetupError: another project's settings make Keras another one.
        UsageError: the preprocessing is neither known nor given.
        ModelError: no such model, or one with several inputs or outputs.
    """
    check_keras_settings()
    if isinstance(model, (str, os.PathLike)):
        model = read_model_file(Path(model), trust=trust)
    check_preprocessing(preprocessing)
    if hasattr(model, "signatures"):
        return _from_saved_model(model, preprocessing)
    kind = _keras_kind(model)
    if kind == "keras":
        return _from_keras(model, preprocessing)
    if kind == "tf_keras":
        return _from_legacy(model, preprocessing)
    raise ModelError(
        "model: expected a Keras model, or a path to a run, a .keras file, an .h5 file or a "
        f"SavedModel. Received: model={describe_value(model)}."
    )


def check_preprocessing(preprocessing: Any) -> None:
    """Refuses what says nothing of pixels.

    Raises:
        UsageError: neither a `Preprocessing`, nor `in_graph`, nor None.
    """
    is_word = isinstance(preprocessing, str) and preprocessing == IN_GRAPH
    if not (is_word or preprocessing is None or isinstance(preprocessing, Preprocessing)):
        raise UsageError(
            f"preprocessing: expected a tfxfer.Preprocessing or {IN_GRAPH!r}. "
            f"Received: preprocessing={describe_value(preprocessing)}."
        )


def _keras_kind(model: Any) -> str:
    # Whoever has a model of one kind has imported its package: neither is imported to find out.
    for package in ("keras", "tf_keras"):
        module = sys.modules.get(package)
        if module is not None and isinstance(model, module.Model):
            return package
    return ""


def _require_preprocessing(name: str, preprocessing: PreprocessingArgument) -> None:
    if preprocessing is None:
        raise UsageError(
            f"model {name!r}: expected preprocessing, since nothing says what its pixels go "
            "through. Received: none. Give it (mean and std, in pixel units), or say 'in_graph' "
            "if the model takes pixels 0..255 and rescales them itself."
        )


def _in_graph_for_bytes(name: str, preprocessing: PreprocessingArgument) -> PreprocessingArgument:
    """Returns what pixels go through before a model that takes bytes: nothing."""
    if isinstance(preprocessing, Preprocessing) and preprocessing != Preprocessing():
        raise UsageError(
            f"model {name!r}: expected preprocessing={IN_GRAPH!r}, since its input is uint8, "
            f"pixels 0..255 themselves. Received: scale={preprocessing.scale}, "
            f"offset={preprocessing.offset}."
        )
    return "in_graph"


def _from_keras(model: Any, preprocessing: PreprocessingArgument) -> Source:
    import keras

    from tfxfer.stages import ModelInfo

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"model {model.name!r}: expected the TensorFlow backend, which the converter reads. "
            f"Received: backend={keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow."
        )
    info = getattr(model, "tfxfer_info", None)
    if isinstance(info, ModelInfo) and info.modality.name != IMAGE:
        return _from_samples(model, info, preprocessing)
    shape = check_ends(model.name, getattr(model, "inputs", None), getattr(model, "outputs", None))
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    check_dtype(model.name, dtype)
    if dtype == BYTES:
        preprocessing = _in_graph_for_bytes(model.name, preprocessing)
    first = find_rescaling(model)
    if preprocessing is None and isinstance(info, ModelInfo):
        preprocessing = "in_graph"
    _require_preprocessing(model.name, preprocessing)
    known: Preprocessing | None = preprocessing_of(first) if first is not None else None
    if isinstance(preprocessing, Preprocessing):
        if first is not None and (first.name == _RESCALE or is_same(known, preprocessing)):
            if not is_same(known, preprocessing):
                raise ModelError(
                    f"model {model.name!r}: its first layer, {first.name!r}, already maps pixels: "
                    f"scale={known and known.scale}, offset={known and known.offset}. Received: "
                    f"another preprocessing. Say preprocessing={IN_GRAPH!r}."
                )
            known = preprocessing
        else:
            first, known = None, preprocessing
    resize = info.preprocessing.resize if isinstance(info, ModelInfo) else None
    if known is not None and resize is not None:
        known = Preprocessing(known.scale, known.offset, resize)
    normalization = Preprocessing()
    if preprocessing != IN_GRAPH and first is None and isinstance(preprocessing, Preprocessing):
        normalization = preprocessing
    model = as_float32(model)
    core = model
    if first is not None and known is not None and can_fold(known):
        shorter = take_out_rescaling(model)
        if shorter is not None:
            core, normalization = shorter, known
    return Source(
        name=model.name,
        call=lambda image: _trace_with_constants(core, image),
        inputs=(image_input(shape),),
        normalization=normalization,
        preprocessing=known,
        weights=lambda: ((v.path, np.asarray(v)) for v in model.variables),
        layers=tuple(layer.name for layer in model.layers),
        keras_model=model,
        takes_pixels=first is not None or preprocessing == IN_GRAPH,
        takes_bytes=dtype == BYTES,
        activation=find_activation(model),
        keep=core,
    )


def _from_samples(model: Any, info: Any, preprocessing: PreprocessingArgument) -> Source:
    """Returns a model of another modality than images, whose inputs are taken as they are."""
    modality = info.modality
    if modality.name not in list_modalities():
        raise ModelError(
            f"model {model.name!r}: expected samples that files are made for: "
            f"{', '.join(list_modalities())}. Received: modality {modality.name!r}. "
            f"A distribution brings another one by an entry point in {GROUP!r}."
        )
    inputs = check_named_ends(
        model.name,
        model.inputs,
        model.outputs,
        specs=modality.list_inputs(info.size, info.preprocessing),
        modality=modality.name,
    )
    if isinstance(preprocessing, Preprocessing):
        raise UsageError(
            f"model {model.name!r}: expected no preprocessing, which is of pixels. "
            f"Received: {describe_value(preprocessing)} for {modality.plural}."
        )
    model = as_float32(model)
    return Source(
        name=model.name,
        call=lambda *tensors: _trace_with_constants(
            model, list(tensors) if len(tensors) > 1 else tensors[0]
        ),
        inputs=inputs,
        normalization=Preprocessing(),
        preprocessing=None,
        weights=lambda: ((v.path, np.asarray(v)) for v in model.variables),
        layers=tuple(layer.name for layer in model.layers),
        keras_model=model,
        takes_pixels=True,  # whatever its values are, they go in as they are
        activation=find_activation(model),
        modality=modality.name,
        keep=model,
    )


def _trace_with_constants(model: Any, inputs: Any) -> Any:
    """Returns the scores, from the values of the weights and not from the variables.

    Traced so, the graph is frozen from the start: freezing variables afterwards takes as long as
    everything else together.
    """
    import tensorflow as tf

    with tf.init_scope():  # a value can be read only outside of the trace
        trained = [np.asarray(variable) for variable in model.trainable_variables]
        fixed = [np.asarray(variable) for variable in model.non_trainable_variables]
    states = [[tf.constant(value) for value in values] for values in (trained, fixed)]
    return model.stateless_call(*states, inputs, training=False)[0]


def _from_legacy(model: Any, preprocessing: PreprocessingArgument) -> Source:
    shape = check_ends(model.name, getattr(model, "inputs", None), getattr(model, "outputs", None))
    dtype = str(getattr(model.inputs[0].dtype, "name", model.inputs[0].dtype))
    check_dtype(model.name, dtype)
    call = lambda image: model(image, training=False)  # noqa: E731
    if dtype == BYTES:
        import tensorflow as tf

        preprocessing = _in_graph_for_bytes(model.name, preprocessing)
        spec = tf.TensorSpec((None, *shape), tf.uint8)
        traced = tf.function(call, autograph=False).get_concrete_function(spec)
        call = take_floats(traced, name=model.name)
    _require_preprocessing(model.name, preprocessing)
    given = preprocessing if isinstance(preprocessing, Preprocessing) else None
    return Source(
        name=model.name,
        call=call,
        inputs=(image_input(shape),),
        normalization=given or Preprocessing(),
        preprocessing=given,
        weights=lambda: ((v.name, v.numpy()) for v in model.weights),
        layers=tuple(layer.name for layer in model.layers),
        takes_bytes=dtype == BYTES,
        activation=find_activation(model),
        keep=model,
    )


def _from_saved_model(loaded: Any, preprocessing: PreprocessingArgument) -> Source:
    name = str(getattr(loaded, "tfxfer_source", "saved_model"))
    signatures = loaded.signatures
    key = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if key is None:
        raise ModelError(
            f"model {name!r}: expected a SavedModel with a signature. Received: none. "
            "Save it with model.export(), or tf.saved_model.save(…, signatures=…)."
        )
    function = signatures[key]
    arguments = function.structured_input_signature[1]
    shape = check_ends(name, list(arguments.values()), list(function.structured_outputs.values()))
    ((argument, spec),) = arguments.items()
    check_dtype(name, spec.dtype.name)
    if spec.dtype.name == BYTES:
        preprocessing = _in_graph_for_bytes(name, preprocessing)
        call = take_floats(function, name=name)
    else:
        call = lambda image: next(iter(function(**{argument: image}).values()))  # noqa: E731
    _require_preprocessing(name, preprocessing)
    given = preprocessing if isinstance(preprocessing, Preprocessing) else None
    return Source(
        name=name,
        call=call,
        inputs=(image_input(shape),),
        normalization=given or Preprocessing(),
        preprocessing=given,
        weights=lambda: (
            (v.name, v.numpy()) for v in function.graph.variables if v.dtype.is_floating
        ),
        takes_bytes=spec.dtype.name == BYTES,
        keep=loaded,
    )
