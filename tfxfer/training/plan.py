"""What a training is about to do, decided before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfxfer.backbone import BACKBONE_END
from tfxfer.frontier.cut import cache_bytes
from tfxfer.frontier.store import CacheStore
from tfxfer.schedule import Phase, resolve_schedule
from tfxfer.stages import count_parameters, get_info, set_trainable
from tfxfer.training.speeds import macs_share

__all__ = ["FitPlan", "PhasePlan", "plan_fit"]

_REFIT = "refit"
_FREE = 1e-3  # of a network's multiplications: what computes as little is not worth a cache


@dataclass(frozen=True)
class PhasePlan:
    """One phase, resolved for one model.

    Args:
        phase: with `stage` a name or None.
        trainable_parameters: numbers that move.
        cached: whether it trains on stored activations (or stored pixels).
        refill: whether its activations must be computed anew, since an earlier phase trained
            layers that this one freezes.
        views: versions of each training image it draws among.
        from_inputs: it caches the model's inputs all the same, since what is frozen computes next
            to nothing, such as a look-up of vectors, and makes more of them.
        closed_form: whether the head's weights follow from the features, so that nothing trains.
    """

    phase: Phase
    trainable_parameters: int
    cached: bool
    refill: bool
    views: int
    from_inputs: bool = False
    closed_form: bool = False

    @property
    def stage(self) -> str | None:
        """Returns the frontier: a stage's name, or None where nothing is frozen."""
        return None if self.phase.stage is None else str(self.phase.stage)

    @property
    def trains_backbone(self) -> bool:
        """Returns whether more than the head trains."""
        return self.stage != BACKBONE_END

    @property
    def cut(self) -> str | None:
        """Returns where what is cached lies: the frontier, or None for the model's inputs."""
        return None if self.from_inputs else self.stage


@dataclass(frozen=True)
class FitPlan:
    """All phases and what their caches take.

    Args:
        phases: in order.
        views: versions of each training image that epochs draw among.
        cache_bytes: of all activations that are held at one time, at most.
        cache_place: `memory`, `disk` or `none`.
        cache_folder: parent of the files when `cache_place` is `disk`.
        later_epochs: that follow these phases in another `fit`, of the same training.
    """

    phases: tuple[PhasePlan, ...]
    views: int
    cache_bytes: int
    cache_place: str
    cache_folder: str
    later_epochs: int = 0

    def epochs_after(self, number: int) -> int:
        """Returns how many epochs are planned after a phase."""
        later = self.phases[number + 1 :]
        return sum(item.phase.epochs for item in later) + self.later_epochs

    def views_per_stage(self) -> dict[str | None, int]:
        """Returns for how many views of each training image there is room at each stage."""
        found: dict[str | None, int] = {}
        for item in self.phases:
            if item.cached:
                found[item.cut] = max(item.views, found.get(item.cut, 0))
        return found

    def stages_to_fill(self, number: int) -> tuple[str | None, ...]:
        """Returns where a pass over the images before a phase stores activations.

        At the phase's own frontier, and at those of later phases that have room for as many views:
        they lie on the way.

        Args:
            number: of the phase, which is cached.
        """
        item, room = self.phases[number], self.views_per_stage()
        found = [item.cut]
        for later in self.phases[number + 1 :]:
            if later.refill:
                break
            if later.cached and room[later.cut] >= item.views and later.cut not in found:
                found.append(later.cut)
        return tuple(found)


