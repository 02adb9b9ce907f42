"""Trains what a run is held against, on its own samples and in its own time."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.samples import SampleData
from tfxfer.device import Device
from tfxfer.errors import ModelError
from tfxfer.evaluation import score_predictions
from tfxfer.frontier.fill import Conversion
from tfxfer.frontier.store import CacheStore
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.scoring import score_split
from tfxfer.job.fitting import Fitting, build
from tfxfer.job.prepare import Prepared
from tfxfer.progress import Progress
from tfxfer.schedule import FitState, Phase, resolve_schedule
from tfxfer.stages import get_info
from tfxfer.standard_schedules import follow_advice
from tfxfer.training.plan import plan_fit
from tfxfer.trust.baselines import Answers, BaselineRecord, BaselineResult, judge_baseline
from tfxfer.weights import resolve_weights

__all__ = ["train_baselines"]

_LONGEST_EPOCHS = 400
"""Of a training from random weights, which ends with its time."""


def train_baselines(
    names: Collection[str],
    *,
    prepared: Prepared,
    data: SampleData,
    state: FitState,
    metrics: Mapping[str, Any],
    model: Any,
    views: int,
    device: Device,
    progress: Progress | None = None,
) -> BaselineRecord:
    """Trains baselines and compares a run with each, on the test samples.

    Args:
        names: of `tfxfer.trust.baselines.BASELINES`.
        prepared: the run's.
        data: its samples.
        state: what its training came to. A baseline from random weights gets as many seconds.
        metrics: of its model on the test samples.
        model: that model.
        views: versions of each sample that the run drew among; so does one from random weights.
        device: that computes.
        progress: told how far long work is.
    """
    results: list[BaselineResult] = []
    notes = []
    advice = prepared.backbone.fine_tuning
    head, labels, seed = prepared.head, data.labels, prepared.request.seed
    run = Answers(score_split(wrap_model(model), data.test, progress=progress), metrics)
    is_head_only = all(record.stage == BACKBONE_END for record in state.records)
    request = prepared.request
    others = (request.fair, request.target, request.keep, request.style, request.domain)
    has_other_end = any(x is not None for x in others)
    for name in dict.fromkeys(names):
        if name == "probe" and is_head_only and not has_other_end:
            notes.append("the run trained its head alone: it is the probe itself")
            continue
        started = time.monotonic()
        try:
            if name == "probe":
                rival, epochs = _fit(
                    prepared, data, follow_advice(advice, "head"), device, progress
                )
            else:
                weights = resolve_weights(prepared.backbone, None)
                random = replace(prepared, weights=weights, earlier=None)
                scratch = follow_advice(advice, "scratch")
                phases = tuple(replace(x, longest=_LONGEST_EPOCHS) for x in scratch)
                seconds = sum(record.seconds for record in state.records)
                rival, epochs = _fit(
                    random, data, phases, device, progress, views=views, seconds=seconds
                )
        except ModelError as error:
            # Such as a loss that is not finite: the run itself is none the worse for it.
            notes.append(f"{name}: could not be trained: {error}")
            continue
        seconds = time.monotonic() - started
        scores = score_split(wrap_model(rival), data.test, progress=progress)
        found = score_predictions(data.test.targets, scores, head=head, labels=labels, seed=seed)
        results.append(
            judge_baseline(
                name,
                run,
                Answers(scores, found),
                targets=data.test.targets,
                head=head,
                labels=labels,
                seconds=seconds,
                epochs=epochs,
                is_head_only=is_head_only,
                plural=data.test.modality.plural,
                seed=seed,
            )
        )
    return BaselineRecord(tuple(results), tuple(notes))


def _fit(
    prepared: Prepared,
    data: SampleData,
    phases: tuple[Phase, ...],
    device: Device,
    progress: Progress | None,
    *,
    views: int = 1,
    seconds: float | None = None,
) -> tuple[Any, int]:
    """Returns a trained model, and the epochs that it had."""
    model = build(prepared, data)
    stages = [stage.name for stage in get_info(model).stages]
    with CacheStore() as store:
        plan = plan_fit(
            model,
            resolve_schedule(phases, stages),
            images=len(data.train),
            views=views,
            val=len(data.val),
            store=store,
            cache=prepared.request.cache,
        )
        fitting = Fitting(
            prepared, data, store, Conversion(), device, (), progress,
            deadline=None if seconds is None else time.monotonic() + seconds,
        )  # fmt: skip
        state = fitting.run(model, plan, snapshot=None, on_phase_end=lambda *_: None)
    return model, sum(record.epochs for record in state.records)
