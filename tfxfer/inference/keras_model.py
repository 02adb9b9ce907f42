"""Keras models, from memory, a run or a file, as predictors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END, Stage
from tfxfer.data.arrays import Arrays, count_rows, list_arrays, map_arrays
from tfxfer.data.trimming import Trimming
from tfxfer.errors import DataError, ModelError, PluginError
from tfxfer.fine_tuning import FineTuning
from tfxfer.head import Head
from tfxfer.images.modality import ImageModality
from tfxfer.inference.built_weights import bound_file
from tfxfer.inference.hdf5_file import HDF5_ENDINGS
from tfxfer.inference.hdf5_model import load_hdf5_model
from tfxfer.inference.model_config import check_config, read_keras_config
from tfxfer.inference.outputs import adapt_outputs, apply_steps, find_activation, paint_probe
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.outputs import Outputs
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import get_backbone, get_head, get_modality
from tfxfer.run.assets import read_run_contract
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.stages import ModelInfo, attach_info, get_info
from tfxfer.system.arguments import check_path
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.weights import ResolvedWeights

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["load_keras_predictor", "load_model", "read_keras_file", "save_model", "wrap_model"]

_log = logging.getLogger(__name__)


def wrap_model(model: keras.Model) -> Predictor:
    """Returns a predictor over a Keras model from `build_model` or `load_model`.

    Raises:
        ModelError: its head is its author's, and nobody knows what its outputs are called.
    """
    info = get_info(model)
    if not info.labels:
        raise ModelError(
            f"model {model.name!r}: expected labels of its {model.outputs[0].shape[-1]} outputs. "
            "Received: a head that is not build_model's. Name them: tfxfer.stages.attach_info("
            "model, dataclasses.replace(tfxfer.stages.get_info(model), labels=…))."
        )
    specs = info.modality.list_inputs(info.size, info.preprocessing)
    trimming = Trimming.of_inputs(info.modality, specs)
    return Predictor(
        source=model.name,
        labels=info.labels,
        head=info.head,
        modality=info.modality,
        size=info.size,
        contract=info.preprocessing,
        score=lambda inputs: _score(model, inputs, trimming),
        network=model,
    )


def _score(model: Any, inputs: Arrays, trimming: Trimming | None = None) -> np.ndarray:
    named, scores = _name_inputs(model, inputs), []
    for start in range(0, count_rows(named), BATCH_SAMPLES):
        chunk = map_arrays(lambda x: x[start : start + BATCH_SAMPLES], named)  # noqa: B023 at once
        if trimming is not None:
            chunk = trimming.trim(chunk)
        batch = [
            np.asarray(values, _numpy_dtype(tensor))
            for values, tensor in zip(list_arrays(chunk), model.inputs, strict=True)
        ]
        # Not `predict`: it builds a tf.data pipeline at every call.
        scores.append(np.asarray(model.predict_on_batch(batch if len(batch) > 1 else batch[0])))
    return np.concatenate(scores)


def _numpy_dtype(tensor: Any) -> Any:
    return getattr(tensor.dtype, "as_numpy_dtype", tensor.dtype)  # `tf_keras` has TensorFlow's own


def _name_inputs(model: Any, inputs: Arrays) -> dict[str, np.ndarray]:
    """Returns inputs by name, in the model's order."""
    names = [tensor.name for tensor in model.inputs]
    given = inputs if isinstance(inputs, dict) else {names[0]: inputs}
    if set(given) != set(names):
        raise DataError(
            f"model {model.name!r}: expected the inputs {names}. Received: {sorted(given)}."
        )
    return {name: given[name] for name in names}


def load_model(path: str | Path, *, registry: Registry | None = None) -> keras.Model:
    """Returns the Keras model of a run, with what tfxfer knows of it.

    Args:
        path: a run directory, or the `model.keras` inside one.
        registry: where its plugins are looked up; None is what is installed.

    Raises:
        RunError: no run there, or a `model.keras` that is not what its training wrote.
        ModelError: the file is no Keras model, or holds code.
    """
    check_keras_settings()
    path = check_path(path, where="load_model")
    run = RunDirectory.open(path if path.is_dir() else path.parent)
    if path.is_file() and path.resolve() != run.model_path.resolve():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory, or its model.keras. Received: another "
            "file in it. Read that one with keras.models.load_model."
        )
    info = _info_of_run(run, registry)
    model = read_keras_file(check_sealed(run, run.model_path), registry=registry)
    attach_info(model, info)
    return model


