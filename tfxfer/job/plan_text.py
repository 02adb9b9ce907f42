"""The plan of a training, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfxfer.backbone import BACKBONE_END
from tfxfer.fine_tuning import DEFAULT_OPTIMIZER, FineTuning
from tfxfer.job.request import TrainRequest
from tfxfer.job.style_choice import choose_method
from tfxfer.keeping.methods import METHODS
from tfxfer.schedule import Phase
from tfxfer.training.plan import FitPlan

if TYPE_CHECKING:
    from tfxfer.device import Device

__all__ = ["PlanLine", "describe_phase", "describe_plan", "format_seconds"]

_UNMIXED = (None, BACKBONE_END)


@dataclass(frozen=True)
class PlanLine:
    """One line of what is printed before a training starts."""

    what: str
    value: str


def describe_plan(
    plan: FitPlan,
    request: TrainRequest,
    device: Device,
    seconds: float | None,
    *,
    late: bool = False,
    better: float | None = None,
    advice: FineTuning | None = None,
    few: int | None = None,
) -> list[PlanLine]:
    """Returns what is printed before a training starts, in order.

    Args:
        plan: of the training.
        request: what was asked for.
        device: that computes.
        seconds: that it is expected to take; None where nobody knows.
        late: whether that is more than the budget leaves.
        better: what the next better training would take; None where there is none.
        advice: of the backbone; None is that of images.
        few: how many validation samples there are where they are too few to choose an epoch.
    """
    advice = FineTuning() if advice is None else advice
    lines = [
        PlanLine("device", f"{device.kind} ({device.name}), {device.precision}"),
        PlanLine("batch", f"{request.batch_size} samples, {_describe_views(plan.views)}"),
    ]
    for item in plan.phases:
        phase = item.phase
        frozen = _describe_frontier(phase)
        source = "through the whole network"
        if item.cached:
            source = f"from cached {'inputs' if item.cut is None else 'activations'}"
        if phase.size is not None:
            source += f", at size {phase.size}"
        if item.views == 1 < plan.views:
            source += " of the plain samples"
        lines.append(
            PlanLine(
                f"phase {phase.name}",
                f"{frozen}, {item.trainable_parameters:,} trainable parameters, at most "
                f"{phase.epochs} epochs at {_describe_rate(phase)}, {source}",
            )
        )
    if few is not None:
        lines.append(
            PlanLine(
                "kept epoch",
                f"the last one: {few} validation samples are too few to choose another, unless "
                "one is clearly better",
            )
        )
    if advice.sources and request.schedule != "head":
        lines.append(PlanLine("fine-tuning", f"after {'; '.join(advice.sources)}"))
    if _trains_everything(plan, request, advice):
        lines.append(PlanLine("stages", "none inside the backbone: it trains as a whole"))
    if request.weights == "none" and request.schedule != "scratch":
        lines.append(
            PlanLine("weights", "random, and partly frozen: --schedule scratch trains all")
        )
    lines += _describe_keeping(request)
    where = {"disk": f"on disk in {plan.cache_folder}", "memory": "in memory"}
    lines.append(
        PlanLine(
            "cache",
            f"{plan.cache_bytes / 2**20:.0f} MiB {where[plan.cache_place]}"
            if plan.cache_place in where
            else "none",
        )
    )
    lines += _describe_style(plan, request)
    if request.target is not None:
        how = "as best fits it, or not at all" if request.adapt in (None, "auto") else request.adapt
        lines.append(PlanLine("target", f"the last layer is fitted to it afterwards: {how}"))
    if request.baselines:
        names = ", ".join(request.baselines)
        lines.append(PlanLine("baselines", f"{names}: afterwards, in as much time at most"))
    if seconds is not None:
        more = ""
        if late:
            more = ", more than the budget leaves: it will stop early"
        elif request.budget_seconds is not None:
            more = (
                "; no larger training is known to be better"
                if better is None
                else f"; the next better training takes {format_seconds(better)}"
            )
        lines.append(PlanLine("expected time", f"about {format_seconds(seconds)}{more}"))
    return lines


def _describe_style(plan: FitPlan, request: TrainRequest) -> list[PlanLine]:
    """Returns what is given of another look, if any; pooled features have nothing to mix."""
    method = choose_method(request)
    if method is None:
        return []
    mixed = [item.phase.name for item in plan.phases if item.cached and item.cut not in _UNMIXED]
    given = []
    if method != "mixstyle":
        given.append("half of the varied views get it")
    if method != "fda" and mixed:
        given.append(f"activations of phase {', '.join(mixed)} are mixed with its own")
    how = " and ".join(given) or "nothing gets it, since no phase caches activations at a stage"
    return [PlanLine("style", f"of {request.style}: {how}")]


def _describe_keeping(request: TrainRequest) -> list[PlanLine]:
    """Returns what is gone on from, and what holds on to what that knows."""
    lines = []
    if request.from_run is not None:
        again = f"; {request.replay} samples of each of its labels again" if request.replay else ""
        drawn = ", rare labels drawn more often" if request.balance == "oversample" else ""
        lines.append(PlanLine("from", f"{request.from_run}{again}{drawn}"))
    if request.keep is not None:
        method = METHODS[request.keep]
        strength = request.keep_strength or method.strength
        times = "" if strength is None else f", strength {strength:g}"
        lines.append(PlanLine("keep", f"{request.keep}: {method.words}{times}"))
    return lines


def describe_phase(phase: Phase) -> str:
    """Returns what a phase does, for people, before anything is known of its model.

    Example:
        >>> describe_phase(Phase("head", "backbone", 30, 1e-3))
        'head: frozen up to backbone, at most 30 epochs at 0.001'
    """
    size = "" if phase.size is None else f", at size {phase.size}"
    return (
        f"{phase.name}: {_describe_frontier(phase)}, at most {phase.epochs} epochs at "
        f"{_describe_rate(phase)}{size}"
    )


def _describe_rate(phase: Phase) -> str:
    """Returns the peak rate, and which optimizer where that is not the usual one."""
    named = "" if phase.optimizer == DEFAULT_OPTIMIZER else f" of {phase.optimizer}"
    return f"{phase.learning_rate:g}{named}"


def _describe_views(views: int) -> str:
    """Returns how many versions of each sample training sees, for people.

    Example:
        >>> _describe_views(4), _describe_views(1)
        ('4 views of each', 'as they are')
    """
    return "as they are" if views == 1 else f"{views} views of each"


def _describe_frontier(phase: Phase) -> str:
    return "nothing frozen" if phase.stage is None else f"frozen up to {phase.stage}"


def _trains_everything(plan: FitPlan, request: TrainRequest, advice: FineTuning) -> bool:
    # A depth that nobody asked for is mostly a fraction of the stages. Only where there are none
    # does the first fraction of a schedule freeze nothing.
    asked = request.unfreeze_from is not None or request.schedule == "scratch"
    asked = asked or advice.unfreeze_from is None
    return not asked and len(plan.phases) > 1 and plan.phases[1].stage is None


def format_seconds(seconds: float) -> str:
    """Returns a time for people.

    Example:
        >>> format_seconds(125.4)
        '2 min 5 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
