"""Where a model comes from: memory, a run, a file, a SavedModel; Keras 3 or legacy `tf_keras`.

Each becomes one callable on one image tensor; nothing after this module asks which it was.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfxfer.errors import ModelError, UsageError
from tfxfer.keras_private import find_calls
from tfxfer.model import ModelInfo
from tfxfer.preprocessing import Preprocessing

__all__ = ["IN_GRAPH", "PreprocessingArgument", "Source", "open_source"]

IN_GRAPH = "in_graph"
PreprocessingArgument = Preprocessing | Literal["in_graph"] | None
_RESCALE = "rescale_pixels"  # what `tfxfer.build_model` calls its first layer


@dataclass(frozen=True)
class Source:
    """One model as a function of one image tensor.

    Args:
        name: for messages.
        call: maps a float32 tensor (batch, height, width, channels) to the scores.
        image_shape: height, width and channels.
        normalization: what pixels 0..255 must go through before `call`.
        preprocessing: what pixels go through in all, where that is known.
        weights: names and values, to be checked.
        layers: names of the model's layers, where it has some.
        keras_model: the whole Keras 3 model in float32, where it is one.
        takes_pixels: whether that whole model takes pixels 0..255.
        keep: what must live as long as `call` does.
    """

    name: str
    call: Callable[[Any], Any]
    image_shape: tuple[int, int, int]
    normalization: Preprocessing
    preprocessing: Preprocessing | None
    weights: Callable[[], Iterator[tuple[str, np.ndarray]]]
    layers: tuple[str, ...] = ()
    keras_model: Any = None
    takes_pixels: bool = False
    keep: Any = None


def open_source(
    model: Any, *, preprocessing: PreprocessingArgument = None, trust: bool = False
) -> Source:
    """Returns a model of any kind as a `Source`.

    Args:
        model: a Keras 3 or `tf_keras` model, or the path of a run directory, a `.keras` file, a
            legacy `.h5` file or a SavedModel folder.
        preprocessing: what pixels 0..255 go through before the model; `in_graph` where the model
            takes pixels and rescales them itself. A model of ours knows it.
        trust: whether code in a `.keras` file (a Lambda) may run.

    Raises:
        UsageError: the preprocessing is neither known nor given.
        ModelError: no such model, or one with several inputs or outputs.
    """
    if isinstance(model, (str, os.PathLike)):
        model = _read(Path(model), trust=trust)
    if isinstance(preprocessing, str) and preprocessing != IN_GRAPH:
        raise UsageError(
            f"preprocessing: expected a tfxfer.Preprocessing or {IN_GRAPH!r}. "
            f"Received: {preprocessing!r}."
        )
    if hasattr(model, "signatures"):
        return _from_saved_model(model, preprocessing)
    kind = _keras_kind(model)
    if kind == "keras":
        return _from_keras(model, preprocessing)
    if kind == "tf_keras":
        return _from_legacy(model, preprocessing)
    raise ModelError(
        "model: expected a Keras model, or a path to a run, a .keras file, an .h5 file or a "
        f"SavedModel. Received: {type(model).__name__}."
    )


def _read(path: Path, *, trust: bool) -> Any:
    from tfxfer.inference import load_model, read_keras_file

    if path.is_dir():
        if (path / "run.json").is_file():
            return load_model(path)
        if (path / "saved_model.pb").is_file():
            return _read_saved_model(path)
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a SavedModel folder. "
            "Received: a folder with neither run.json nor saved_model.pb."
        )
    if path.suffix in (".h5", ".hdf5"):
        return _read_legacy(path)
    if path.suffix == ".keras":
        if path.name == "model.keras" and (path.parent / "run.json").is_file():
            return load_model(path)
        return _read_trusted(path) if trust else read_keras_file(path)
    raise ModelError(
        f"model {str(path)!r}: expected a run directory, a .keras file, an .h5 file or a "
        f"SavedModel folder. Received: {'a file' if path.exists() else 'nothing there'}."
    )


def _read_trusted(path: Path) -> Any:
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=False)
    # Trusted code may raise anything at all.
    except Exception as error:
        raise ModelError(f"model {str(path)!r}: {_first_line(error)}") from error


def _read_saved_model(path: Path) -> Any:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    # A damaged folder fails in protobuf, the checkpoint reader or TensorFlow.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected a SavedModel. Received: {_first_line(error)}"
        ) from error
    loaded.tfxfer_source = path.name
    return loaded


def _read_legacy(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"model {str(path)!r}: expected an .h5 file. Received: nothing there.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TensorFlow's own deprecated modules
            import tf_keras
    except ImportError as error:
        raise ModelError(
            f"model {str(path)!r}: expected tf-keras, which reads legacy .h5 files. "
            "Received: it is not installed. Install it: pip install 'tfxfer-edge[legacy]'"
        ) from error
    try:
        return tf_keras.models.load_model(path, compile=False)
    # A damaged file fails in h5py, json or tf_keras, each with errors of its own.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected an .h5 file that tf-keras reads. "
            f"Received: {_first_line(error)}"
        ) from error


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


def _check_ends(name: str, inputs: Any, outputs: Any) -> tuple[int, int, int]:
    counts = [len(inputs or []), len(outputs or [])]
    if counts != [1, 1]:
        raise ModelError(
            f"model {name!r}: expected one input, an image, and one output. "
            f"Received: {counts[0]} inputs and {counts[1]} outputs."
        )
    shape = tuple(inputs[0].shape)
    if len(shape) != 4 or None in shape[1:]:
        raise ModelError(
            f"model {name!r}: expected an input (batch, height, width, channels) of known size. "
            f"Received: shape={shape}. Rebuild the model with a fixed image size."
        )
    return (int(shape[1]), int(shape[2]), int(shape[3]))


def _from_keras(model: Any, preprocessing: PreprocessingArgument) -> Source:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"model {model.name!r}: expected the TensorFlow backend, which the converter reads. "
            f"Received: backend={keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow."
        )
    shape = _check_ends(model.name, getattr(model, "inputs", None), getattr(model, "outputs", None))
    info = getattr(model, "tfxfer_info", None)
    first = _first_rescaling(model)
    if preprocessing is None and isinstance(info, ModelInfo):
        preprocessing = "in_graph"
    _require_preprocessing(model.name, preprocessing)
    known: Preprocessing | None = _preprocessing_of(first) if first is not None else None
    if isinstance(preprocessing, Preprocessing):
        if first is not None and (first.name == _RESCALE or _is_same(known, preprocessing)):
            if not _is_same(known, preprocessing):
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
    model = _as_float32(model)
    core = model
    if first is not None and known is not None and can_fold(known):
        core = keras.Model(model.get_layer(first.name).output, model.output, name=model.name)
        normalization = known
    return Source(
        name=model.name,
        call=lambda image: _call_with_constants(core, image),
        image_shape=shape,
        normalization=normalization,
        preprocessing=known,
        weights=lambda: ((v.path, np.asarray(v)) for v in model.variables),
        layers=tuple(layer.name for layer in model.layers),
        keras_model=model,
        takes_pixels=first is not None or preprocessing == IN_GRAPH,
        keep=core,
    )


def _call_with_constants(model: Any, image: Any) -> Any:
    """Returns the scores, from the values of the weights and not from the variables.

    Traced so, the graph is frozen from the start: freezing variables afterwards takes as long as
    everything else together.
    """
    import tensorflow as tf

    with tf.init_scope():  # a value can be read only outside of the trace
        trained = [np.asarray(variable) for variable in model.trainable_variables]
        fixed = [np.asarray(variable) for variable in model.non_trainable_variables]
    states = [[tf.constant(value) for value in values] for values in (trained, fixed)]
    return model.stateless_call(*states, image, training=False)[0]


def can_fold(preprocessing: Preprocessing) -> bool:
    """Whether the scale and zero point of a uint8 input can stand for the preprocessing."""
    # The zero point is a byte, and a scale is positive.
    mean = preprocessing.mean[0]
    return preprocessing.is_uniform and preprocessing.scale[0] > 0 and -0.5 <= mean <= 255.5


def _first_rescaling(model: Any) -> Any:
    import keras

    operations = getattr(model, "operations", [])
    first = next((x for x in operations if not isinstance(x, keras.layers.InputLayer)), None)
    # The only reader of the pixels: otherwise what is left has two inputs.
    readers = [
        layer
        for layer in operations
        for node in find_calls(layer)
        if any(tensor is model.inputs[0] for tensor in node.input_tensors)
    ]
    if isinstance(first, keras.layers.Rescaling) and readers == [first]:
        return first
    return None


def _preprocessing_of(layer: Any) -> Preprocessing | None:
    scale, offset = (
        np.asarray(item, np.float64).reshape(-1) for item in (layer.scale, layer.offset)
    )
    if any(item.size not in (1, 3) or not np.isfinite(item).all() for item in (scale, offset)):
        return None
    if (scale == 0).any():
        return None
    triples = [np.broadcast_to(item, (3,)).tolist() for item in (scale, offset)]
    return Preprocessing(scale=triples[0], offset=triples[1])


def _is_same(one: Preprocessing | None, other: Preprocessing) -> bool:
    return one is not None and np.allclose(
        [one.scale, one.offset], [other.scale, other.offset], rtol=1e-5, atol=1e-7
    )


def _as_float32(model: Any) -> Any:
    """Returns the model itself, or a float32 copy: one of bfloat16 does not convert."""
    import keras

    if all(getattr(layer, "compute_dtype", "float32") == "float32" for layer in model.layers):
        return model

    def copy(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(model, clone_function=copy)
    clone.set_weights(model.get_weights())
    return clone


def _from_legacy(model: Any, preprocessing: PreprocessingArgument) -> Source:
    shape = _check_ends(model.name, getattr(model, "inputs", None), getattr(model, "outputs", None))
    _require_preprocessing(model.name, preprocessing)
    given = preprocessing if isinstance(preprocessing, Preprocessing) else None
    return Source(
        name=model.name,
        call=lambda image: model(image, training=False),
        image_shape=shape,
        normalization=given or Preprocessing(),
        preprocessing=given,
        weights=lambda: ((v.name, v.numpy()) for v in model.weights),
        layers=tuple(layer.name for layer in model.layers),
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
    shape = _check_ends(name, list(arguments.values()), list(function.structured_outputs.values()))
    _require_preprocessing(name, preprocessing)
    (argument,) = arguments
    given = preprocessing if isinstance(preprocessing, Preprocessing) else None
    return Source(
        name=name,
        call=lambda image: next(iter(function(**{argument: image}).values())),
        image_shape=shape,
        normalization=given or Preprocessing(),
        preprocessing=given,
        weights=lambda: (
            (v.name, v.numpy()) for v in function.graph.variables if v.dtype.is_floating
        ),
        keep=loaded,
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
