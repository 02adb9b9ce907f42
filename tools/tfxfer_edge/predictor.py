"""A `.tflite` file through the core's door: `tfxfer evaluate` and `tfxfer predict` take it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.inference.predictor import Predictor
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.tflite.interpreter import TFLiteModel

__all__ = ["load_tflite_predictor"]

_HEADS = {
    "classifier": "classification",
    "multilabel_classifier": "multilabel",
    "regressor": "regression",
}


def load_tflite_predictor(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    preprocessing: Preprocessing | None = None,
) -> Predictor:
    """Returns what scores images with a `.tflite` file.

    Args:
        path: the file.
        labels: names of the outputs, in order; None takes the metadata's.
        head: the task; None takes the metadata's word, and classification without it.
        preprocessing: what pixels go through before a float input; None takes the metadata's.

    Raises:
        ModelError: no such file, labels that do not match the outputs or the metadata, or nothing
            that says what the outputs are.
    """
    model = TFLiteModel(path, threads=os.cpu_count() or 1, preprocessing=preprocessing)
    card = model.card
    found = () if card is None else card.labels
    if labels is not None and found and tuple(labels) != found:
        raise ModelError(
            f"model {model.source!r}: expected its own labels, {_shorten(found)}. "
            f"Received: {_shorten(labels)}. Leave out --labels."
        )
    named = found if labels is None else tuple(labels)
    if len(named) != model.outputs:
        raise ModelError(
            f"model {model.source!r}: expected {model.outputs} labels, one a line, in the outputs' "
            f"order: --labels labels.txt. Received: {len(named) or 'none'}."
        )
    if head is None:
        head = _head_of(model, None if card is None else (card.metadata_kind, card.threshold))
    model.preprocessing  # noqa: B018  raises now, not at the first image, where it is unknown
    return Predictor(
        source=model.source,
        labels=named,
        head=head,
        image_size=model.image_size,
        resize=Resize() if card is None else card.resize,
        score=model.score,
    )


def _head_of(model: TFLiteModel, task: tuple[str, float | None] | None) -> Head:
    from tfxfer.registry.lookup import get_head

    kind, threshold = task or ("classifier", None)
    if kind not in _HEADS:
        raise ModelError(
            f"model {model.source!r}: expected a classifier or a regressor. "
            f"Received: {kind}, which has nothing to predict. Say what it is with --head."
        )
    options = {} if threshold is None else {"threshold": threshold}
    return get_head(_HEADS[kind], options=options)


def _shorten(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:4])) + (", …" if len(labels) > 4 else "")