def plan_fit(
    model: Any,
    schedule: Sequence[Phase],
    *,
    images: int,
    views: int,
    val: int = 0,
    store: CacheStore,
    cache: bool = True,
    itemsize: int = 2,
    input_itemsizes: Sequence[int] | None = None,
    companions: int = 0,
) -> FitPlan:
    """Returns what `fit` will do with a model, which stays as it is.

    Args:
        model: from `build_model`.
        schedule: phases, resolved or not.
        images: training images.
        views: versions of each that epochs draw among.
        val: validation images, of which the plain version is cached.
        store: where caches would go.
        cache: False trains every phase from pixels.
        itemsize: bytes of one cached activation.
        input_itemsizes: bytes of a stored value of each input; None is what images take, 1.
        companions: samples that go beside the training's where more than the head trains; see
            `Companion`.

    Raises:
        ScheduleError: the schedule does not fit the model.
    """
    info = get_info(model)
    names = [stage.name for stage in info.stages]
    phases = resolve_schedule(schedule, names, backbone=info.backbone)
    is_closed = info.has_own_head and info.head.closed_form() is not None
    if is_closed:
        phases = _close_phases(phases)
    depth: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    depth[None] = -1
    itemsizes = (1,) * len(model.inputs) if input_itemsizes is None else input_itemsizes
    items, held, trained_from = [], set[str | None](), len(names)
    peak = 0
    before = [(layer, layer.trainable) for layer in model.layers]

    closed = [is_closed and phase.stage == BACKBONE_END for phase in phases]
    counts = [
        1 if is_fitted else min(phase.views or views, views)
        for phase, is_fitted in zip(phases, closed, strict=True)
    ]
    free = _find_free(model, phases, itemsize=itemsize, input_itemsizes=itemsizes)
    if is_closed:
        free -= {BACKBONE_END}  # its features are asked for, however cheap they are
    cuts = [
        None if phase.stage is None or phase.stage in free else str(phase.stage) for phase in phases
    ]
    most = {
        cut: max(n for n, other in zip(counts, cuts, strict=True) if other == cut) for cut in cuts
    }
    accompanied = {
        cut for phase, cut in zip(phases, cuts, strict=True) if phase.stage != BACKBONE_END
    }

    def measure(stages: set[str | None]) -> int:
        return sum(
            cache_bytes(
                model,
                [stage],
                images=count,
                views=versions,
                itemsize=itemsize,
                input_itemsizes=itemsizes,
            )
            for stage in stages
            for count, versions in (
                (images, most[stage]),
                (val, 1),
                (companions if stage in accompanied else 0, most[stage]),
            )
        )

    try:
        for phase, count, cut, is_fitted in zip(phases, counts, cuts, closed, strict=True):
            stage = None if phase.stage is None else str(phase.stage)
            set_trainable(model, stage, batch_norm=phase.batch_norm)
            # The end of this phase's frozen part lies above layers that an earlier phase trained.
            refill = depth[cut] > trained_from
            if refill:
                held = set()
            # What a closed form is asked for are stored features: each sample is computed once.
            wants_cache = cache or is_fitted
            needed = measure({*held, cut}) if wants_cache else 0
            cached = wants_cache and (cut in held or store.place(needed) != "nowhere")
            if cached:
                held.add(cut)
                peak = max(peak, needed)
            parameters = count_parameters(model.trainable_weights)
            items.append(
                PhasePlan(
                    phase,
                    parameters,
                    cached,
                    refill,
                    count,
                    from_inputs=cached and phase.stage in free,
                    closed_form=is_fitted,
                )
            )
            trained_from = min(trained_from, depth[stage])
    finally:
        for layer, trainable in before:
            layer.trainable = trainable
    return FitPlan(
        tuple(items), views, peak, store.place(peak) if peak else "none", str(store.parent)
    )


def _close_phases(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """Returns the phases of a head whose weights follow from the features.

    Where it alone would train, one epoch shows what it is worth. The last phase is such a one: a
    layer that stands on features that have moved since is not theirs.

    Example:
        >>> found = _close_phases([Phase("head", "backbone", 30, 1e-3), Phase("up", None, 8, 1e-4)])
        >>> [(phase.name, phase.stage, phase.epochs) for phase in found]
        [('head', 'backbone', 1), ('up', None, 8), ('refit', 'backbone', 1)]
    """
    found = [
        replace(phase, epochs=1, patience=None, longest=None, average=False)
        if phase.stage == BACKBONE_END
        else phase
        for phase in phases
    ]
    last = found[-1]
    if last.stage != BACKBONE_END:
        found.append(Phase(_REFIT, BACKBONE_END, 1, last.learning_rate, size=None))
    return tuple(found)


def _find_free(
    model: Any, phases: Sequence[Phase], *, itemsize: int, input_itemsizes: Sequence[int]
) -> set[Any]:
    """Returns the frontiers before which next to nothing is computed, and more is stored."""
    asked = {phase.stage for phase in phases if isinstance(phase.stage, str)}
    if not asked:
        return set()
    shares = macs_share(model)

    def measure(stage: str | None) -> int:
        return cache_bytes(
            model, [stage], images=1, views=1, itemsize=itemsize, input_itemsizes=input_itemsizes
        )

    return {
        stage
        for stage in asked
        if 1 - shares[str(stage)] <= _FREE and measure(str(stage)) >= measure(None)
    }
