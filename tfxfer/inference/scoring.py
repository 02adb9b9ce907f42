"""Samples → scores, and scores → figures or answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.arrays import Arrays, list_arrays, map_arrays
from tfxfer.data.datasets import LOOKED_AT, is_array_pair
from tfxfer.data.loading import load_samples
from tfxfer.data.passes import iter_batches, unpack_batch
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.data.slice_table import complete_slices
from tfxfer.data.sources import read_source
from tfxfer.data.targets import check_label_order
from tfxfer.data.trimming import fill_up
from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation.scoring import score_predictions
from tfxfer.head import Head
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.own_run import find_own_run, remember_columns
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.inference.reading import Samples, open_stream
from tfxfer.progress import Progress
from tfxfer.registry.lookup import get_head
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.system.arguments import check_kind, check_number, check_texts, describe_value
from tfxfer.system.keras_settings import check_keras_settings

if TYPE_CHECKING:
    import keras

__all__ = [
    "evaluate",
    "load_own_test",
    "make_predictor",
    "predict",
    "score_labelled",
    "score_split",
]


def score_split(
    predictor: Predictor, split: SampleSplit, *, progress: Progress | None = None
) -> np.ndarray:
    """Returns the scores of every sample of a split, in its order.

    Shapes: (samples, outputs).
    """
    parts: list[np.ndarray] = []
    done = 0
    if progress is not None and len(split):
        progress(f"scoring {split.modality.plural}", 0, len(split))  # the first batch is traced
    # Samples of like length go together: what is filled up is computed, too.
    order = np.arange(len(split)) if split.lengths is None else np.argsort(split.lengths)
    for indices, found in split.iter_views(batch_size=BATCH_SAMPLES, order=order):
        parts.append(predictor.score(map_arrays(lambda x: x[:, 0], found)))
        done += len(indices)
        if progress is not None:
            progress(f"scoring {split.modality.plural}", done, len(split))
    if not parts:
        raise DataError(f"split {split.name!r}: expected at least one sample. Received: none.")
    scores = np.concatenate(parts)
    return scores[np.argsort(order)]


def load_own_test(
    model: str | Path,
    data: str | Path,
    predictor: Predictor,
    *,
    source: Source | None = None,
    progress: Progress | None = None,
) -> SampleSplit | None:
    """Returns the test split of a run's own data; None where the data is other.

    Whoever measures a run on the folder it was trained on would measure training samples.

    Args:
        model: a run directory, or its `model.keras`.
        data: a folder or a CSV.
        predictor: of the model.
        source: the samples of DATA, listed already.
        progress: told of files read.
    """
    run = find_own_run(model, data)
    if run is None:
        return None
    listed = source or read_source(
        data, predictor.modality, remember_columns(model), progress=progress
    )
    return load_samples(
        complete_slices(listed, run.slices_path),
        modality=predictor.modality,
        head=predictor.head,
        size=predictor.size,
        contract=predictor.contract,
        # Their order is the model's: labels that a run was given later come last.
        labels=predictor.labels,
        split_file=check_sealed(run, run.split_path),
        progress=progress,
    ).test


def evaluate(
    model: keras.Model | Predictor | str | Path | RunDirectory,
    data: SampleSplit | Iterable[tuple[Any, ...]],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores samples and compares with what they are.

    Args:
        model: a Keras model from `build_model` or `load_model`; the path of a run or of a model
            file that says what its outputs are; or a `Predictor`.
        data: a `SampleSplit`, such as `data.test`; a batched `tf.data.Dataset` or
            `keras.utils.PyDataset` of (inputs, targets); or arrays (inputs, targets). Images are
            pixels 0..255. Targets are what the head encodes, or, for one of classes, their numbers.
        seed: of the bootstrap intervals.
        progress: told of samples done.

    Returns:
        The figures of the head, each headline with a 95 % interval; see
        `tfxfer.evaluation.score_predictions`. Where a file or a run says that it was trained on
        samples of `data`, its `notes` say on how many.

    Raises:
        DataError: labels of another order than the model's, pixels of another range, no end of
            them, or none at all.
        UsageError: something else.
    """
    check_number(seed, where="evaluate", name="seed", least=0)
    predictor = make_predictor(model)
    scores, targets = score_labelled(predictor, data, where="evaluate", progress=progress)
    document = score_predictions(
        targets, scores, head=predictor.head, labels=predictor.labels, seed=seed
    )
    told = _describe_learnt(predictor, data)
    return {**document, "notes": [*document["notes"], told]} if told else document


