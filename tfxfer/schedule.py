"""Training plans as data: phases, and the functions that make good ones.

Nothing here imports Keras. A schedule speaks of depth as a fraction or by a stage's name;
`resolve_schedule` turns it into the stages of one backbone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tfxfer.backbone import BACKBONE_END
from tfxfer.depth import is_fraction, resolve_stage
from tfxfer.errors import RunError, ScheduleError
from tfxfer.system.arguments import check_number, check_word, describe_value, is_real
from tfxfer.system.records import read_record
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "SCHEDULES",
    "FitState",
    "Phase",
    "PhaseResult",
    "from_scratch",
    "list_phases",
    "progressive",
    "resolve_fractions",
    "resolve_schedule",
    "two_phase",
]

_WORDS = {"decay": ("cosine", "constant"), "optimizer": ("adam", "adamw", "sgd")}


@dataclass(frozen=True)
class Phase:
    """Some epochs with one frontier and one set of learning rates.

    Args:
        name: what the plan, the history and checkpoints call it.
        stage: everything up to the end of this stage is frozen. A stage's name, `backbone` (only
            the head trains), None (nothing is frozen), or a number 0..1: that fraction of the
            backbone's stages is frozen.
        epochs: at most; early stopping may end the phase sooner.
        learning_rate: peak rate of the head and of the last trained stage.
        stage_decay: each stage further from the head trains at this factor of the next one's rate.
        warmup: fraction of the phase's steps in which the rate rises from 0 to its peak.
        decay: `cosine` to 0 after the warm-up, or `constant`.
        optimizer: `adam`, `adamw` or `sgd` (momentum 0.9, Nesterov).
        weight_decay: of `adamw` and `sgd`, decoupled, not applied to biases.
        patience: epochs without a better validation score that end the phase; None never does. It
            also cuts off the end of a cosine, where the rate is low.
        batch_norm: also train the backbone's BatchNormalization after the frontier: for random
            weights, whose statistics mean nothing yet.
        views: versions of each image it draws among, the plain one first; None is all there are.
        average: validate and keep a running average of the weights, see `averaging`. Not of
            BatchNormalization's statistics, so not together with `batch_norm`.
        longest: epochs it may grow to where a deadline leaves the time; None is `epochs`. Those
            beyond `epochs` draw the same views again.
        size: of the input in this phase, in the modality's unit; None is the model's own. `fit`
            takes a model of that size, `train` makes one and carries the weights over.
    """

    name: str
    stage: str | float | None
    epochs: int
    learning_rate: float
    stage_decay: float = 1.0
    warmup: float = 0.1
    decay: str = "cosine"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    patience: int | None = None
    batch_norm: bool = False
    views: int | None = None
    average: bool = False
    longest: int | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        where = f"phase {self.name!r}"
        check_number(self.epochs, where=where, name="epochs", least=1, error=ScheduleError)
        for name in ("patience", "views", "longest", "size"):
            value = getattr(self, name)
            if value is not None:
                check_number(value, where=where, name=name, least=1, error=ScheduleError)
        for name in ("learning_rate", "stage_decay", "warmup", "weight_decay"):
            if not is_real(getattr(self, name)):
                raise ScheduleError(
                    f"{where}: expected a number as {name}. "
                    f"Received: {name}={describe_value(getattr(self, name))}."
                )
        for name, words in _WORDS.items():
            value = getattr(self, name)
            check_word(value, words, where=where, name=name, error=ScheduleError)
        if not (self.stage is None or isinstance(self.stage, str) or is_fraction(self.stage)):
            raise ScheduleError(
                f"{where}: expected a stage's name, None, or a fraction 0..1 as stage. "
                f"Received: stage={describe_value(self.stage)}."
            )
        checks = {
            "a learning_rate above 0": self.learning_rate > 0,
            "0 < stage_decay <= 1": 0 < self.stage_decay <= 1,
            "0 <= warmup < 1": 0 <= self.warmup < 1,
            "weight_decay of at least 0": self.weight_decay >= 0,
            "longest None or at least epochs": self.longest is None or self.longest >= self.epochs,
            "average without batch_norm": not (self.average and self.batch_norm),
        }
        for expected, holds in checks.items():
            if not holds:
                raise ScheduleError(f"{where}: expected {expected}. Received: {self}.")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data.

        Raises:
            ScheduleError: it is something else.
        """
        return read_record(cls, data, where="phase", error=ScheduleError)


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


