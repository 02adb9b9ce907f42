"""`--target`: the last layer of a trained run is fitted to another look, and tested on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.adaptation.choice import Choice, choose_adaptation
from tfxfer.adaptation.last_layer import fold_head, score_features
from tfxfer.adaptation.record import Adaptation, Effect
from tfxfer.data.samples import SampleData
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

__all__ = ["adapt_model", "read_target", "record_target"]

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

    Args:
        run: whose lock is held.
        request: of the training.
        model: trained; its last layer may change.
        data: its samples.
        target: the other look; its labels judge, and nothing else.
        progress: told how far it is.
    """
    if target is None:
        return
    info, asked = get_info(model), request.adapt or "auto"
    source = embed(model, data.train, progress=progress)
    features = embed(model, target.samples, progress=progress)
    before = score_features(model, features)
    found = choose_adaptation(
        source,
        np.asarray(data.train.targets, np.float64),
        features,
        before,
        asked=asked,
        seed=request.seed,
        progress=progress,
    )
    if found.head is not None:
        fold_head(model, found.head, features[:_PROBED])
    shares = found.answers.mean(axis=0)
    record = Adaptation(
        asked=asked,
        kept=found.method,
        samples=len(features),
        left_out=target.left_out,
        shares={name: float(x) for name, x in zip(info.labels, shares, strict=True)},
        moved=float((before.argmax(axis=1) != found.answers.argmax(axis=1)).mean()),
        trials=found.trials,
        effect=_measure_effect(model, target, before, found, request.seed),
    )
    record.write(run.trust)


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


def _measure_effect(
    model: Any, target: Target, before: np.ndarray, found: Choice, seed: int
) -> Effect | None:
    """Returns the headline on labelled samples before and after; None where there are none."""
    if target.labelled is None:
        return None
    info = get_info(model)
    place = {record.path: row for row, record in enumerate(target.samples.records)}
    rows = [place[record.path] for record in target.labelled.records]
    ends = []
    for scores in (before, found.answers):
        metrics = score_predictions(
            target.labelled.targets, scores[rows], head=info.head, labels=info.labels, seed=seed
        )
        ends.append(Estimate.of(metrics[metrics["headline"]]))
    return Effect(len(rows), metrics["headline"], *ends)