def _describe_learnt(predictor: Predictor, data: Any) -> str:
    """Returns how many samples flatter a model, where both know their samples' content."""
    if predictor.provenance is None or not isinstance(data, SampleSplit):
        return ""
    count = int(predictor.provenance.find_known(data.fingerprints).sum())
    if not count:
        return ""
    return (
        f"this model was trained on {count:,} of these {len(data):,} {data.modality.plural}, or "
        "its best epoch was chosen by them: the figures flatter it"
    )


def score_labelled(
    predictor: Predictor, data: Any, *, where: str, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores of labelled samples of any kind, and their targets.

    Args:
        predictor: the model.
        data: as `evaluate` takes it.
        where: who asks, for messages.
        progress: told of samples done.

    Shapes: (samples, outputs) each.

    Raises:
        TfxferError: as `evaluate` raises it.
    """
    is_given = isinstance(data, (SampleSplit, SampleData)) or hasattr(data, "__getitem__")
    if isinstance(data, (str, bytes, Mapping)) or not (is_given or isinstance(data, Iterable)):
        raise DataError(
            f"{where}: expected samples with labels, such as load_images(…).test, or a batched "
            f"tf.data.Dataset of (inputs, targets). Received: data={describe_value(data)}."
        )
    if isinstance(data, SampleSplit):
        check_label_order(data.labels, predictor.labels, where=f"split {data.name!r}")
        return score_split(predictor, data, progress=progress), data.targets
    scores, raw = _score_own(predictor, data, where, progress)
    targets = predictor.head.adapt_targets(raw, predictor.labels)
    if targets.shape != scores.shape:
        raise DataError(
            f"{where}: expected targets of shape {scores.shape}, as the scores; of classes "
            f"one-hot or their numbers. Received: shape={targets.shape}."
        )
    return scores, targets


def predict(
    model: keras.Model | Predictor | str | Path | RunDirectory,
    samples: Samples,
    *,
    labels: Sequence[str] | None = None,
    head: str | Head | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Returns one document per sample, as `tfxfer predict --json` prints them.

    Args:
        model: a Keras model from `build_model` or `load_model`; the path of a run or of a model
            file that says what its outputs are; or a `Predictor`.
        samples: a folder, whose samples may lie at any depth; a file, a pattern such as
            `photos/*.jpg`, or a list of them; what `load_images` returns, or one part of it; an
            array (samples, …), of images pixels 0..255; or a batched `tf.data.Dataset` of inputs.
        labels: of a model file outside of a run: names of its outputs, in order.
        head: of the same: what they mean; None is the default head.
        progress: told of samples done.

    Returns:
        Dicts with the keys `label`, `score`, `scores`, and the modality's noun, such as `image`:
        the path, or the number of the row in an array.

    Raises:
        DataError: nothing there, or a sample that cannot be read; for images an ImageError.
        ModelError: no model, or a file that does not say what its outputs are.
        UsageError: labels or a head for a model that knows its own.
    """
    predictor = make_predictor(model, labels=labels, head=head)
    modality = predictor.modality
    stream = open_stream(
        samples, modality=modality, size=predictor.size, contract=predictor.contract
    )
    documents: list[dict[str, Any]] = []
    for inputs in stream.iter_batches(BATCH_SAMPLES):
        decoded = predictor.head.decode(predictor.score(inputs), predictor.labels)
        for found in decoded:
            number = len(documents)
            name = stream.names[number] if stream.names else number
            documents.append(
                {
                    modality.noun: name,
                    "label": found.label,
                    "score": found.score,
                    "scores": found.scores,
                }
            )
        if progress is not None:
            done = len(documents)
            progress(f"labelling {modality.plural}", done, stream.count or done)
    return documents


def make_predictor(
    model: Any, *, labels: Sequence[str] | None = None, head: str | Head | None = None
) -> Predictor:
    """Returns what scores samples, from whatever public functions take for a model.

    Args:
        model: a Keras model from `build_model` or `load_model`; the path of a run or of a model
            file; or a `Predictor`, which is returned as it is.
        labels: of a model file outside of a run: names of its outputs, in order.
        head: of the same: what they mean; None is the default head.

    Raises:
        ModelError: no model, or a file that does not say what its outputs are.
        UsageError: labels or a head for a model that knows its own.
    """
    if isinstance(model, RunDirectory):
        model = model.path
    if isinstance(model, (str, Path)):
        if labels is not None:
            labels = check_texts(labels, where="model", name="labels", expected="several names")
        if isinstance(head, str):
            head = get_head(head)
        check_kind(
            head,
            (Head, type(None)),
            where="model",
            name="head",
            expected="None, the name of one, or a tfxfer.Head",
        )
        return load_predictor(model, labels=labels, head=head)
    if labels is not None or head is not None:
        raise UsageError(
            "model: expected no labels and no head, which a model in memory knows itself. "
            "Leave them out, or give the path of a file."
        )
    if isinstance(model, Predictor):
        return model
    check_keras_settings()
    from tfxfer.inference.keras_model import wrap_model  # a reader's file needs no Keras

    return wrap_model(model)


def _score_own(
    predictor: Predictor, data: Any, where: str, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores of a user's own samples, and their targets as they are."""
    if isinstance(data, SampleData):
        raise UsageError(
            f"{where}: expected one part of the data. Received: all of it. Pass data.test."
        )
    modality, labels = predictor.modality, getattr(data, "class_names", None)
    if labels is not None:
        check_label_order(labels, predictor.labels, where="evaluation dataset")
    specs = modality.list_inputs(predictor.size, predictor.contract)
    inputs = {name: spec.shape for name, spec in specs.items()}
    batches = (
        _cut_arrays(data, where)
        if is_array_pair(data)
        else iter_batches(data, name="evaluation", progress=progress)
    )
    scores: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    first: list[Arrays] = []
    looked_at = 0
    for batch in batches:
        found, target, _ = unpack_batch(batch, inputs=inputs, name="evaluation")
        found = fill_up(found, specs)
        if looked_at < LOOKED_AT:
            first.append(found)
            looked_at += len(target)
            if looked_at >= LOOKED_AT:
                _check_inputs(predictor, first)
        scores.append(predictor.score(found))
        targets.append(target)
    if not scores:
        raise DataError(f"{where}: expected at least one batch of samples. Received: none.")
    if looked_at < LOOKED_AT:
        _check_inputs(predictor, first)
    return np.concatenate(scores), np.concatenate(targets)


def _cut_arrays(arrays: tuple[Any, ...], where: str) -> Iterator[tuple[Any, np.ndarray]]:
    """Yields batches of arrays that may be too many to be scored at once."""
    inputs, targets = arrays[0], np.asarray(arrays[1])
    columns = list_arrays(inputs)
    if any(len(column) != len(targets) for column in columns):
        raise DataError(
            f"{where}: expected as many targets as samples. Received: {len(columns[0])} and "
            f"{len(targets)}."
        )
    for start in range(0, len(targets), BATCH_SAMPLES):
        span = slice(start, start + BATCH_SAMPLES)
        yield map_arrays(lambda x: x[span], inputs), targets[span]  # noqa: B023  called at once


def _check_inputs(predictor: Predictor, batches: Sequence[Arrays]) -> None:
    found = map_arrays(lambda *parts: np.concatenate(parts), *batches)
    predictor.modality.check_inputs(found, where="evaluation data")
