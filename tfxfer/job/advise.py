"""What is measured of samples before anything is trained, and the training that follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfxfer.data.feed import SplitSource
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.evaluation.intervals import matched_interval, wilson
from tfxfer.frontier.fill import Conversion
from tfxfer.inference.embedding import embed_stages
from tfxfer.job.fitting import build
from tfxfer.job.plan_text import describe_phase, format_seconds
from tfxfer.job.prepare import Prepared
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import RESERVE_SECONDS
from tfxfer.progress import Progress
from tfxfer.schedule import Phase, resolve_fractions, resolve_schedule
from tfxfer.stages import get_info
from tfxfer.standard_schedules import follow_advice
from tfxfer.training.budget import choose_schedule
from tfxfer.training.cost import Workload, estimate_seconds
from tfxfer.training.options import choose_views
from tfxfer.training.speeds import Speeds, macs_share, probe_speeds
from tfxfer.trust.advice import (
    Advice,
    Evidence,
    StageProbe,
    choose_backbone,
    choose_strategy,
)
from tfxfer.trust.gap import measure_gap
from tfxfer.trust.probe import fit_probe
from tfxfer.trust.profile import describe_profile

__all__ = ["advise"]

_DEPTHS = (0.4, 0.55, 0.7, 0.85, 1.0)
"""Where features are probed, as fractions of the stages; below, a linear probe says little."""
_GAP_SAMPLES = 128
_KEPT = (
    "data", "backbone", "head", "weights", "size", "seed", "sample_column", "label_column",
)  # fmt: skip
"""Of a request, what the plan repeats."""


@dataclass(frozen=True, eq=False)
class _Trial:
    """What was measured of one backbone.

    Args:
        prepared: a request for it.
        evidence: that was found.
        speeds: of this machine.
        shares: from `macs_share`.
        stages: of the backbone.
        work: how many samples.
        views: of each sample, where a strategy says nothing of them.
        prepare_seconds: until the training itself could begin.
    """

    prepared: Prepared
    evidence: Evidence
    speeds: Speeds
    shares: dict[str | None, float]
    stages: tuple[str, ...]
    work: Workload
    views: int
    prepare_seconds: float

    def count_seconds(self, phases: Sequence[Phase], views: int) -> float:
        """Returns what a training takes here."""
        return estimate_seconds(self.speeds, self.shares, phases, views=views, work=self.work)


def advise(
    candidates: Sequence[Prepared],
    *,
    budget_seconds: float | None = None,
    reserve_seconds: float = 0.0,
    progress: Progress | None = None,
    on_audit: Callable[[SampleData], None] | None = None,
) -> Advice:
    """Returns how to train on some samples, and why; nothing is trained.

    Linear probes learn from the training split and are judged on the validation split; the test
    split is not looked at.

    Args:
        candidates: a request for each backbone, of the same samples.
        budget_seconds: that the training may take; None is no limit.
        reserve_seconds: of these, what is done with the run afterwards.
        progress: told how far long work is.
        on_audit: gets the samples, audited and split.

    Raises:
        TfxferError: see `load_samples` and `build_model`.
    """
    trials: list[_Trial] = []
    for prepared in candidates:
        started = time.monotonic()
        data = load_samples(
            prepared.source,
            modality=prepared.modality,
            head=prepared.head,
            size=prepared.size,
            contract=prepared.backbone.preprocessing,
            seed=prepared.request.seed,
            least_size=prepared.least_size,
            progress=progress,
        )
        prepared = prepared.at_size(data.train.size)
        if on_audit is not None and not trials:
            on_audit(data)
        trials.append(_try_backbone(prepared, data, progress, started=started))
    evidence = [trial.evidence for trial in trials]
    chosen, reasons = choose_backbone(evidence)
    trial = trials[evidence.index(chosen)]
    asked = asdict(trial.prepared.request)
    fields: dict[str, Any] = {
        name: asked[name] for name in _KEPT if asked[name] not in (None, 0, "default")
    }
    if budget_seconds is None:
        strategy = choose_strategy(chosen, trial.prepared.backbone.fine_tuning)
        fields |= strategy.to_request()
        views = trial.views if trial.views == 1 else strategy.views or trial.views
        schedule = TrainRequest(**fields).make_schedule(trial.prepared.backbone.fine_tuning)
        phases = resolve_schedule(schedule, trial.stages, backbone=chosen.backbone)
        seconds = trial.count_seconds(phases, views)
        reasons += strategy.reasons
    else:
        fields["budget_seconds"] = budget_seconds
        left = budget_seconds - reserve_seconds - RESERVE_SECONDS - trial.prepare_seconds
        found = choose_schedule(
            trial.speeds, trial.shares, trial.stages, seconds=left, work=trial.work,
            sizes=trial.prepared.list_sizes(), augment=trial.views > 1,
            advice=trial.prepared.backbone.fine_tuning,
        )  # fmt: skip
        phases, seconds, views = found.schedule, found.seconds, found.views
        reasons += (
            f"of the trainings that fit into {format_seconds(budget_seconds)} this one is "
            f"expected to lose least, {found.loss:.1f} points against the largest",
            chosen.gap_words,
        )
    level = trial.prepared.request.augment
    lines = [describe_phase(phase) for phase in phases]
    lines.append(f"{views} views of each sample, augmentation {level}")
    return Advice(fields, seconds, tuple(lines), reasons, tuple(evidence))


def _try_backbone(
    prepared: Prepared, data: SampleData, progress: Progress | None, *, started: float
) -> _Trial:
    model = build(prepared, data)
    stages = tuple(stage.name for stage in get_info(model).stages)
    advice = prepared.backbone.fine_tuning
    cuts = [x for x in resolve_fractions((*advice.losses.frontiers, 1.0), stages) if x is not None]
    request = prepared.request
    level = request.augment or prepared.modality.default_level
    source = SplitSource(data.train, augment=level, options=request.view_options)
    if progress is not None:
        progress("measuring this machine", 0, 0)
    speeds = probe_speeds(model, source, stages=cuts, conversion=Conversion())
    prepare_seconds = time.monotonic() - started
    if progress is not None:
        progress("measuring this machine", 1, 1)
    views = choose_views(level, advice)
    shares = macs_share(model)
    work = Workload(len(data.train), len(data.val), len(data.test), request.batch_size)
    default = resolve_schedule(follow_advice(advice), stages, backbone=request.backbone)
    classes = prepared.head.find_classes(data.train.targets)
    probes, half = _probe_stages(prepared, model, data, stages, progress)
    gap = measure_gap(model, data.train, images=_GAP_SAMPLES, progress=progress)
    evidence = Evidence(
        backbone=request.backbone,
        size=prepared.size,
        samples=len(data.train),
        groups=0 if classes is None else len(data.labels),
        rarest=0 if classes is None else _count_rarest(classes, len(data.labels)),
        probes=probes,
        half=half,
        gap=gap.mean,
        gap_words=describe_profile(gap)[0],
        seconds=estimate_seconds(speeds, shares, default, views=views, work=work),
    )
    return _Trial(prepared, evidence, speeds, shares, stages, work, views, prepare_seconds)


def _count_rarest(classes: np.ndarray, count: int) -> int:
    return int(np.min(np.bincount(classes, minlength=count)))


def _probe_stages(
    prepared: Prepared,
    model: Any,
    data: SampleData,
    stages: Sequence[str],
    progress: Progress | None,
) -> tuple[tuple[StageProbe, ...], float | None]:
    """Returns probes at several stages, and what one at the end loses with half of the samples."""
    classes = prepared.head.find_classes(data.train.targets)
    truth = prepared.head.find_classes(data.val.targets)
    if classes is None or truth is None:
        return (), None
    names = [x for x in resolve_fractions(_DEPTHS, stages) if x is not None]
    learnt, _ = embed_stages(model, data.train, names, progress=progress)
    judged, _ = embed_stages(model, data.val, names, progress=progress)

    def find_right(name: str, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        probe = fit_probe(learnt[name][chosen], classes[chosen], class_count=len(data.labels))
        return (probe.predict(judged[name]).argmax(axis=1) == truth).astype(np.float64)

    rights = {}
    for number, name in enumerate(names):
        if progress is not None:
            progress("fitting linear probes", number, len(names))
        rights[name] = find_right(name)
    end = rights[names[-1]]
    probes = tuple(
        StageProbe(
            stage=name,
            depth=(stages.index(name) + 1) / len(stages),
            figure=wilson(float(right.sum()), len(right)),
            gain={key: 100 * value for key, value in matched_interval(right - end).items()},
        )
        for name, right in rights.items()
    )
    order = np.random.default_rng(prepared.request.seed).permutation(len(classes))
    chosen = np.concatenate(
        [
            found[: max(1, len(found) // 2)]
            for found in (order[classes[order] == number] for number in np.unique(classes))
        ]
    )
    half = 100 * float(end.mean() - find_right(names[-1], chosen).mean())
    if progress is not None:
        progress("fitting linear probes", len(names), len(names))
    return probes, half
