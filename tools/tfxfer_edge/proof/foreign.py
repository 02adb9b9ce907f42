"""The float model of a file outside of a run, as what scores images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.images.modality import ImageModality
from tfxfer.inference.outputs import adapt_outputs, paint_probe
from tfxfer.inference.predictor import Predictor
from tfxfer.outputs import Outputs
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.conversion.endings import add_steps, find_graph_activation
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.sources import Source

__all__ = ["adapt_source", "check_square", "predict_with"]


def check_square(source: Source, path: Path) -> None:
    """Refuses what the gate cannot feed with photos.

    Raises:
        ModelError: another input than a square image, RGB or grey.
    """
    height, width, channels = source.image_shape
    if height != width or channels not in (1, 3):
        raise ModelError(
            f"model {str(path)!r}: expected a square input of 3 channels, or of 1. Received: shape="
            f"{source.image_shape}. Convert it without the gate: tfxfer_edge.convert"
        )


def adapt_source(
    source: Source, graph: FrozenGraph, path: Path, labels: Sequence[str] | None, head: Head
) -> tuple[Source, str]:
    """Returns a model whose outputs are a head's answers, and what a person must be told of it.

    Args:
        source: the model.
        graph: the same, frozen; it scores what is no Keras 3 model.
        path: for messages.
        labels: names of its outputs, in order; None is refused with their number.
        head: what they mean.

    Raises:
        ModelError: labels that do not match the outputs, or outputs that are no answers.
    """
    outputs = Outputs(
        source=str(path),
        count=graph.outputs,
        activation=source.activation or find_graph_activation(graph.function),
        probe=lambda: _score(source, graph, _paint(source)),
    )
    change = adapt_outputs(outputs, labels, head)
    return add_steps(source, change.steps), change.remark


def predict_with(
    source: Source, graph: FrozenGraph, path: Path, labels: Sequence[str], head: Head
) -> Predictor:
    """Returns what scores images with a model that says nothing of itself.

    Args:
        source: the model, as `adapt_source` returns it.
        graph: the same, frozen; it scores what is no Keras 3 model.
        path: for messages.
        labels: names of its outputs, in order.
        head: what they mean.
    """
    return Predictor(
        source=str(path),
        labels=tuple(labels),
        head=head,
        modality=ImageModality(),
        size=source.image_shape[0],
        contract=Preprocessing(grey=source.image_shape[2] == 1),
        score=lambda pixels: _score(source, graph, np.asarray(pixels)),
    )


def _paint(source: Source) -> np.ndarray:
    side, _, channels = source.image_shape
    return paint_probe(side, channels=channels)


def _score(source: Source, graph: FrozenGraph, pixels: np.ndarray) -> np.ndarray:
    keras_model: Any = source.keras_model
    if keras_model is None:
        return graph.run(pixels)
    inputs = np.asarray(pixels, np.float32)
    if not source.takes_pixels:
        inputs = graph.normalize(pixels)
    return np.asarray(keras_model.predict_on_batch(inputs))
