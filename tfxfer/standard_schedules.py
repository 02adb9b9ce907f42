"""The schedules that the project offers: functions that make good phases, and their names.

Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ScheduleError
from tfxfer.schedule import Phase
from tfxfer.system.arguments import check_number, describe_value
from tfxfer.system.spelling import did_you_mean

__all__ = ["SCHEDULES", "from_scratch", "list_phases", "progressive", "two_phase"]


def two_phase(
    *,
    head_epochs: int = 30,
    epochs: int = 8,
    unfreeze_from: str | float | None = 0.7,
    head_rate: float = 1e-3,
    rate: float = 4e-4,
) -> tuple[Phase, ...]:
    """Returns the default schedule: the head on frozen features, then the upper network, too.

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
    if epochs == 0:
        return (head,)
    return (
        replace(head, views=1),
        Phase("fine_tune", unfreeze_from, epochs, rate, average=True),
    )


def progressive(
    *,
    steps: Sequence[str | float | None] = (0.8, 0.6, 0.4),
    head_epochs: int = 30,
    epochs: int = 5,
    head_rate: float = 1e-3,
    rate: float = 2e-4,
    stage_decay: float = 0.85,
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


SCHEDULES: Mapping[str, Callable[[], tuple[Phase, ...]]] = {
    "two_phase": two_phase,
    "progressive": progressive,
    "head": lambda: two_phase(epochs=0),
    "scratch": from_scratch,
}
"""What `--schedule` and `fit(schedule=…)` take by name."""


def list_phases(schedule: str | Sequence[Phase] | None) -> tuple[Phase, ...]:
    """Returns the phases that are meant by a name of `SCHEDULES`, by a list, or by None.

    Args:
        schedule: a name; phases in order; None is `two_phase()`.

    Raises:
        ScheduleError: no schedule has the name, or something among the phases is none.

    Example:
        >>> [phase.name for phase in list_phases("head")]
        ['head']
    """
    if schedule is None:
        return two_phase()
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ScheduleError(
                f"no schedule named {schedule!r}.{did_you_mean(schedule, SCHEDULES)} "
                f"Expected one of: {', '.join(SCHEDULES)}; or a list of phases."
            )
        return SCHEDULES[schedule]()
    phases = tuple(schedule) if isinstance(schedule, Iterable) else (schedule,)
    wrong = [phase for phase in phases if not isinstance(phase, Phase)]
    if wrong or isinstance(schedule, Phase):
        raise ScheduleError(
            "schedule: expected a name, or a list of tfxfer.Phase. "
            f"Received: {describe_value(wrong[0] if wrong else schedule)}."
        )
    return phases