def read_keras_file(path: Path, *, registry: Registry | None = None) -> keras.Model:
    """Returns the model in a `.keras` file; code inside it is never run.

    Args:
        path: of the file.
        registry: where the plugins of its layers are looked up; None is what is installed.

    Raises:
        ModelError: missing, truncated, not Keras's, with code of its own, or with a layer that
            nothing installed has.
    """
    if not path.is_file():
        raise ModelError(f"model: expected a .keras file. Received: path={str(path)!r}.")
    check_config(read_keras_config(path), path=path, keras=keras, registry=registry)
    try:
        with bound_file(path, package=keras):
            return keras.models.load_model(path, compile=False)
    except ModelError:
        raise
    # A damaged file fails in zipfile, zlib, json, h5py or Keras, each with errors of its own.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model {str(path)!r}: expected a file that keras.models.load_model reads in safe "
            f"mode. Received: {first}"
        ) from error


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file of the layers and weights alone.

    A spent optimizer would double the file, and a head's own loss would need its plugin where only
    the layers are wanted.
    """
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    keras.Model(inputs, model.outputs[0], name=model.name).save(path)


def _info_of_run(run: RunDirectory, registry: Registry | None) -> ModelInfo:
    manifest = run.read_manifest()
    if manifest.preprocessing is None or manifest.size is None or not run.model_path.is_file():
        raise ModelError(
            f"run {str(run.path)!r}: expected a finished training. "
            f"Received: status={manifest.status!r}. Go on with it: tfxfer train --resume"
        )
    head = get_head(manifest.head, options=dict(manifest.head_options), registry=registry)
    modality = get_modality(manifest.modality, registry=registry)
    stages: tuple[Stage, ...] = ()
    quantization: tuple[str, ...] = ()
    fine_tuning = FineTuning()
    try:
        backbone = get_backbone(manifest.backbone, registry=registry)
        stages, quantization = backbone.stages, backbone.quantization
        fine_tuning = backbone.fine_tuning
    except PluginError as error:
        # The file alone scores samples; only training it further needs the plugin's stages.
        _log.warning("without the stages of its backbone: %s", error)
    contract = read_run_contract(run, modality)
    used = manifest.weights
    return ModelInfo(
        backbone=manifest.backbone,
        head=head,
        labels=manifest.labels,
        modality=modality,
        size=manifest.size,
        preprocessing=contract,
        stages=(*stages, Stage(BACKBONE_END, "pool")),
        weights=ResolvedWeights("unknown")
        if used is None
        else ResolvedWeights(used.source, None, used.sha256, used.licence),
        quantization=quantization,
        fine_tuning=fine_tuning,
    )


def load_keras_predictor(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    registry: Registry | None = None,
) -> Predictor:
    """Returns what scores images, from a `.keras` or `.h5` file outside of a run.

    Args:
        path: the file, which takes one square of RGB pixels, or of grey ones.
        labels: names of its outputs, in order.
        head: None is the default head.
        registry: where that is looked up.

    Raises:
        ModelError: another input, or labels that do not match the outputs.
    """
    is_hdf5 = path.suffix in HDF5_ENDINGS
    read = load_hdf5_model if is_hdf5 else read_keras_file
    model: Any = read(path, registry=registry)
    # A model without a known input, such as a Sequential nobody called, has no such attributes.
    counts = [len(getattr(model, name, None) or []) for name in ("inputs", "outputs")]
    if counts != [1, 1]:
        raise ModelError(
            f"model {str(path)!r}: expected one input and one output. "
            f"Received: {counts[0]} and {counts[1]}."
        )
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] not in (1, 3):
        raise ModelError(
            f"model {str(path)!r}: expected a square input (batch, size, size, 3), or of grey "
            f"(batch, size, size, 1). Received: shape={shape}."
        )
    size, channels = int(shape[1]), int(shape[3])
    task = get_head(registry=registry) if head is None else head
    outputs = Outputs(
        source=str(path),
        count=int(model.outputs[0].shape[-1]),
        activation=find_activation(model),
        probe=lambda: _score(model, paint_probe(size, channels=channels)),
    )
    change = adapt_outputs(outputs, labels, task)
    assert labels is not None
    return Predictor(
        source=str(path),
        labels=tuple(labels),
        head=task,
        modality=ImageModality(),
        size=size,
        contract=Preprocessing(grey=channels == 1),
        score=lambda inputs: apply_steps(_score(model, inputs), change.steps),
        remarks=(change.remark,) if change.remark else (),
    )
