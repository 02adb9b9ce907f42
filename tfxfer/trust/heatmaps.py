"""Where a model looks: heat maps over the pictures that it answers to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from tfxfer.data.arrays import Arrays
from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.inference.reading import Samples, open_stream
from tfxfer.inference.scoring import make_predictor
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.system.arguments import check_word
from tfxfer.trust.occlusion import Patches, compute_occlusion

if TYPE_CHECKING:
    import keras

__all__ = ["METHODS", "HeatMaps", "Method", "check_pictures", "explain", "map_heat", "scale_heat"]

_log = logging.getLogger(__name__)

Method = Literal["gradcam", "occlusion"]
METHODS: tuple[Method, ...] = ("gradcam", "occlusion")


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Where a model looks in some pictures, for one output of each.

    Args:
        values: 0..1, the warmest place 1; all 0 where no place speaks for the output.
        raw: the same before what speaks against the output is cut off, and in its own units.
        outputs: which output is explained, by position.
        scores: of the model.
        method: `gradcam` or `occlusion`.
        stage: that Grad-CAM looked at; None for occlusion.

    Shapes: values and raw float32 (samples, height, width), as the network's input; outputs
        (samples,); scores (samples, outputs).
    """

    values: np.ndarray
    raw: np.ndarray
    outputs: np.ndarray
    scores: np.ndarray
    method: Method
    stage: str | None = None

    @property
    def is_blank(self) -> np.ndarray:
        """Whether no place speaks for the output. Shapes: bool (samples,)."""
        blank: np.ndarray = ~self.values.any(axis=(1, 2))
        return blank


