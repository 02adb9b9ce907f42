"""The schedules that the project offers: functions that make good phases, and their names.

Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ScheduleError
from tfxfer.fine_tuning import FineTuning
from tfxfer.schedule import Phase
from tfxfer.system.arguments import check_number, describe_value
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "SCHEDULES",
    "follow_advice",
    "from_scratch",
    "list_phases",
    "progressive",
    "two_phase",
]

_STEPS = (0.8, 0.6, 0.4)
_STEP_EPOCHS = 5
_STEP_DECAY = 0.85


def follow_advice(
    advice: FineTuning, schedule: str = "two_phase", *, epochs: int | None = None
) -> tuple[Phase, ...]:
    """Returns the phases of a schedule as a backbone wants to be trained.

    Args:
        advice: the backbone's.
        schedule: a name of `SCHEDULES`.
        epochs: of each phase after the head's, or of the only one; None is the advised number.

    Example:
        >>> [(p.name, p.stage, p.epochs) for p in follow_advice(FineTuning(), epochs=2)]
        [('head', 'backbone', 30), ('fine_tune', 0.7, 2)]
    """
    return SCHEDULES[schedule](advice, epochs)


def two_phase(
    *,
    head_epochs: int = 30,
    epochs: int = 8,
    unfreeze_from: str | float | None = 0.7,
    head_rate: float = 1e-3,
    rate: float = 4e-4,
) -> tuple[Phase, ...]:
    """Returns the head on frozen features, then the upper network, too, as images want it.

    `fit` without a schedule does the same as the model's backbone wants it; see `FineTuning`.

    Args:
        head_epochs: of the first phase; nearly free, since its features are cached. It sees plain
            images only, so that it can start as soon as those are computed.
        epochs: of the second phase; 0 leaves it out.
        unfreeze_from: everything up to here stays frozen in the second phase: a stage's name, a
            fraction of the stages, or None to train everything.
        head_rate: peak learning rate of the first phase.
        rate: peak learning rate of the second phase.

    Raises:
        ScheduleError: a number that cannot be meant.

    Source:
        Two phases: https://keras.io/guides/transfer_learning/. Depth, epochs and views: measured,
        docs/benchmarks.md.

    Example:
        >>> [(p.name, p.stage, p.epochs) for p in two_phase()]
        [('head', 'backbone', 30), ('fine_tune', 0.7, 8)]
    """
    check_number(epochs, where="two_phase", name="epochs", least=0, error=ScheduleError)
    head = Phase("head", BACKBONE_END, head_epochs, head_rate, patience=10)
    upper = Phase("fine_tune", unfreeze_from, max(epochs, 1), rate, average=True)
    return (replace(head, views=1), upper) if epochs else (head,)


def progressive(
    *,
    steps: Sequence[str | float | None] = _STEPS,
    head_epochs: int = 30,
    epochs: int = _STEP_EPOCHS,
    head_rate: float = 1e-3,
    rate: float = 2e-4,
    stage_decay: float = _STEP_DECAY,
) -> tuple[Phase, ...]:
    """Returns the head phase and then one phase per step, each unfreezing more of the backbone.

    Args:
        steps: frontiers from the head towards the input, as in `Phase.stage`.
        head_epochs: of the first phase.
        epochs: of each later phase.
        head_rate: peak learning rate of the first phase.
        rate: peak learning rate of the first unfreezing; each further one halves it.
        stage_decay: see `Phase`.

    Raises:
        ScheduleError: a number that cannot be meant, or steps that are no list.

    Source:
        Gradual unfreezing and discriminative rates: Howard and Ruder 2018, sections 3.2 and 3.3;
        they decay by 2.6 a layer group, we by a gentler factor a block, as timm and AutoGluon do.

    Example:
        >>> [p.stage for p in progressive(steps=(0.5, 0.25))]
        ['backbone', 0.5, 0.25]
    """
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise ScheduleError(
            "progressive: expected several frontiers as steps. "
            f"Received: steps={describe_value(steps)}."
        )
    phases = [Phase("head", BACKBONE_END, head_epochs, head_rate, patience=10, views=1)]
    for number, stage in enumerate(steps):
        phases.append(
            Phase(
                f"unfreeze_{number + 1}",
                stage,
                epochs,
                rate / 2**number,
                stage_decay=stage_decay,
                average=True,
            )
        )
    return tuple(phases)


def from_scratch(*, epochs: int = 40, rate: float = 1e-3) -> tuple[Phase, ...]:
    """Returns one phase that trains everything, BatchNormalization included: for random weights.

    Args:
        epochs: at most.
        rate: peak learning rate.

    Example:
        >>> [(p.name, p.stage, p.batch_norm) for p in from_scratch()]
        [('scratch', None, True)]
    """
    return (Phase("scratch", None, epochs, rate, batch_norm=True),)


def _advise_head(advice: FineTuning, epochs: int | None) -> tuple[Phase, ...]:
    return (Phase("head", BACKBONE_END, advice.head_epochs, advice.head_rate, patience=10),)


def _advise_two_phase(advice: FineTuning, epochs: int | None) -> tuple[Phase, ...]:
    (head,) = _advise_head(advice, None)
    upper = Phase(
        "fine_tune",
        advice.unfreeze_from,
        advice.epochs if epochs is None else epochs,
        advice.rate,
        average=advice.average,
    )
    return (replace(head, views=1), _tune(upper, advice, stage_decay=advice.stage_decay))


def _advise_progressive(advice: FineTuning, epochs: int | None) -> tuple[Phase, ...]:
    """Returns steps at rates that start at half of the advised one: each undoes less."""
    head, *steps = progressive(
        head_epochs=advice.head_epochs,
        epochs=min(_STEP_EPOCHS, advice.epochs) if epochs is None else epochs,
        head_rate=advice.head_rate,
        rate=advice.rate / 2,
        stage_decay=min(_STEP_DECAY, advice.stage_decay),
    )
    return (head, *(_tune(replace(step, average=advice.average), advice) for step in steps))


def _advise_scratch(advice: FineTuning, epochs: int | None) -> tuple[Phase, ...]:
    (phase,) = from_scratch(rate=advice.scratch_rate)
    return (phase if epochs is None else replace(phase, epochs=epochs),)


def _tune(phase: Phase, advice: FineTuning, *, stage_decay: float | None = None) -> Phase:
    return replace(
        phase,
        stage_decay=phase.stage_decay if stage_decay is None else stage_decay,
        warmup=advice.warmup,
        optimizer=advice.optimizer,
        weight_decay=advice.weight_decay,
    )


SCHEDULES: Mapping[str, Callable[[FineTuning, int | None], tuple[Phase, ...]]] = {
    "two_phase": _advise_two_phase,
    "progressive": _advise_progressive,
    "head": _advise_head,
    "scratch": _advise_scratch,
}
"""What `--schedule` and `fit(schedule=…)` take by name: what a backbone advises → phases."""


def list_phases(
    schedule: str | Sequence[Phase] | None, advice: FineTuning | None = None
) -> tuple[Phase, ...]:
    """Returns the phases that are meant by a name of `SCHEDULES`, by a list, or by None.

    Args:
        schedule: a name; phases in order; None is `two_phase`.
        advice: of the backbone, which a name follows; None is that of images.

    Raises:
        ScheduleError: no schedule has the name, or something among the phases is none.

    Example:
        >>> [phase.name for phase in list_phases("head")]
        ['head']
    """
    advice = FineTuning() if advice is None else advice
    if schedule is None:
        return follow_advice(advice)
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ScheduleError(
                f"no schedule named {schedule!r}.{did_you_mean(schedule, SCHEDULES)} "
                f"Expected one of: {', '.join(SCHEDULES)}; or a list of phases."
            )
        return follow_advice(advice, schedule)
    phases = tuple(schedule) if isinstance(schedule, Iterable) else (schedule,)
    wrong = [phase for phase in phases if not isinstance(phase, Phase)]
    if wrong or isinstance(schedule, Phase):
        raise ScheduleError(
            "schedule: expected a name, or a list of tfxfer.Phase. "
            f"Received: {describe_value(wrong[0] if wrong else schedule)}."
        )
    return phases
