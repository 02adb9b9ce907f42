"""What stands between a suffix in `fit` and callbacks that must see the full model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfxfer.errors import ContractError, RunError
from tfxfer.head import Monitor
from tfxfer.training.layer_state import saved_precision
from tfxfer.training.optimizers import read_rates

__all__ = ["BestWeights", "Bridge", "RateLogger", "sets_learning_rate"]


def sets_learning_rate(callbacks: Sequence[Any]) -> bool:
    """Returns whether one of the callbacks writes the optimizer's learning rate."""
    kinds = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    return any(isinstance(callback, kinds) for callback in callbacks)


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best validation epoch over all phases.

    Best is the lowest `val_loss` among the epochs that score like the best by the head's monitor:
    equally well, or for a share of the samples within its standard error. Of a share of few it is
    the last epoch that is not two standard errors below the best: they can show that a training
    went wrong, but not which of its epochs was luckier. Each epoch is compared with the one that is
    kept, once, when it ends. Patience restarts with each phase, the best so far does not.

    Args:
        full: the model whose weights are kept.
        monitor: the head's validation quantity.
        samples: of the validation split.

    Attributes:
        best: the best score; None before there is one.
        peak: the largest value of the monitor.
        epoch: of the best score, counted through all phases.
        phase: of the best score.
        weights: of that epoch; those that the training began with, should none be finite.
        waited: epochs of the phase since then.

    Source:
        Rule of one standard error: Breiman et al. 1984, Classification and Regression Trees,
        section 3.4.3. That of few, which is not 0 where all are right: Agresti and Coull 1998,
        The American Statistician 52, page 119.
    """

    def __init__(self, full: Any, monitor: Monitor, samples: int) -> None:
        super().__init__()
        self._full, self._monitor, self._samples = full, monitor, samples
        self._are_few = not monitor.can_choose(samples)
        self.best: tuple[float, float] | None = None
        self.peak = -math.inf
        self.epoch: int | None = None
        self.phase: str | None = None
        self.weights: list[np.ndarray] = full.get_weights()
        self._patience: int | None = None
        self.waited = 0
        self._phase_name = ""

    def start_phase(self, name: str, patience: int | None) -> None:
        """Restarts the patience."""
        self._phase_name, self._patience, self.waited = name, patience, 0

    def forget(self) -> None:
        """Takes whatever comes next for the best so far."""
        self.best, self.peak = None, -math.inf

    def continue_from(self, best: tuple[float, float], peak: float, epoch: int, phase: str) -> None:
        """Takes the model's weights as the best so far, reached in an earlier process."""
        self.best, self.peak, self.epoch, self.phase = best, peak, epoch, phase
        self.weights = self._full.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compares this epoch with the best."""
        score = self.score(logs or {})
        if self._is_better(score):
            self.best, self.epoch, self.phase = score, epoch, self._phase_name
            self.weights = self._full.get_weights()
            self.waited = 0
            return
        self.waited += 1
        if self._patience is not None and self.waited >= self._patience:
            self.model.stop_training = True

    def _is_better(self, score: tuple[float, float]) -> bool:
        value, loss = score
        if value == -math.inf:
            return False
        self.peak = max(self.peak, value)
        least = self._find_least()
        if value < least:
            return False
        if self.best is None or self.best[0] < least or self._are_few:
            return True
        return loss > self.best[1]

    def _find_least(self) -> float:
        """Returns the lowest score that may be the best one's equal."""
        if not self._monitor.share:
            return self.peak
        if self._are_few:
            count = self._samples + 4
            share = (self.peak * self._samples + 2) / count
            return self.peak - 2 * math.sqrt(share * (1 - share) / count)
        return self.peak - math.sqrt(self.peak * (1 - self.peak) / self._samples)

    def score(self, logs: dict[str, float]) -> tuple[float, float]:
        """Returns what is maximised: the monitor, then the negative validation loss.

        Raises:
            ContractError: the head monitors what none of its metrics is called.
        """
        missing = [key for key in (self._monitor.name, "val_loss") if key not in logs]
        if missing:
            raise ContractError(
                f"head: expected its monitor {self._monitor.name!r} to be one of Keras's logs, "
                f"`val_` and the name of a metric. Received: logs={sorted(logs)}."
            )
        sign = 1.0 if self._monitor.mode == "max" else -1.0
        value, loss = sign * logs[self._monitor.name], -logs["val_loss"]
        # A NaN compares false with everything and would stay the best for ever. A model whose loss
        # is NaN has an accuracy, too: that of always guessing the first class.
        return (value, loss) if np.isfinite([value, loss]).all() else (-math.inf, -math.inf)

    def restore(self) -> None:
        """Puts the best weights back."""
        self._full.set_weights(self.weights)


class RateLogger(keras.callbacks.Callback):
    """Logs the learning rate of every epoch, also of a `MultiOptimizer`, which has no single one.

    `learning_rate` is the head's. Where any phase has a rate per stage, each phase logs
    `learning_rate_<stage>` for all of them, 0 while a stage is frozen: every epoch has every key,
    as a CSVLogger and a table of the history need it. These are Keras's own names for them.

    Args:
        stages: that have a rate of their own in some phase.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        super().__init__()
        self._stages = tuple(stages)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the rates to the logs, for the callbacks that follow."""
        if logs is None:
            return
        head, rates = read_rates(self.model.optimizer)
        logs["learning_rate"] = head
        for stage in self._stages:
            # A frozen stage has no optimizer; the column stays, so that tables are rectangular.
            logs[f"learning_rate_{stage}"] = rates.get(stage, 0.0)