def explain(
    model: keras.Model | Predictor | str | Path | RunDirectory,
    samples: Samples,
    *,
    stage: str | None = None,
    label: str | None = None,
    method: Method | None = None,
    labels: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Returns where a model looks in each sample, as heat maps over the network's input.

    Grad-CAM where the model has gradients and a stage with a map, else occlusion. A map without
    any place that speaks for the label is all zero, and a warning says so.

    Args:
        model: a Keras model from `build_model` or `load_model`; the path of a run or of a model
            file; or a `Predictor`.
        samples: what `predict` takes: a folder, files, a pattern, part of what `load_images`
            returns, an array of pixels 0..255, or a batched `tf.data.Dataset`.
        stage: where Grad-CAM looks; None is the last stage that ends at a map.
        label: the output that is explained; None is the one behind each answer.
        method: `gradcam` or `occlusion`; None chooses.
        labels: of a model file outside of a run: names of its outputs, in order.
        progress: told of samples done.

    Shapes: float32 (samples, height, width), 0..1.

    Raises:
        DataError: nothing there, a sample that cannot be read, or samples that are no pictures.
        ModelError: no model, or one without what the method needs.
        ScheduleError: no such stage.
        UsageError: no such label or method, or a stage where none is looked at.
    """
    predictor = make_predictor(model, labels=labels)
    check_pictures(predictor.modality)
    stream = open_stream(
        samples, modality=predictor.modality, size=predictor.size, contract=predictor.contract
    )
    parts, done = [], 0
    for inputs in stream.iter_batches(BATCH_SAMPLES):
        found = map_heat(predictor, inputs, stage=stage, label=label, method=method)
        parts.append(found.values)
        for row in np.flatnonzero(found.is_blank).tolist():
            name = stream.names[done + row] if stream.names else done + row
            chosen = predictor.labels[int(found.outputs[row])]
            _log.warning("%s: no place speaks for %r, its map is all zero", name, chosen)
        done += len(found.values)
        if progress is not None:
            progress(f"explaining {predictor.modality.plural}", done, stream.count or done)
    if not parts:
        noun = predictor.modality.noun
        raise DataError(f"explain: expected at least one {noun}. Received: none.")
    return np.concatenate(parts)


def check_pictures(modality: Modality) -> str:
    """Returns the input that holds the picture.

    Raises:
        DataError: a modality whose samples are no pictures.
    """
    if modality.picture_input is None:
        raise DataError(
            f"explain: expected samples that are pictures, with places that a map can show. "
            f"Received: {modality.plural}, of the modality {modality.name!r}, which have none."
        )
    return modality.picture_input


def map_heat(
    predictor: Predictor,
    inputs: Arrays,
    *,
    stage: str | None = None,
    label: str | None = None,
    method: Method | None = None,
    outputs: np.ndarray | None = None,
    patches: Patches | None = None,
    progress: Progress | None = None,
) -> HeatMaps:
    """Returns where a model looks in samples that are read already.

    Args:
        predictor: the model.
        inputs: of it.
        stage: see `explain`.
        label: see `explain`.
        method: see `explain`.
        outputs: the output that is explained, of each sample, by position; in place of `label`.
        patches: of occlusion.
        progress: told of samples done.

    Raises:
        ModelError, ScheduleError, UsageError, DataError: see `explain`.
    """
    picture_input = check_pictures(predictor.modality)
    if method is not None:
        check_word(method, METHODS, where="explain", name="method")
    if label is not None:
        check_word(label, predictor.labels, where="explain", name="label")
    scores = predictor.score(inputs)
    if label is not None:
        outputs = np.full(len(scores), predictor.labels.index(label))
    elif outputs is None:
        outputs = predictor.head.pick_outputs(scores)
    stage = _choose_stage(predictor, stage, method)
    if stage is None:
        raw = compute_occlusion(
            predictor.score,
            inputs,
            outputs,
            picture_input=picture_input,
            patches=patches,
            progress=progress,
        )
        return _make_maps(predictor, raw, outputs, scores, "occlusion")
    from tfxfer.trust.gradcam import compute_gradcam

    network = predictor.network
    named = inputs if isinstance(inputs, dict) else {picture_input: inputs}
    arrays = [named[tensor.name] for tensor in network.inputs]
    coarse = compute_gradcam(network, arrays, outputs, stage=stage, progress=progress)
    height, width = named[picture_input].shape[1:3]
    raw = np.stack([_enlarge(item, width, height) for item in coarse])
    return _make_maps(predictor, raw, outputs, scores, "gradcam", stage)


def _make_maps(
    predictor: Predictor,
    raw: np.ndarray,
    outputs: np.ndarray,
    scores: np.ndarray,
    method: Method,
    stage: str | None = None,
) -> HeatMaps:
    # NaN is not above zero: it would pass for a place that does not matter.
    if not np.isfinite(raw).all():
        raise ModelError(
            f"model {predictor.source!r}: expected finite scores and gradients. Received: NaN or "
            "infinity. Are the weights whole?"
        )
    return HeatMaps(scale_heat(raw), raw, outputs, scores, method, stage)


def scale_heat(raw: np.ndarray) -> np.ndarray:
    """Returns what speaks for an output, so that the warmest place of each map is 1.

    A map with nothing above zero is all zero: it has no warmest place.

    Shapes: float32 (samples, height, width) in and out.
    """
    positive = np.maximum(raw, 0)
    peaks = positive.max(axis=(1, 2), keepdims=True)
    return np.divide(positive, peaks, out=np.zeros_like(positive), where=peaks > 0)


def _choose_stage(predictor: Predictor, stage: str | None, method: Method | None) -> str | None:
    """Returns the stage that Grad-CAM looks at; None where places are covered instead."""
    if method == "occlusion" or (method is None and predictor.network is None):
        if stage is not None:
            raise UsageError(
                "explain: expected a stage only for Grad-CAM, on a model whose stages are known. "
                f"Received: stage={stage!r} for occlusion of {predictor.source!r}. Leave it out."
            )
        return None
    if predictor.network is None:
        raise ModelError(
            f"model {predictor.source!r}: expected a run, or a Keras model whose stages are known, "
            "for Grad-CAM. Received: a file of scores alone. Cover places: method='occlusion'"
        )
    from tfxfer.trust.gradcam import choose_stage, list_map_stages

    if stage is None and method is None and not list_map_stages(predictor.network):
        return None  # such as tokens, whose places are no places of the picture
    return choose_stage(predictor.network, stage)


def _enlarge(values: np.ndarray, width: int, height: int) -> np.ndarray:
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
