"""One more class for a file whose last layer follows from features: no training, about a second."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from tfxfer.data.identity import shorten_sha256
from tfxfer.data.provenance import Provenance
from tfxfer.errors import DataError, ModelError, RunError
from tfxfer.inference.reading import Samples, open_stream
from tfxfer.registry.lookup import get_head
from tfxfer.system.arguments import check_kind, check_path
from tfxfer.system.files import atomic_write
from tfxfer_edge.door import find_door
from tfxfer_edge.handover.readme import write_handover
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.last_layer import cut_features, read_dense
from tfxfer_edge.tflite.metadata_writer import write_metadata
from tfxfer_edge.tflite.opening import open_model
from tfxfer_edge.tflite.packed_files import append_files, read_files
from tfxfer_edge.tflite.sample_model import SampleModel
from tfxfer_edge.tflite.soundness import check_model_file
from tfxfer_edge.tflite.trial import try_file
from tfxfer_edge.tflite.wider_layer import widen_dense

__all__ = ["add_class"]

_BATCH_SAMPLES = 32
_MOST_SAMPLES = 10_000  # a mean of more is no better, and all of them are in memory


def add_class(model_path: str | Path, name: str, samples: Samples, out: str | Path) -> Path:
    """Adds a class to an exported file, from a few samples and without training.

    The file itself computes the features of the samples, and their mean becomes one more row of its
    last layer. Rows that it had stay as they are, but for the rounding of integers that share one
    scale, so that answers among the classes that it knew stay; labels and metadata follow. It takes
    a file that was exported from a run whose head has a closed form, such as `--head prototype`, in
    float32, float16 or integers.

    Args:
        model_path: a `.tflite` file, which stays as it is.
        name: of the class.
        samples: of it: a folder, files, or arrays as the model reads them, such as pixels 0..255.
        out: a folder that is made: the file, under the name that it had, its `labels.txt`, and how
            to run it.

    Returns:
        The path of the file.

    Raises:
        ModelError: a file of another kind, or a damaged one.
        DataError: a class that it has, or samples that are none or cannot be read.
        RunError: `out` is taken.
        PluginError: the head, or what reads such samples, is not installed.
        StorageError: `out` cannot be written.

    Example:
        >>> import tfxfer_edge
        >>> tfxfer_edge.add_class(
        ...     "export/model_int8.tflite", "lily", "photos/lily", "with_lily"
        ... )  # doctest: +SKIP
        PosixPath('with_lily/model_int8.tflite')
    """
    path = check_path(model_path, where="add_class", name="model_path")
    check_kind(name, str, where="add_class", name="name", expected="the new class's name")
    folder = check_path(out, where="add_class", name="out")
    _check_free(folder)
    model = _open(path)
    card = _check_card(model)
    assert card.head is not None
    head = get_head(card.head, options=dict(card.head_options))
    form = head.closed_form()
    if form is None:
        raise _refuse(model, f"head {card.head!r}, whose layer was trained")
    if name in card.labels:
        raise DataError(
            f"add_class: expected a class that model {str(path)!r} does not have. "
            f"Received: name={name!r}. Choose another name, or add to its photos and train again."
        )
    labels = head.extend_labels(card.labels, [name])
    features, known = _embed(model, samples)
    weights = form.add_label(read_dense(model.content), features)
    kernel, bias = (np.asarray(x, np.float64) for x in weights)
    highest = float((features @ kernel[:, -1] + bias[-1]).max())
    content = widen_dense(model.content, kernel, bias, highest=highest)
    written = write_metadata(content, _extend_card(card, labels, known))
    place = folder / path.name
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(place) as temporary:
        temporary.write_bytes(written)
    write_handover(place, extra=f"`{name}` was added to this file without training.")
    return place


def _open(path: Path) -> SampleModel:
    """Returns a file, opened as its modality reads samples."""
    check_model_file(path)
    try_file(path)  # what makes the runtime abort must not end this process
    return open_model(path, threads=os.cpu_count() or 1)[1]


def _check_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(
            f"add_class: expected a folder that can be made as out. Received: {str(folder)!r}, "
            "which is there. Choose another."
        )


def _check_card(model: SampleModel) -> ModelCard:
    card = model.card
    if card is None or card.head is None:
        raise _refuse(model, "another, or one exported by an earlier version")
    return card


def _refuse(model: SampleModel, received: str) -> ModelError:
    return ModelError(
        f"model {model.source!r}: expected a file of a head whose layer follows from class means. "
        f"Received: {received}. Train it so and export it: tfxfer train DATA --head prototype"
    )


def _embed(model: SampleModel, samples: Samples) -> tuple[np.ndarray, list[str]]:
    """Returns what the last layer of a file gets of samples, and the fingerprints of files.

    Shapes: float32 (samples, features).
    """
    assert model.card is not None
    door = find_door(model.card.modality)
    modality, size, contract = door.read_contract(model)
    stream = open_stream(samples, modality=modality, size=size, contract=contract)
    if stream.count is not None and not 0 < stream.count <= _MOST_SAMPLES:
        raise DataError(
            f"add_class: expected 1 to {_MOST_SAMPLES:,} {modality.plural} of the class. "
            f"Received: {stream.count:,}."
        )
    cut = append_files(cut_features(model.content), read_files(model.content))
    features = door.open_model(cut, threads=os.cpu_count() or 1)
    parts = [features.score(batch) for batch in stream.iter_batches(_BATCH_SAMPLES)]
    if not parts:
        raise DataError(f"add_class: expected at least one {modality.noun}. Received: none.")
    files = [Path(text) for text in stream.names if modality.reads_files]
    known = [shorten_sha256(hashlib.sha256(x.read_bytes()).hexdigest()) for x in files]
    return np.concatenate(parts), known


def _extend_card(card: ModelCard, labels: tuple[str, ...], known: list[str]) -> ModelCard:
    learnt = card.provenance
    if learnt is not None and known:
        learnt = Provenance(learnt.fingerprints | set(known))
    before, after = (f"into {len(each)} outputs" for each in (card.labels, labels))
    return replace(
        card,
        labels=labels,
        provenance=learnt,
        description=card.description.replace(before, after),
    )
