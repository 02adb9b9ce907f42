"""Which training a run gets: settled before it begins, or by the run that is gone on with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.data.feed import SplitSource
from tfxfer.data.samples import SampleData
from tfxfer.errors import RunError
from tfxfer.frontier.fill import Conversion
from tfxfer.job.gap_check import plan_gap_seconds
from tfxfer.job.prepare import Prepared
from tfxfer.run.manifest import Manifest
from tfxfer.schedule import Phase, resolve_fractions
from tfxfer.stages import get_info
from tfxfer.training.budget import choose_schedule
from tfxfer.training.cost import Workload, estimate_seconds
from tfxfer.training.options import choose_views
from tfxfer.training.speeds import macs_share, probe_speeds

__all__ = ["Choice", "Clock", "choose_training", "recall_training"]


@dataclass(frozen=True)
class Clock:
    """What is left of a budget.

    Args:
        budget_seconds: that everything may take; None sets no limit.
        started: `time.monotonic()` from which it counts.
        reserve_seconds: for what follows the training.
    """

    budget_seconds: float | None
    started: float
    reserve_seconds: float

    def count_left(self) -> float:
        """Returns the seconds left to train and test in."""
        assert self.budget_seconds is not None
        return self.budget_seconds - (time.monotonic() - self.started) - self.reserve_seconds

    def find_deadline(self, model: Any, data: SampleData, read_seconds: float) -> float | None:
        """Returns when training must end so that the test still fits into the budget."""
        if self.budget_seconds is None:
            return None
        samples = len(data.val) + len(data.test)
        specs = data.val.inputs.values()
        batch = [np.zeros((32, *spec.shape), spec.dtype) for spec in specs]
        inputs = batch if len(batch) > 1 else batch[0]
        model.predict_on_batch(inputs)
        lap = time.monotonic()
        model.predict_on_batch(inputs)
        testing = ((time.monotonic() - lap) / 32 + read_seconds) * samples
        return time.monotonic() + self.count_left() - testing


@dataclass(frozen=True)
class Choice:
    """What is run, and how long it is expected to take.

    Args:
        schedule: the phases.
        views: versions of each sample that epochs draw among.
        seconds: that it is expected to take; None where nobody asked.
        fits: whether that is within the budget.
        read_seconds: that a sample takes to be read.
        last_seconds: of these, what the phase at full size takes after one at a smaller size.
        next_seconds: that the next better training would take; None where there is none.
        gap_seconds: for the domain gap; 0 leaves it out.
    """

    schedule: tuple[Phase, ...]
    views: int
    seconds: float | None = None
    fits: bool = True
    read_seconds: float = 0.0
    last_seconds: float = 0.0
    next_seconds: float | None = None
    gap_seconds: float = 0.0


def recall_training(manifest: Manifest) -> Choice:
    """Returns what an interrupted run had settled.

    Raises:
        RunError: it has no plan.
    """
    planned = manifest.planned_phases()
    if not planned:
        raise RunError(
            "run.json: expected a plan to go on with. Received: plan=[]. "
            "Train anew with --overwrite."
        )
    return Choice(tuple(item.phase for item in planned), planned[0].views)


def choose_training(
    prepared: Prepared,
    data: SampleData,
    model: Any,
    clock: Clock,
    conversion: Conversion,
    *,
    companions: int = 0,
) -> Choice:
    """Settles schedule, views and size, and how long they are expected to take.

    Args:
        prepared: what to train.
        data: its samples.
        model: built for them.
        clock: of the budget.
        conversion: of what stays frozen, shared with the training.
        companions: samples that go beside those that train.
    """
    request, advice = prepared.request, prepared.backbone.fine_tuning
    work = Workload(
        len(data.train), len(data.val), len(data.test), request.batch_size, companions=companions
    )
    level = request.augment or prepared.modality.default_level
    source = SplitSource(data.train, augment=level, options=request.view_options)
    shares = macs_share(model)
    stages = [stage.name for stage in get_info(model).stages]
    if request.budget_seconds is None:
        cuts = [phase.stage for phase in prepared.schedule]
    else:
        cuts = [*resolve_fractions(advice.losses.frontiers, stages), stages[-1]]
    speeds = probe_speeds(
        model, source, stages=[x for x in cuts if isinstance(x, str)],
        conversion=conversion if request.cache else None,
    )  # fmt: skip
    gap_seconds = plan_gap_seconds(speeds, request.budget_seconds)
    if request.budget_seconds is not None:
        chosen = choose_schedule(
            speeds,
            shares,
            stages,
            seconds=clock.count_left() - gap_seconds,
            work=work,
            sizes=prepared.list_sizes(),
            augment=level != "none",
            advice=advice,
        )
        return Choice(
            chosen.schedule, chosen.views, chosen.seconds, chosen.fits, speeds.read_seconds,
            chosen.last_seconds, chosen.next_seconds, gap_seconds,
        )  # fmt: skip
    views = request.views or choose_views(level, advice)
    seconds = estimate_seconds(speeds, shares, prepared.schedule, views=views, work=work)
    return Choice(
        prepared.schedule, views, seconds + gap_seconds,
        read_seconds=speeds.read_seconds, gap_seconds=gap_seconds,
    )  # fmt: skip
