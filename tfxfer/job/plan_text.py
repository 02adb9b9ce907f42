"""The plan of a training, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfxfer.adaptation.methods import TRAINED
from tfxfer.backbone import BACKBONE_END
from tfxfer.fine_tuning import DEFAULT_OPTIMIZER, FineTuning
from tfxfer.job.request import TrainRequest
from tfxfer.job.shots import Shots
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
    shots: Shots | None = None,
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
        shots: what so few samples call for; None where they are many.
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
        if item.closed_form:
            words = f"{frozen}, {item.trainable_parameters:,} parameters, computed without training"
            lines.append(PlanLine(f"phase {phase.name}", words))
            continue
        lines.append(
            PlanLine(
                f"phase {phase.name}",
                f"{frozen}, {item.trainable_parameters:,} trainable parameters, at most "
                f"{phase.epochs} epochs at {_describe_rate(phase)}, {source}",
            )
        )
    if shots is not None:
        lines.append(PlanLine("shots", shots.describe()))
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
    lines += _describe_sources(request)
    lines += _describe_style(plan, request)
    if request.target is not None and (request.adapt is not None or request.reweight is None):
        lines.append(PlanLine("target", _describe_target(request.adapt, request.adapt_strength)))
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


def _describe_target(adapt: str | None, strength: float | None) -> str:
    """Returns how a model is fitted to another look, for people.

    Example:
        >>> _describe_target("mmd", 2.0)
        'mmd while more than the head trains: features of both looks get one distribution, by a \
kernel, strength 2'
    """
    if adapt not in TRAINED:
        how = "as best fits it, or not at all" if adapt in (None, "auto") else adapt
        return f"the last layer is fitted to it afterwards: {how}"
    method = TRAINED[str(adapt)]
    return (
        f"{adapt} while more than the head trains: {method.words}, strength "
        f"{strength or method.strength:g}"
    )


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


def _describe_sources(request: TrainRequest) -> list[PlanLine]:
    """Returns how samples are drawn by where they are from, and how much they count."""
    lines = []
    weighted = request.reweight is not None
    if request.domain is not None:
        words = f"by {request.domain}, "
        words += "each sample once an epoch" if weighted else "as many samples of each in an epoch"
        if request.target is not None and not weighted:
            words += ", which count the more the nearer they are to the target"
        if request.leave_out is not None:
            words += f"; {request.leave_out} is left out, and is the test"
        lines.append(PlanLine("sources", words))
    if weighted:
        words = "samples count by how like the target they are"
        if request.adapt is None:
            words += "; the last layer is left as that trains it (--adapt auto fits it, too)"
        lines.append(PlanLine("reweight", words))
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