class Bridge(keras.callbacks.Callback):
    """Shows the user's callbacks the full model, and one training through all phases.

    In a suffix `fit` Keras hands callbacks the suffix: a ModelCheckpoint would save a model that
    takes activations. Here they see the full model, with the same optimizer; `stop_training` is
    carried over. A stop ends the phase when an EarlyStopping asks for it, whose patience restarts
    with the next phase, or a callback whose attribute `ends_phase` is true, and ends the whole
    training when anything else does. A callback that has `on_phase_begin` is told the name of each
    phase; one that has `describe_state` and `restore_state` goes on within a phase where an earlier
    process stopped. In `fit` it stands before tfxfer's own callbacks, so that a stop it sees was
    asked for by the user's.

    Args:
        callbacks: the user's.
        full: the full model.
        policy: dtype policy of the training; callbacks see, and save, a float32 model.
    """

    def __init__(self, callbacks: Sequence[Any], full: Any, *, policy: str = "float32") -> None:
        super().__init__()
        self._full = full
        self._callbacks = list(callbacks)
        self._list = keras.callbacks.CallbackList(self._callbacks)
        self._reads_batches = any(
            type(callback).on_train_batch_end is not keras.callbacks.Callback.on_train_batch_end
            for callback in self._callbacks
        )
        self._policy = policy
        self._describe: Callable[[], Mapping[str, Any]] = dict
        self._described: dict[str, Any] = {}
        self._began = False
        self.stopped = False

    @property
    def ended_phase(self) -> bool:
        """Whether a callback has ended the phase, to go on from the best epoch."""
        return any(getattr(callback, "ends_phase", False) for callback in self._callbacks)

    def start_phase(self, describe: Callable[[], Mapping[str, Any]], name: str = "") -> None:
        """Restarts every patience; the first time, shows the model, compiled by now.

        Args:
            describe: returns what the callbacks' `params` are to be; asked before every epoch,
                since a clock may settle how many there will be.
            name: of the phase.
        """
        self._full.stop_training = False
        self._describe, self._described = describe, {}
        self._show_params()
        for callback in self._callbacks:
            if isinstance(callback, keras.callbacks.EarlyStopping):
                callback.wait = callback.stopped_epoch = 0
            elif isinstance(callback, keras.callbacks.ReduceLROnPlateau):
                callback.wait = callback.cooldown_counter = 0
        if not self._began:
            self._began = True
            # Once only: TensorBoard would drop its open files at a second time.
            self._list.set_model(self._full)
            self._list.on_train_begin()
        for callback in self._callbacks:
            begin = getattr(callback, "on_phase_begin", None)
            if callable(begin):
                begin(name)

    def describe_callbacks(self) -> list[Any]:
        """Returns what each callback says of its state that has `describe_state`, in order."""
        return [callback.describe_state() for callback in self._list_stateful()]

    def restore_callbacks(self, states: Sequence[Any]) -> None:
        """Hands `restore_state` of these callbacks what an earlier process kept of them.

        Raises:
            RunError: there are more of them now, or fewer.
        """
        stateful = self._list_stateful()
        if len(stateful) != len(states):
            raise RunError(
                f"running phase: expected the callbacks that it began with, {len(states)} with a "
                f"state. Received: {len(stateful)}. Go on with the same ones."
            )
        for callback, state in zip(stateful, states, strict=True):
            callback.restore_state(state)

    def _list_stateful(self) -> list[Any]:
        return [each for each in self._callbacks if hasattr(each, "describe_state")]

    def end_training(self) -> None:
        """Tells the callbacks that all phases are over."""
        if self._began:
            self._list.on_train_end()

    def _show_params(self) -> None:
        described = dict(self._describe())
        if described != self._described:
            self._described = described
            self._list.set_params(described)

    def _forward_stop(self) -> None:
        # Without a frontier both are the same model.
        if not self._full.stop_training:
            return
        self.model.stop_training = True
        is_patience = any(
            isinstance(callback, keras.callbacks.EarlyStopping) and callback.stopped_epoch
            for callback in self._callbacks
        )
        self.stopped = self.stopped or not (is_patience or self.ended_phase)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Forwards, with what is known by now of how many epochs there will be."""
        self._show_params()
        self._list.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Forwards, then carries a stop over."""
        with saved_precision(self._full, self._policy):
            self._list.on_epoch_end(epoch, logs)
        self._forward_stop()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Forwards."""
        self._list.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Forwards, then carries a stop over."""
        if not self._callbacks:
            return
        if self._reads_batches:
            # Under JAX, asking for the suffix gives the layers their values back.
            _ = self.model
        with saved_precision(self._full, self._policy):
            self._list.on_train_batch_end(batch, logs)
        self._forward_stop()

    def on_test_begin(self, logs: Any = None) -> None:
        """Forwards."""
        self._list.on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Forwards."""
        self._list.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Forwards."""
        self._list.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Forwards."""
        self._list.on_test_batch_end(batch, logs)
