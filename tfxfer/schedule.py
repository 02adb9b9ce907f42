"""Training plans as data: phases, what they did, and what a schedule means for one backbone.

Nothing here imports Keras. A schedule speaks of depth as a fraction or by a stage's name;
`resolve_schedule` turns it into the stages of one backbone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tfxfer.depth import is_fraction, resolve_stage
from tfxfer.errors import RunError, ScheduleError
from tfxfer.fine_tuning import DEFAULT_OPTIMIZER, OPTIMIZERS
from tfxfer.system.arguments import check_number, check_word, describe_value, is_real
from tfxfer.system.records import read_record

__all__ = [
    "FitState",
    "Phase",
    "PhaseResult",
    "resolve_fractions",
    "resolve_schedule",
]

_WORDS = {"decay": ("cosine", "constant"), "optimizer": OPTIMIZERS}


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
    optimizer: str = DEFAULT_OPTIMIZER
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


def resolve_schedule(
    schedule: Sequence[Phase], stages: Sequence[str], *, backbone: str = "backbone"
) -> tuple[Phase, ...]:
    """Returns the schedule with every `Phase.stage` a stage's name or None.

    Args:
        schedule: phases in order.
        stages: the backbone's stage names from the input, the last being `backbone`.
        backbone: whose stages these are, for messages.

    Raises:
        ScheduleError: no phases, two of one name, or an unknown stage.

    Example:
        >>> upper = Phase("upper", 0.7, epochs=8, learning_rate=4e-4)
        >>> [phase.stage for phase in resolve_schedule([upper], ["stem", "block_1", "backbone"])]
        ['stem']
    """
    if not schedule:
        raise ScheduleError("schedule: expected at least one phase. Received: none.")
    names = [phase.name for phase in schedule]
    if len(set(names)) != len(names):
        raise ScheduleError(f"schedule: expected phases with different names. Received: {names}.")
    return tuple(
        replace(
            phase,
            stage=resolve_stage(
                phase.stage, stages, where=f"phase {phase.name!r}", backbone=backbone
            ),
        )
        for phase in schedule
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
        stopped: what cut it off before its end: `budget`, `patience`, `callback`, `not_finite` for
            a loss that is not, or None. Where that is None and it had fewer epochs than planned,
            the clock shortened it as a whole: its learning rate fell in time.
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
