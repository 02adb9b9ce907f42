"""The phases of a run, some of which may see smaller samples than its model."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.data.samples import SampleData
from tfxfer.device import Device
from tfxfer.frontier.fill import Conversion
from tfxfer.frontier.store import CacheStore
from tfxfer.job.align import Aligning
from tfxfer.job.keep import Keeping
from tfxfer.job.prepare import Prepared
from tfxfer.job.style import Style
from tfxfer.keeping.growth import copy_weights
from tfxfer.model import build_model
from tfxfer.progress import Progress
from tfxfer.schedule import FitState
from tfxfer.training.fit import fit
from tfxfer.training.options import Augmentation, Cache, Control
from tfxfer.training.plan import FitPlan
from tfxfer.training.snapshot import Snapshot

__all__ = ["Fitting", "build"]


def build(prepared: Prepared, data: SampleData, *, size: int | None = None) -> Any:
    """Returns the model of a request as its training begins: untrained, or an earlier run's.

    Args:
        prepared: what to train.
        data: its samples.
        size: of the input; None is the request's.
    """
    earlier = prepared.earlier
    model = build_model(
        prepared.backbone,
        labels=data.labels,
        head=prepared.head,
        size=size or prepared.size,
        weights=prepared.weights,
        # What a head has measured is what the earlier run's weights go with.
        targets=data.train.targets if earlier is None else None,
        seed=prepared.request.seed,
        registry=prepared.registry,
    )
    if earlier is not None:
        copy_weights(earlier.model, model, prepared.head.label_layers())
    return model


@dataclass(frozen=True, eq=False)
class Fitting:
    """What all phases of a run share.

    Args:
        prepared: what to train.
        data: its samples, of the model's size.
        store: where activations are cached.
        conversion: what of the model has been converted already.
        device: that computes.
        callbacks: Keras callbacks.
        progress: told how far long work is.
        deadline: `time.monotonic()` at which all of it must be over; None has no limit.
        last_seconds: of these, what phases at the model's own size take after smaller ones.
        on_features: see `tfxfer.Control`.
        keeping: what holds on to what the model knows.
        aligning: what is learnt of another look meanwhile.
        style: a look that samples are given; it goes without phases of another size.
    """

    prepared: Prepared
    data: SampleData
    store: CacheStore
    conversion: Conversion
    device: Device
    callbacks: Sequence[Any]
    progress: Progress | None
    deadline: float | None = None
    last_seconds: float = 0.0
    on_features: Callable[[np.ndarray, np.ndarray], None] | None = None
    keeping: Keeping | None = None
    aligning: Aligning | None = None
    style: Style | None = None

    def run(
        self,
        model: Any,
        plan: FitPlan,
        *,
        snapshot: Snapshot | None,
        on_phase_end: Callable[[Any, FitState], None],
        on_epoch_end: Callable[[Snapshot], None] | None = None,
    ) -> FitState:
        """Trains a model through all phases; returns how far it has come.

        Phases in a row that have one size are one `fit`. The best epoch of the last of these is
        what remains: a score at one size says nothing about another.

        Args:
            model: of the run, which ends with the trained weights.
            plan: all phases.
            snapshot: where an earlier process stopped, whose best weights the model holds.
            on_phase_end: gets the network that was trained, and the state.
            on_epoch_end: see `tfxfer.Control`.
        """
        own = self.prepared.size
        state = FitState() if snapshot is None else snapshot.state
        if snapshot is not None and snapshot.progress is None:
            snapshot = None  # between two phases the state and the weights are all there is
        groups = [
            (size, tuple(items))
            for size, items in itertools.groupby(plan.phases, lambda item: item.phase.size or own)
        ]
        is_over = False
        for number, (size, group) in enumerate(groups):
            # A head that is computed has to fit the features that there are, however it ended.
            items = tuple(item for item in group if item.closed_form or not is_over)
            names = {record.name for record in state.records}
            left = tuple(item for item in items if item.phase.name not in names)
            if not left:
                continue
            if len(left) == len(items) and snapshot is None:
                state = FitState(state.records)
            # A phase of another size that the clock left out is not made up for at this one.
            done = tuple(item for item in plan.phases if item.phase.name in names)
            later = [item for _, others in groups[number + 1 :] for item in others]
            network = model if size == own else build(self.prepared, self.data, size=size)
            if network is not model:
                network.set_weights(model.get_weights())
            try:
                state, is_stopped = self._fit(
                    network,
                    self.data if size == own else self.data.resized(size),
                    replace(
                        plan,
                        phases=(*done, *left),
                        later_epochs=sum(item.phase.epochs for item in later),
                    ),
                    state,
                    snapshot,
                    conversion=self.conversion if network is model else None,
                    deadline=self._find_deadline(is_last=not later),
                    on_phase_end=functools.partial(on_phase_end, network),
                    on_epoch_end=on_epoch_end,
                )
            finally:
                # Also where the loss was not finite: it ends with its best weights.
                if network is not model:
                    model.set_weights(network.get_weights())
            snapshot = None
            is_over = is_over or is_stopped
        return state

    def _find_deadline(self, *, is_last: bool) -> float | None:
        if self.deadline is None or is_last:
            return self.deadline
        return self.deadline - self.last_seconds

    def _fit(
        self,
        network: Any,
        data: SampleData,
        plan: FitPlan,
        state: FitState,
        snapshot: Snapshot | None,
        *,
        conversion: Conversion | None,
        deadline: float | None,
        on_phase_end: Callable[[FitState], None],
        on_epoch_end: Callable[[Snapshot], None] | None,
    ) -> tuple[FitState, bool]:
        """Returns how far a network has come, and whether that is all of the training."""
        request, keeping, aligning = self.prepared.request, self.keeping, self.aligning
        style = self.style
        history = fit(
            network,
            data,
            schedule=plan,
            callbacks=self.callbacks,
            batch_size=request.batch_size,
            augment=Augmentation(
                request.augment,
                plan.views,
                request.view_options,
                looks=None if style is None else style.looks,
            ),
            balance=request.balance,
            seed=request.seed,
            cache=Cache(enabled=request.cache, store=self.store, conversion=conversion),
            device=self.device,
            control=Control(
                deadline=deadline,
                progress=self.progress,
                state=state,
                snapshot=snapshot,
                on_phase_end=on_phase_end,
                on_epoch_end=on_epoch_end,
                on_features=self.on_features,
                wrap=None if keeping is None else keeping.wrap,
                change=None if style is None else style.change,
                companion=None if aligning is None else aligning.make_companion(data.train.size),
            ),
            verbose=0,
        )
        return history.state, history.is_stopped
