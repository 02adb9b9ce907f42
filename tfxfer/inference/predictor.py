"""A trained model, from memory or a file, as something that scores samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tfxfer.errors import ModelError, PluginError, PluginImportError, UsageError
from tfxfer.head import Head
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.stages import ModelInfo, attach_info, get_info

if TYPE_CHECKING:
    from tfxfer.run.directory import RunDirectory

__all__ = ["READERS", "Predictor", "load_model", "load_predictor"]

READERS = "tfxfer.readers"
"""Entry-point group of further model files: a suffix, such as `tflite`, names a function that takes
what `load_predictor` takes."""


_BATCH_IMAGES = 32


@dataclass(frozen=True)
class Predictor:
    """Anything that maps images to scores.

    Args:
        source: where it came from, for messages.
        labels: names of the outputs, in order.
        head: decodes the scores and says which metrics fit.
        image_size: side of the square input, in pixels.
        resize: how a photo becomes that square.
        score: maps pixels 0..255 (images, size, size, 3) to (images, outputs).
    """

    source: str
    labels: tuple[str, ...]
    head: Head
    image_size: int
    resize: Resize
    score: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def from_model(cls, model: Any) -> Predictor:
        """Wraps a Keras model from `build_model` or `load_model`."""
        info = get_info(model)
        return cls(
            source=model.name,
            labels=info.labels,
            head=info.head,
            image_size=info.image_size,
            resize=info.preprocessing.resize,
            score=lambda pixels: _score(model, pixels),
        )


def _score(model: Any, pixels: np.ndarray) -> np.ndarray:
    # `predict_on_batch` and not `predict`: the latter builds a tf.data pipeline at every call.
    scores = [
        np.asarray(
            model.predict_on_batch(np.asarray(pixels[start : start + _BATCH_IMAGES], np.float32))
        )
        for start in range(0, len(pixels), _BATCH_IMAGES)
    ]
    return np.concatenate(scores)


def load_model(path: str | Path) -> Any:
    """Returns the Keras model of a run, with what tfxfer knows of it.

    Args:
        path: a run directory, or the `model.keras` inside one.

    Raises:
        RunError: no run there.
        ModelError: the file is no Keras model, or holds code.
    """
    from tfxfer.run.directory import RunDirectory

    path = Path(path)
    run = RunDirectory.open(path if path.is_dir() else path.parent)
    if path.is_file() and path.resolve() != run.model_path.resolve():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory, or its model.keras. Received: another "
            "file in it. Read that one with keras.models.load_model."
        )
    info = _info_of_run(run)
    model = read_keras_file(run.model_path)
    attach_info(model, info)
    return model


def read_keras_file(path: Path) -> Any:
    """Returns the model in a `.keras` file; code inside it is never run.

    Raises:
        ModelError: missing, truncated, not Keras's, or with a Lambda layer.
    """
    import keras

    if not path.is_file():
        raise ModelError(f"model: expected a .keras file. Received: path={str(path)!r}.")
    try:
        return keras.models.load_model(path, compile=False)
    # A damaged file fails in zipfile, zlib, json, h5py or Keras, each with errors of its own.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"model {str(path)!r}: expected a file that keras.models.load_model reads in safe "
            f"mode. Received: {first}"
        ) from error


def _info_of_run(run: RunDirectory) -> ModelInfo:
    from tfxfer.registry.lookup import get_backbone, get_head
    from tfxfer.weights import ResolvedWeights

    manifest = run.read_manifest()
    if (
        manifest.preprocessing is None
        or manifest.image_size is None
        or not run.model_path.is_file()
    ):
        raise ModelError(
            f"run {str(run.path)!r}: expected a finished training. "
            f"Received: status={manifest.status!r}. Go on with it: tfxfer train --resume"
        )
    head = get_head(manifest.head, options=dict(manifest.head_options))
    stages: tuple[Any, ...] = ()
    quantization: tuple[str, ...] = ()
    try:
        backbone = get_backbone(manifest.backbone)
        stages, quantization = backbone.stages, backbone.quantization
    except PluginError:
        # The file alone scores images; only training it further needs the plugin's stages.
        stages = ()
    from tfxfer.backbone import BACKBONE_END, Stage

    used = manifest.weights
    return ModelInfo(
        backbone=manifest.backbone,
        head=head,
        labels=manifest.labels,
        image_size=manifest.image_size,
        preprocessing=Preprocessing.from_dict(manifest.preprocessing),
        stages=(*stages, Stage(BACKBONE_END, "pool")),
        weights=ResolvedWeights("unknown")
        if used is None
        else ResolvedWeights(used.source, None, used.sha256, used.licence),
        quantization=quantization,
    )


def load_predictor(
    path: str | Path, *, labels: Sequence[str] | None = None, head: Head | None = None
) -> Predictor:
    """Returns what scores images, from a run directory or a model file.

    Args:
        path: a run, a `.keras` file, or one that an installed reader takes: `.tflite` with
            tfxfer-edge.
        labels: for a file outside a run: names of its outputs, in order.
        head: for a file outside a run; None is classification.

    Raises:
        ModelError: not such a file, or labels that do not match the outputs.
        RunError: a folder that is no run.
    """
    path = Path(path)
    of_run = path.is_dir() or (
        path.name == "model.keras" and (path.parent / "run.json").is_file() and labels is None
    )
    if of_run and (labels is not None or head is not None):
        raise UsageError(
            f"model {str(path)!r}: expected no labels and no head, which a run knows itself. "
            "Leave --labels and --head out."
        )
    if of_run:
        return Predictor.from_model(load_model(path))
    if not path.exists():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a .keras file. "
            "Received: nothing there."
        )
    if path.suffix != ".keras":
        for reader in entry_points(group=READERS, name=path.suffix[1:].lower()):
            try:
                read = reader.load()
            except ImportError as error:
                raise PluginImportError(
                    f"reader {reader.name!r} cannot be imported: {error}"
                ) from error
            return cast("Predictor", read(path, labels=labels, head=head))
        hint = " Try: pip install tfxfer-edge" if path.suffix == ".tflite" else ""
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a .keras file. "
            f"Received: suffix={path.suffix!r}.{hint}"
        )
    return _from_file(path, labels, head)


def _from_file(path: Path, labels: Sequence[str] | None, head: Head | None) -> Predictor:
    from tfxfer.registry.lookup import get_head

    model = read_keras_file(path)
    # A model without a known input, such as a Sequential nobody called, has no such attributes.
    counts = [len(getattr(model, name, None) or []) for name in ("inputs", "outputs")]
    if counts != [1, 1]:
        raise ModelError(
            f"model {str(path)!r}: expected one input and one output. "
            f"Received: {counts[0]} and {counts[1]}."
        )
    shape, outputs = tuple(model.inputs[0].shape), int(model.outputs[0].shape[-1])
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise ModelError(
            f"model {str(path)!r}: expected a square input (batch, size, size, 3). "
            f"Received: shape={shape}."
        )
    if labels is None or len(labels) != outputs:
        raise ModelError(
            f"model {str(path)!r}: expected {outputs} labels, one a line, in the outputs' order: "
            f"--labels labels.txt. Received: {'none' if labels is None else len(labels)}."
        )
    return Predictor(
        source=str(path),
        labels=tuple(labels),
        head=get_head("classification") if head is None else head,
        image_size=int(shape[1]),
        resize=Resize(),
        score=lambda pixels: _score(model, pixels),
    )
