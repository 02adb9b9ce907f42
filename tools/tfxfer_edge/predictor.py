"""A `.tflite` or `.onnx` file through the core's door: `evaluate` and `predict` take it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.inference.outputs import adapt_outputs, apply_steps
from tfxfer.inference.predictor import Predictor
from tfxfer.outputs import Outputs
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import get_head
from tfxfer.system.records import read_document
from tfxfer_edge.conversion.sources import PreprocessingArgument, check_preprocessing
from tfxfer_edge.door import IMAGE, EdgeModality, find_door
from tfxfer_edge.onnx.ending import find_onnx_activation
from tfxfer_edge.onnx.metadata import read_onnx_metadata
from tfxfer_edge.onnx.model import require_onnxruntime
from tfxfer_edge.onnx.soundness import read_onnx_file, try_onnx_file
from tfxfer_edge.tflite.card import EXPORT_MANIFEST, ModelCard
from tfxfer_edge.tflite.ending import find_file_activation
from tfxfer_edge.tflite.file_head import compare_head, find_head
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.opening import find_door_of, open_model
from tfxfer_edge.tflite.sample_model import SampleModel
from tfxfer_edge.tflite.soundness import check_model_file
from tfxfer_edge.tflite.trial import try_file

__all__ = [
    "load_onnx_predictor",
    "load_tflite_predictor",
    "read_file_modality",
    "read_onnx_modality",
]


def load_tflite_predictor(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    preprocessing: PreprocessingArgument = None,
) -> Predictor:
    """Returns what scores samples with a `.tflite` file, in the words of its modality.

    Args:
        path: the file.
        labels: names of the outputs, in order; None takes the metadata's.
        head: the task; None takes the file's own with its settings, one of the metadata's kind
            where it names none, and without metadata the default.
        preprocessing: what pixels go through before a float input, `in_graph` nothing; None takes
            the metadata's.

    Raises:
        UsageError: another word as preprocessing.
        PluginError: what reads its samples is not installed.
        ModelError: no such file, labels that do not match the outputs or the metadata, nothing
            that says what the outputs are, or outputs that are no answers of the task.
    """
    check_model_file(path)
    try_file(path)
    door, model = open_model(
        path, threads=os.cpu_count() or 1, preprocessing=_read_word(preprocessing)
    )
    _check_preprocessing(model, _read_word(preprocessing))
    activation = find_file_activation(model.content)
    return _predict_with(Path(path), door, model, labels=labels, head=head, activation=activation)


def load_onnx_predictor(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    preprocessing: PreprocessingArgument = None,
) -> Predictor:
    """Returns what scores samples with an `.onnx` file; see `load_tflite_predictor`.

    An image input may have its channels first, as PyTorch writes it.

    Raises:
        ModelError: onnxruntime is not installed, or as for a `.tflite` file.
        PluginError: what reads its samples is not installed.
    """
    require_onnxruntime()
    content = read_onnx_file(path)
    try_onnx_file(path)
    door = find_door(read_onnx_modality(path))
    model = door.open_onnx(
        path, threads=os.cpu_count() or 1, preprocessing=_read_word(preprocessing)
    )
    _check_preprocessing(model, _read_word(preprocessing))
    activation = find_onnx_activation(content)
    return _predict_with(Path(path), door, model, labels=labels, head=head, activation=activation)


def _predict_with(
    path: Path,
    door: EdgeModality,
    model: SampleModel,
    *,
    labels: Sequence[str] | None,
    head: Head | None,
    activation: str | None,
) -> Predictor:
    card = model.card
    found = () if card is None else card.labels
    if labels is not None and found and tuple(labels) != found:
        raise ModelError(
            f"model {model.source!r}: expected its own labels, {_shorten(found)}. "
            f"Received: {_shorten(labels)}. Leave out --labels."
        )
    named = found if labels is None else tuple(labels)
    if head is not None:
        remark = compare_head(card, head, source=model.source)
    elif card is None or not named:  # without labels the next lines refuse it anyway
        head, remark = get_head(), ""
    else:
        head, remark = find_head(card, source=model.source)
    if named and isinstance(model, TFLiteModel):
        model.preprocessing  # noqa: B018  raises now, not at the first image, where it is unknown
    outputs = Outputs(
        source=model.source,
        count=model.outputs,
        activation=activation,
        probe=lambda: model.score(door.make_probe(model)),
        step=model.output.scale,
    )
    change = adapt_outputs(outputs, named or None, head)
    modality, size, contract = door.read_contract(model)
    return Predictor(
        source=model.source,
        labels=named,
        head=head,
        modality=modality,
        size=size,
        contract=contract,
        score=lambda samples: apply_steps(model.score(samples), change.steps),
        provenance=_find_provenance(path, card),
        remarks=tuple(filter(None, (remark, change.remark))),
    )


def read_file_modality(path: str | Path) -> str:
    """Returns the name of what a file says that it reads, before anything runs it; else `image`.

    What is wrong with a file that cannot be read is told by whoever opens it.
    """
    try:
        return find_door_of(path).name
    except ModelError:
        return IMAGE


# The core asks a reader that can tell what samples to look for, before it starts a runtime.
load_tflite_predictor.read_modality = read_file_modality  # type: ignore[attr-defined]


def read_onnx_modality(path: str | Path) -> str:
    """Returns the same of an `.onnx` file."""
    try:
        card = read_onnx_metadata(read_onnx_file(path))
    except ModelError:
        return IMAGE
    return IMAGE if card is None else card.modality


load_onnx_predictor.read_modality = read_onnx_modality  # type: ignore[attr-defined]


def _find_provenance(path: Path, card: ModelCard | None) -> Provenance | None:
    """Returns what the file says, else the export that it lies in; None where neither does."""
    if card is not None and card.provenance is not None:
        return card.provenance
    beside = path.parent / EXPORT_MANIFEST
    if not beside.is_file():
        return None
    document = read_document(beside, expected="the JSON of an export", error=ModelError)
    text, made = document.get("trained_on"), document.get("candidates")
    # Exports of tfxfer 0.1 say nothing, and another folder's file may have been put here.
    if not isinstance(text, str) or not isinstance(made, list):
        return None
    names = {Path(str(item.get("path"))).name for item in made if isinstance(item, dict)}
    return Provenance.from_text(text) if path.name in names else None


def _check_preprocessing(model: SampleModel, given: Preprocessing | None) -> None:
    """Refuses a word on what a file says itself: an input in integers, or its metadata."""
    if given is None:
        return
    is_none = given.output_range == Preprocessing().output_range
    if model.inputs[0].dtype in ("uint8", "int8") and not is_none:
        raise ModelError(
            f"model {model.source!r}: expected no preprocessing, since its {model.inputs[0].dtype} "
            "input takes pixels as they are. Received: one. Leave out --preprocessing."
        )
    is_float = model.inputs[0].dtype == "float32"
    stated = model.card.preprocessing if model.card is not None and is_float else None
    if stated is not None and not np.allclose(
        stated.output_range, given.output_range, rtol=1e-3, atol=1e-3
    ):
        raise ModelError(
            f"model {model.source!r}: expected the preprocessing that its metadata says, "
            f"{stated.output_range[0]} for 0 and 255. Received: {given.output_range[0]}. "
            "Leave out --preprocessing."
        )


def _read_word(preprocessing: PreprocessingArgument) -> Preprocessing | None:
    if isinstance(preprocessing, Preprocessing | None):
        return preprocessing
    check_preprocessing(preprocessing)
    return Preprocessing()


def _shorten(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:4])) + (", …" if len(labels) > 4 else "")
