"""What a training lowers and reports: the head's own, or what the user compiled the model with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfxfer.data.targets import encode_class_numbers, read_class_numbers
from tfxfer.errors import ModelError
from tfxfer.head import Monitor
from tfxfer.keras_private import read_compile_arguments
from tfxfer.schedule import Phase
from tfxfer.stages import MADE_FOR_PHASE, get_info
from tfxfer.training.optimizers import copy_optimizer, is_followed

__all__ = ["Objective", "build_metrics", "find_objective"]

_KEPT = ("loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution")
"""Further arguments of `compile` that a phase is compiled with; the device says `jit_compile`."""


@dataclass(frozen=True, eq=False)
class Objective:
    """What every phase is compiled with, and which targets that takes.

    Args:
        loss: makes the loss.
        metrics: makes the metrics.
        monitor: what picks the best epoch, where Keras logs it.
        options: further arguments of `compile`.
        compiled: what the user compiled the model with; None where tfxfer chose.
        is_stand_in: whether the user compiled no loss, so that the head's stands in.
    """

    loss: Callable[[], Any]
    metrics: Callable[[], Any]
    monitor: Monitor
    options: Mapping[str, Any] = field(default_factory=dict)
    compiled: Mapping[str, Any] | None = None
    is_stand_in: bool = False

    @property
    def optimizer(self) -> Any:
        """The optimizer that phases follow; None where the schedule alone chooses."""
        found = None if self.compiled is None else self.compiled["optimizer"]
        # A loss scale around it is of float16 alone, in which tfxfer does not train.
        return getattr(found, "inner_optimizer", found)

    def adapt_targets(self, model: Any, targets: np.ndarray) -> np.ndarray:
        """Returns a user's own targets as the head has them.

        A head of the user's own has no such way; then class numbers become one-hot where the loss
        is one of classes.

        Raises:
            DataError: values that no label stands for.
        """
        info = get_info(model)
        if info.has_own_head:
            return info.head.adapt_targets(targets, info.labels)
        outputs = int(model.outputs[0].shape[-1])
        if outputs == 1 and targets.ndim == 1:
            return targets[:, None]
        numbers = read_class_numbers(targets)
        if numbers is None or outputs == 1 or "categorical" not in self._name_loss():
            return targets
        return encode_class_numbers(numbers, outputs, where=f"model {model.name!r}")

    def encode_targets(self, targets: np.ndarray) -> np.ndarray:
        """Returns what the loss takes for `adapt_targets`'s result: class numbers if sparse."""
        if "sparse" not in self._name_loss() or targets.ndim != 2 or targets.shape[1] == 1:
            return targets
        return targets.argmax(axis=1)

    def find_monitor(self, model: Any, targets: np.ndarray) -> Monitor:
        """Returns what picks the best epoch among what Keras will log.

        Args:
            model: compiled.
            targets: some, as the loss takes them.
        """
        if self.compiled is None or self.monitor.name == "val_loss":
            return self.monitor
        build_metrics(model, targets)
        logged = {f"val_{name}" for name in model.get_metrics_result()}
        return self.monitor if self.monitor.name in logged else Monitor("val_loss", "min")

    def describe_changes(self, phases: Sequence[Phase], monitor: Monitor) -> str | None:
        """Returns one line on what of the user's compile stands back, and why; None if nothing."""
        if self.compiled is None:
            return None
        notes = [*self._describe_optimizers(phases)]
        if self.is_stand_in:
            notes.append("the head's loss is trained with, since none was compiled")
        if monitor != self.monitor:
            metric = self.monitor.name.removeprefix("val_")
            notes.append(
                f"the lowest val_loss picks the best epoch, since no compiled metric is {metric!r}"
            )
        return f"fit: {'; '.join(notes)}" if notes else None

    def restore(self, model: Any) -> None:
        """Compiles a model as its user had, with a fresh optimizer of the same configuration.

        Which layers train has changed, and an optimizer holds to the variables that it was built
        for.
        """
        if self.compiled is None:
            return
        given = self.compiled["optimizer"]
        fresh = None if given is None else copy_optimizer(given)
        model.compile(**{**self.compiled, "optimizer": fresh})

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled where no device says: as the user did, or as Keras would."""
        if self.compiled is None:
            return bool(keras.backend.backend() == "jax")
        return bool(self.compiled["jit_compile"])

    def _name_loss(self) -> str:
        """Returns what a user's loss is called; a head's own takes what the head encodes."""
        if self.compiled is None or self.is_stand_in:
            return ""
        loss = self.loss()
        return str(getattr(loss, "name", None) or getattr(loss, "__name__", loss)).lower() + (
            type(loss).__name__.lower()
        )

    def _describe_optimizers(self, phases: Sequence[Phase]) -> list[str]:
        pattern = self.optimizer
        if pattern is None:
            return []
        kind = type(pattern).__name__
        followed = [phase for phase in phases if is_followed(pattern, phase)]
        notes = []
        own = _read_rate(pattern)
        changed = [
            phase
            for phase in followed
            if own is None or phase.decay != "constant" or not np.isclose(phase.learning_rate, own)
        ]
        if changed:
            rates = ", ".join(f"{phase.name} {phase.learning_rate:g}" for phase in changed)
            before = "a schedule of its own" if own is None else f"{own:g}"
            notes.append(
                f"the compiled {kind} trains each phase anew at the rate of the schedule "
                f"({rates}) in place of {before}; Phase(learning_rate=…) says another"
            )
        replaced = [phase for phase in phases if phase not in followed]
        if replaced:
            named = ", ".join(f"{phase.optimizer} in {phase.name}" for phase in replaced)
            why = (
                "as the schedule names it"
                if not isinstance(pattern, keras.optimizers.MultiOptimizer)
                else "since an optimizer of several has no rate that a phase could set"
            )
            notes.append(f"{named} takes the place of the compiled {kind}, {why}")
        return notes


def find_objective(model: Any) -> Objective:
    """Returns what a model is trained with.

    Args:
        model: from `build_model` or `load_model`, compiled by its user or not; or with a head of
            the user's own, which only its user can compile.

    Raises:
        ModelError: nobody knows the loss of such a head.
    """
    info = get_info(model)
    head = info.head
    by_user = model.compiled and not getattr(model.optimizer, MADE_FOR_PHASE, False)
    compiled = read_compile_arguments(model) if by_user else None
    loss = None if compiled is None else compiled["loss"]
    if not info.has_own_head and loss is None:
        raise ModelError(
            f"model {model.name!r}: expected a loss, since its head is not the one of "
            "build_model. Received: a model that was compiled without one or not at all. "
            "Call model.compile(optimizer, loss, metrics) first."
        )
    if compiled is None:
        return Objective(head.loss, head.metrics, head.monitor)
    # What `get` makes of its name is the optimizer; what was given may be the name.
    compiled["optimizer"] = model.optimizer
    metrics = compiled["metrics"]
    return Objective(
        head.loss if loss is None else lambda: loss,
        lambda: metrics,
        head.monitor,
        {name: compiled[name] for name in _KEPT},
        compiled,
        is_stand_in=loss is None,
    )


def build_metrics(model: Any, targets: np.ndarray) -> None:
    """Lets a callback of mode `auto` find the direction of a metric.

    Keras builds metrics at the first step, which only the suffix takes.

    Args:
        model: compiled.
        targets: some, as the loss takes them.
    """
    shape = (len(targets), *model.outputs[0].shape[1:])
    # Equal scores of all classes, which every metric of classes takes.
    model.compute_metrics(None, targets, np.full(shape, 1 / shape[-1], np.float32))
    model.reset_metrics()


def _read_rate(optimizer: Any) -> float | None:
    """Returns an optimizer's constant learning rate; None where it has a schedule, or several."""
    config = optimizer.get_config()
    rate = config.get("learning_rate")
    return None if rate is None or isinstance(rate, dict) else float(rate)
