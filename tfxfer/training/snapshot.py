"""Where a training stands after an epoch, as data: what goes on from it ends as if never broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import keras
import numpy as np

from tfxfer.errors import RunError
from tfxfer.schedule import FitState, PhaseResult
from tfxfer.system.records import read_record
from tfxfer.training.averaging import WeightAverage
from tfxfer.training.callbacks import BestWeights, Bridge
from tfxfer.training.pace import Pace

__all__ = ["PhaseProgress", "Recorder", "Snapshot", "check_phases", "restore_snapshot"]

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class PhaseProgress:
    """What the running phase came to so far, in JSON's types.

    Args:
        epochs: of the phase that are over; at least one more follows.
        seconds: that they took, filling the cache before them included.
        history: their logs, a list per key.
        waited: epochs since the best one, of the phase's patience.
        averaging: how many steps the running average has seen, and how many samples it holds.
        pace: see `Pace.describe_state`.
        callbacks: what each of the user's callbacks says that has a `describe_state`, in order.
        phase: its name; empty where an earlier version wrote this.
    """

    epochs: int
    seconds: float
    history: dict[str, list[float]]
    waited: int
    averaging: tuple[int, int]
    pace: dict[str, Any]
    callbacks: tuple[Any, ...] = ()
    phase: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data, or the JSON of it.

        Raises:
            RunError: it is something else.
        """
        return read_record(cls, data, where="running phase", error=RunError, has_nan=True)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Where a training stands: after an epoch of the running phase, or between two phases.

    Args:
        state: what the finished phases came to, and the best epoch so far.
        best: weights of that epoch, of the full model.
        progress: of the running phase; None between two.
        network: all that the network that is fitted holds: its weights, as validation saw them,
            and its random streams.
        optimizer: what it has gathered, with its rates and its count of steps.
        average: the running average of the weights; none where the phase has none.
        own: the weights that training goes on from, where validation sees the average.
    """

    state: FitState
    best: Arrays
    progress: PhaseProgress | None = None
    network: Arrays = ()
    optimizer: Arrays = ()
    average: Arrays = ()
    own: Arrays = ()

    @property
    def epochs(self) -> int:
        """How many are over, through all phases."""
        running = 0 if self.progress is None else self.progress.epochs
        return running + sum(record.epochs for record in self.state.records)


class Recorder(keras.callbacks.Callback):
    """Takes a snapshot at the end of each epoch that another one follows. It stands last.

    After the last one the phase is over, which `Control.on_phase_end` tells.

    Args:
        average: of the training.
        best: of the training.
        bridge: of the training.
        pace: of the training.
        keep: gets each snapshot; None takes none.
    """

    def __init__(
        self,
        average: WeightAverage,
        best: BestWeights,
        bridge: Bridge,
        pace: Pace,
        keep: Callable[[Snapshot], None] | None,
    ) -> None:
        super().__init__()
        self.average, self.best, self.bridge, self.pace = average, best, bridge, pace
        self._keep = keep
        self._phase = ""
        self._records: tuple[PhaseResult, ...] = ()
        self._history: dict[str, list[float]] = {}
        self._started = self._earlier_seconds = 0.0

    def start_phase(
        self, name: str, records: Sequence[PhaseResult], progress: PhaseProgress | None = None
    ) -> None:
        """Begins anew, or where an earlier process stopped.

        Args:
            name: of the phase.
            records: finished phases.
            progress: of the phase, in an earlier process.
        """
        self._phase, self._records = name, tuple(records)
        history = {} if progress is None else progress.history
        self._history = {key: list(values) for key, values in history.items()}
        self._earlier_seconds = 0.0 if progress is None else progress.seconds
        self._started = time.monotonic()

    def count_seconds(self) -> float:
        """Returns how long the phase has run, in all processes."""
        return self._earlier_seconds + time.monotonic() - self._started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Takes the snapshot."""
        for key, value in (logs or {}).items():
            self._history.setdefault(key, []).append(float(value))
        # Under JAX, asking for the model gives its layers, and its optimizer, their values back.
        network, epochs = self.model, len(self._history["loss"])
        if self._keep is None or network.stop_training or epochs == self.pace.most_epochs:
            return
        best, average = self.best, self.average
        self._keep(
            Snapshot(
                FitState(self._records, best.best, best.peak, best.epoch, best.phase),
                tuple(best.weights),
                PhaseProgress(
                    epochs=epochs,
                    seconds=self.count_seconds(),
                    history={key: list(values) for key, values in self._history.items()},
                    waited=best.waited,
                    averaging=average.counts,
                    pace=self.pace.describe_state(),
                    callbacks=tuple(self.bridge.describe_callbacks()),
                    phase=self._phase,
                ),
                network=_read(network.variables),
                optimizer=_read(network.optimizer.variables),
                average=average.copy_average(),
                own=average.own,
            )
        )


def check_phases(snapshot: Snapshot, names: Sequence[str]) -> None:
    """Refuses a snapshot of other phases than those that are about to be trained.

    Two phases may train one network with one optimizer, so that no shape tells them apart.

    Args:
        snapshot: to go on from.
        names: of the phases, in order.

    Raises:
        RunError: it is of others.
    """
    found = [record.name for record in snapshot.state.records]
    progress = snapshot.progress
    if progress is not None:
        if len(found) >= len(names):
            found.append(progress.phase or "one more")
        else:
            # An earlier version did not say.
            found.append(progress.phase or names[len(found)])
    if found != list(names[: len(found)]):
        raise RunError(
            f"snapshot of a training: expected one of its phases, {', '.join(names)}. Received: "
            f"one of {', '.join(found)}. Go on with the schedule that it began with, or train anew."
        )


def restore_snapshot(
    snapshot: Snapshot,
    network: Any,
    *,
    average: WeightAverage,
    best: BestWeights,
    bridge: Bridge,
    pace: Pace,
) -> None:
    """Gives a network that is compiled for a phase, and what watches it, the state of a snapshot.

    Args:
        snapshot: within that phase.
        network: about to be fitted.
        average: begun for the phase, as the others are.
        best: that holds the best weights already.
        bridge: to the user's callbacks.
        pace: of the training.

    Raises:
        RunError: the snapshot is of another network or optimizer.
    """
    progress = snapshot.progress
    assert progress is not None, "between two phases there is nothing to restore"
    network.optimizer.build(network.trainable_variables)
    _write(network.variables, snapshot.network, what="network")
    _write(network.optimizer.variables, snapshot.optimizer, what="optimizer")
    average.restore_state(progress.averaging, snapshot.average, snapshot.own)
    best.waited = progress.waited
    pace.restore_state(progress.pace, epochs=progress.epochs)
    bridge.restore_callbacks(progress.callbacks)


def _read(variables: Sequence[Any]) -> Arrays:
    return tuple(np.array(variable) for variable in variables)


def _write(variables: Sequence[Any], values: Arrays, *, what: str) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    found = [value.shape for value in values]
    if shapes != found:
        raise RunError(
            f"{what} of a running phase: expected arrays of {len(shapes)} shapes, as this one has "
            f"them. Received: {len(found)}. Train anew with --overwrite."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
