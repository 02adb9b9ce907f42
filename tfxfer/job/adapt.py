"""`--target`: the last layer of a trained run is fitted to another look, and tested on it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from tfxfer.adaptation.agreement import count_answers, find_neighbours, measure_agreement
from tfxfer.adaptation.batch_norm import (
    adapt_statistics,
    has_statistics,
    list_statistics,
    write_statistics,
)
from tfxfer.adaptation.choice import choose_adaptation
from tfxfer.adaptation.last_layer import fold_head, score_features
from tfxfer.adaptation.methods import TRAINED
from tfxfer.adaptation.record import Adaptation, Effect, Method, Trial
from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import UsageError
from tfxfer.evaluation import score_predictions
from tfxfer.inference.embedding import embed
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.scoring import score_split
from tfxfer.job.prepare import Prepared
from tfxfer.job.record import RunRecord
from tfxfer.job.request import TrainRequest
from tfxfer.job.target import Target, load_target
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.stages import get_info
from tfxfer.trust.estimate import Estimate

__all__ = ["adapt_model", "check_adaptable", "read_target", "record_target"]

# All activations of a batch are in memory together: 80 MB a sample of EfficientNet-Lite0 at 224 px.
_BATCH, _MOST_BATCHES = 16, 16
_PROBED = 64  # samples on which the layer and the fit are compared


def read_target(
    prepared: Prepared, data: SampleData, progress: Progress | None = None
) -> Target | None:
    """Returns the samples of `--target`, read once; None where there are none.

    Raises:
        DataError: see `load_target`.
        UsageError: labels of which a sample may have several, or none.
    """
    if prepared.target is None:
        return None
    if prepared.head.find_classes(data.train.targets) is None:
        raise UsageError(
            "--target: expected samples of which each has one label. "
            f"Received: head={prepared.head.name!r} with others. Leave it out."
        )
    return load_target(prepared.target, data, prepared.head, progress=progress)


def adapt_model(
    run: RunDirectory,
    request: TrainRequest,
    model: Any,
    data: SampleData,
    target: Target | None,
    progress: Progress | None,
) -> None:
    """Does what `--target` asks for, and writes what became of it; nothing without a target.

    Nor with `--reweight` alone: weighted samples lead to the target themselves, and a last layer
    that is fitted anew to all samples alike would undo what the weights did to it.

    Args:
        run: whose lock is held.
        request: of the training.
        model: trained; its last layer may change.
        data: its samples.
        target: the other look; its labels judge, and nothing else.
        progress: told how far it is.
    """
    if target is None or (request.adapt is None and request.reweight is not None):
        return
    asked = request.adapt or "auto"
    features = embed(model, target.samples, progress=progress)
    before = score_features(model, features)
    if asked in TRAINED and asked != "pseudo_labels":
        _record_trained(run, request, model, target, features, before)
        return
    source = embed(model, data.train, progress=progress)
    plain, adapted = list_statistics(model), None
    others: dict[Method, np.ndarray] = {}
    if asked in ("auto", "adabn") and has_statistics(model):
        adapt_statistics(model, _read_batches(target.samples, request.seed))
        adapted = list_statistics(model)
        moved = embed(model, target.samples, progress=progress)
        others["adabn"] = score_features(model, moved)
        write_statistics(model, plain)
    found = choose_adaptation(
        source,
        np.asarray(data.train.targets, np.float64),
        features,
        before,
        asked="self_training" if asked == "pseudo_labels" else asked,
        others=others,
        seed=request.seed,
        progress=progress,
    )
    if found.method == "adabn":
        assert adapted is not None
        write_statistics(model, adapted)
    if found.head is not None:
        fold_head(model, found.head, features[:_PROBED])
    record = Adaptation(
        asked=asked,
        kept="pseudo_labels" if asked == "pseudo_labels" else found.method,
        samples=len(features),
        left_out=target.left_out,
        shares=_find_shares(model, found.answers),
        moved=float((before.argmax(axis=1) != found.answers.argmax(axis=1)).mean()),
        trials=found.trials,
        effect=_measure_effect(model, target, before, found.answers, request.seed),
    )
    record.write(run.trust)


def _record_trained(
    run: RunDirectory,
    request: TrainRequest,
    model: Any,
    target: Target,
    features: np.ndarray,
    answers: np.ndarray,
) -> None:
    """Writes what a method came to that has done all of its work in the training.

    How the model would be without it nobody knows.
    """
    method = cast(Method, request.adapt)
    pairs = count_answers(answers.argmax(axis=1), find_neighbours(features), answers.shape[1])
    Adaptation(
        asked=method,
        kept=method,
        samples=len(features),
        left_out=target.left_out,
        shares=_find_shares(model, answers),
        moved=None,
        trials=(Trial(method, measure_agreement(pairs), None),),
        effect=_measure_effect(model, target, None, answers, request.seed),
    ).write(run.trust)


def _find_shares(model: Any, answers: np.ndarray) -> dict[str, float]:
    shares = answers.mean(axis=0)
    return {name: float(x) for name, x in zip(get_info(model).labels, shares, strict=True)}


def check_adaptable(request: TrainRequest, model: Any) -> None:
    """Refuses a method that a model has nothing for, before anything is trained.

    Raises:
        UsageError: `adabn` of a model without BatchNormalization.
    """
    if request.adapt == "adabn" and not has_statistics(model):
        raise UsageError(
            "--adapt adabn: expected a backbone with BatchNormalization. "
            f"Received: {request.backbone!r}, which has none. Take --adapt auto."
        )


def record_target(
    record: RunRecord, model: Any, target: Target | None, progress: Progress | None, *, seed: int
) -> None:
    """Writes how the finished model does on the target's labelled samples, if there are any.

    Args:
        record: of the run; its metrics get a `target`.
        model: as it was saved.
        target: the other look.
        progress: told of samples scored.
        seed: of the intervals.
    """
    if target is None or target.labelled is None:
        return
    predictor = wrap_model(model)
    metrics = score_predictions(
        target.labelled.targets,
        score_split(predictor, target.labelled, progress=progress),
        head=predictor.head,
        labels=predictor.labels,
        seed=seed,
    )
    record.update(metrics={**record.manifest.metrics, "target": metrics})


def _read_batches(samples: SampleSplit, seed: int) -> list[Arrays]:
    """Returns some samples, in batches of one size."""
    order = np.random.default_rng(seed).permutation(len(samples))
    size = min(_BATCH, len(order))
    count = min(_MOST_BATCHES, len(order) // size)
    return [
        map_arrays(lambda x: x[:, 0], found)
        for _, found in samples.iter_views(batch_size=size, order=order[: count * size])
    ]


def _measure_effect(
    model: Any, target: Target, before: np.ndarray | None, after: np.ndarray, seed: int
) -> Effect | None:
    """Returns the headline on labelled samples before and after; None where there are none."""
    if target.labelled is None:
        return None
    info = get_info(model)
    place = {record.path: row for row, record in enumerate(target.samples.records)}
    rows = [place[record.path] for record in target.labelled.records]
    targets = target.labelled.targets

    def measure(scores: np.ndarray) -> tuple[str, Estimate]:
        found = score_predictions(
            targets, scores[rows], head=info.head, labels=info.labels, seed=seed
        )
        return found["headline"], Estimate.of(found[found["headline"]])

    name, reached = measure(after)
    return Effect(len(rows), name, None if before is None else measure(before)[1], reached)