def resolve_schedule(
    schedule: str | Sequence[Phase] | None, stages: Sequence[str], *, backbone: str = "backbone"
) -> tuple[Phase, ...]:
    """Returns the schedule with every `Phase.stage` a stage's name or None.

    Args:
        schedule: phases in order, or what `list_phases` knows by name.
        stages: the backbone's stage names from the input, the last being `backbone`.
        backbone: whose stages these are, for messages.

    Raises:
        ScheduleError: no phases, two of one name, or an unknown stage.

    Example:
        >>> [p.stage for p in resolve_schedule(two_phase(), ["stem", "block_1", "backbone"])]
        ['backbone', 'stem']
    """
    phases = list_phases(schedule)
    if not phases:
        raise ScheduleError("schedule: expected at least one phase. Received: none.")
    names = [phase.name for phase in phases]
    if len(set(names)) != len(names):
        raise ScheduleError(f"schedule: expected phases with different names. Received: {names}.")
    return tuple(
        replace(
            phase,
            stage=resolve_stage(
                phase.stage, stages, where=f"phase {phase.name!r}", backbone=backbone
            ),
        )
        for phase in phases
    )


def resolve_fractions(fractions: Sequence[float], stages: Sequence[str]) -> tuple[str | None, ...]:
    """Returns the stages at which fractions of a backbone end, each once.

    Args:
        fractions: 0..1 of the stages.
        stages: names from the input, the last being `backbone`.

    Example:
        >>> resolve_fractions((0.0, 0.5, 1.0), ["stem", "block_1", "backbone"])
        (None, 'stem', 'backbone')
    """
    found = (resolve_stage(x, stages, where="fraction") for x in fractions)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class PhaseResult:
    """What one phase did.

    Args:
        name: of the phase.
        stage: its frontier, None where nothing was frozen.
        epochs: that were run.
        learning_rate: peak.
        trainable_parameters: numbers that moved.
        cached: whether it trained on stored activations.
        seconds: filling the cache before it included.
        history: Keras's logs, a list per key.
        planned_epochs: that the phase was to have; None where that was not recorded.
        stopped: what cut it off before its end: `budget`, `patience`, `callback`, or None. Where
            that is None and it had fewer epochs than planned, the clock shortened it as a whole:
            its learning rate fell in time.
    """

    name: str
    stage: str | None
    epochs: int
    learning_rate: float
    trainable_parameters: int
    cached: bool
    seconds: float
    history: dict[str, list[float]]
    planned_epochs: int | None = None
    stopped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class FitState:
    """How far a training has come: what `fit` needs, beside the weights, to go on.

    Args:
        records: finished phases.
        best: the monitor's value (larger is better) and the negative validation loss.
        peak: the largest value of the monitor, which need not be the best epoch's.
        best_epoch: counted through all phases from 0.
        best_phase: in which that epoch was.
    """

    records: tuple[PhaseResult, ...] = ()
    best: tuple[float, float] | None = None
    peak: float | None = None
    best_epoch: int | None = None
    best_phase: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data, or the JSON of it.

        Raises:
            RunError: it is something else.
        """
        stored = read_record(
            cls,
            data,
            where="state of a training",
            error=RunError,
            required=("records", "best", "best_epoch", "best_phase"),
            has_nan=True,
        )
        if stored.best is None:
            return stored
        # A score that was not finite is null in JSON, and smaller than every other.
        value, loss = (-math.inf if math.isnan(x) else x for x in stored.best)
        peak = stored.peak if "peak" in data else value
        return replace(stored, best=(value, loss), peak=peak)
