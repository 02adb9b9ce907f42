"""A Keras callback that says what goes wrong in a training, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import ModelError, UsageError
from tfxfer.inference.keras_model import wrap_model
from tfxfer.stages import ModelInfo, get_info
from tfxfer.system.arguments import check_word
from tfxfer.training.finite import advise_slower
from tfxfer.training.optimizers import read_rates
from tfxfer.trust.course import (
    Finding,
    find_collapse,
    find_divergence,
    find_falling_slice,
    find_overfitting,
    find_plateau,
    may_have_collapsed,
)
from tfxfer.trust.watch_state import describe_watch, restore_watch
from tfxfer.trust.watched import check_groups, check_tell, check_validation

__all__ = ["ON_COLLAPSE", "Watch"]

ON_COLLAPSE = ("warn", "stop", "rollback")
"""What may be done about a collapse or a divergence."""

_ASKED = 128  # validation samples whose answers tell a collapse: 5 % of them are six
_FIRST_WAIT = 3  # epochs until answers are asked for again that were in order; doubled each time


class Watch(keras.callbacks.Callback):
    """Notices a collapse, a divergence, overfitting, a plateau and a falling slice.

    Each is said once in a training, in one line with the remedy; one that was rolled back, once in
    each phase. It reads the logs, which costs nothing; only where the validation score is that of
    one answer to everything does it ask the model about some validation samples. It works in
    `tfxfer.fit` and in Keras's own `fit`.

    Args:
        on_collapse: what to do about a collapse or a divergence: `warn`; `stop` the training; or
            `rollback` to the best epoch, which ends Keras's `fit`, and in `tfxfer.fit` the phase;
            where no epoch had a finite loss, the training.
        validation: samples with labels: `data.val` of `load_images`, or arrays (inputs, targets),
            as they are handed to `fit`. Without them no collapse and no slice is noticed.
        groups: the slice of each validation sample, such as `day` or `night`. All of them are then
            scored after every epoch.
        tell: gets each line.

    Attributes:
        findings: what was noticed in the latest training, in order.
        ends_phase: whether a `stop_training` of this ends the phase alone, and not the training.

    Raises:
        UsageError: an argument that cannot be meant.

    Example:
        watch = tfxfer.Watch("rollback", validation=(x_val, y_val))
        model.fit(x, y, validation_data=(x_val, y_val), epochs=20, callbacks=[watch])
    """

    def __init__(
        self,
        on_collapse: str = "warn",
        *,
        validation: SampleSplit | tuple[Any, Any] | None = None,
        groups: Sequence[str] | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        super().__init__()
        check_word(on_collapse, ON_COLLAPSE, where="Watch", name="on_collapse")
        count = check_validation(validation)
        check_tell(tell)
        self.ends_phase = False
        self._action, self._validation, self._tell = on_collapse, validation, tell
        self._groups = check_groups(groups, count)
        self._phase: str | None = None
        self._is_phased = False
        self._info: ModelInfo | None = None
        self._truths: list[str] = []
        self._start_over()

    def _start_over(self) -> None:
        """Forgets all that an earlier training showed."""
        self.findings: list[Finding] = []
        self._said: set[str] = set()  # not to be said again
        self._acted: set[str] = set()  # of these, what is found again once the phase is over
        self._fallen: set[str] = set()
        self._before: list[float] = []
        self._best: tuple[float, list[np.ndarray]] | None = None
        self._forget()

    def on_phase_begin(self, name: str) -> None:
        """Begins a new course: a phase has rates and trainable layers of its own.

        `tfxfer.fit` calls it, and keeps the best weights itself.
        """
        self._phase, self._is_phased, self.ends_phase = name, True, False
        # A phase that begins far above the end of the one before has diverged, too; one that
        # follows a rollback begins elsewhere.
        last = [] if self._acted else self._losses[-1:]
        self._before = [loss for loss in last if np.isfinite(loss)]
        self._said -= self._acted
        self._acted = set()
        self._forget()

    def describe_state(self) -> dict[str, Any]:
        """Returns what it has seen, for a process that goes on within the phase."""
        return describe_watch(self)

    def restore_state(self, state: Any) -> None:
        """Takes what `describe_state` returned there."""
        restore_watch(self, state)

    def on_train_begin(self, logs: Any = None) -> None:
        """Looks at what is trained.

        Raises:
            UsageError: validation samples that the model cannot be asked about.
        """
        try:
            self._info = get_info(self.model)
        except ModelError:
            self._info = None  # anybody's model: its answer is its largest output
        if self._info is not None and not self._info.has_own_head:
            self._info = None
        if self._info is None and isinstance(self._validation, SampleSplit):
            raise UsageError(
                "Watch: expected arrays (inputs, targets) as validation of a model that is not "
                "from tfxfer.build_model. Received: a split of load_images."
            )
        if self._validation is not None:
            self._truths = self._decode(self._list_targets())
        self._start_over()
        self._phase = None
        self._is_phased = self.ends_phase = False  # until a phase begins

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Says what this epoch shows that no earlier one did, but for what was acted on."""
        logs = logs or {}
        if "loss" not in logs:
            return
        self._note(logs)
        found = self._find(logs)
        # Found first: the epoch that diverges is not the best.
        self._keep_best()
        for kind, message, remedy in found:
            if kind not in self._said:
                self._report(Finding(kind, epoch, message, remedy, self._phase))

    def _forget(self) -> None:
        self._losses: list[float] = []
        self._val_losses: list[float] = []
        self._rates: list[float] = []
        self._scores: list[float] = []
        self._slices: dict[str, list[float]] = {}
        self._overall: list[float] = []
        self._wait, self._ask_from = _FIRST_WAIT, 0

    def _note(self, logs: Mapping[str, float]) -> None:
        self._losses.append(float(logs["loss"]))
        if "val_loss" in logs:
            self._val_losses.append(float(logs["val_loss"]))
        # The epoch's own: a callback before this one may have set the next one's already.
        rate = logs["learning_rate"] if "learning_rate" in logs else self._read_rate()
        self._rates.append(float(rate))
        score = self._find_score()[0]
        if score in logs:
            self._scores.append(float(logs[score]))

    def _read_rate(self) -> float:
        return read_rates(self.model.optimizer)[0]

    def _find_score(self) -> tuple[str, bool]:
        """Returns the validation quantity that is watched, and whether it is a share."""
        if self._info is None:
            return "val_accuracy", True
        return self._info.head.monitor.name, self._info.head.monitor.share

    def _find(self, logs: Mapping[str, float]) -> list[tuple[str, str, str]]:
        """Returns kind, message and remedy of all that is wrong now."""
        slower = advise_slower(self._rates[-1])
        diverged = find_divergence([*self._before, *self._losses], self._val_losses)
        if diverged is not None:
            return [("divergence", diverged, slower)]
        found = []
        collapsed = self._find_collapse()
        if collapsed is not None:
            remedy = f"{slower}, or let rare labels count as much: --balance weights"
            found.append(("collapse", collapsed, remedy))
        has_val = len(self._val_losses) == len(self._losses)
        overfits = find_overfitting(self._losses, self._val_losses) if has_val else None
        if overfits is not None:
            remedy = (
                "the best epoch is what tfxfer keeps; more samples, --augment strong or "
                "--schedule head put it off"
            )
            found.append(("overfitting", overfits, remedy))
        name, is_share = self._find_score()
        fitted = logs.get(name.removeprefix("val_")) if is_share else None
        stands = (
            find_plateau(self._losses, self._val_losses, rates=self._rates, fitted=fitted)
            if has_val and collapsed is None and "collapse" not in self._said
            else None
        )
        if stands is not None:
            remedy = (
                f"unfreeze more (--unfreeze-from), or raise the rate, {self._rates[-1]:.3g} now"
            )
            found.append(("plateau", stands, remedy))
        falls = self._find_falling_slice()
        if falls is not None:
            found.append(("falling_slice", falls, "give it more samples, or more weight"))
        return found

    def _find_collapse(self) -> str | None:
        epoch, is_share = len(self._losses), self._find_score()[1]
        if self._validation is None or epoch < self._ask_from or "collapse" in self._said:
            return None
        if not may_have_collapsed(self._scores, self._truths, is_share=is_share):
            return None
        chosen = np.unique(np.linspace(0, len(self._truths) - 1, _ASKED).round().astype(int))
        found = find_collapse(self._answer(chosen), [self._truths[i] for i in chosen.tolist()])
        if found is None:
            self._ask_from = epoch + self._wait
            self._wait *= 2
        return found

    def _find_falling_slice(self) -> str | None:
        if self._groups is None:
            return None
        right = np.array(self._answer(np.arange(len(self._truths)))) == np.array(self._truths)
        names, counts = np.unique(self._groups, return_counts=True)
        sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
        self._overall.append(float(right.mean()))
        for name in sizes:
            self._slices.setdefault(name, []).append(float(right[self._groups == name].mean()))
        watched = {x: shares for x, shares in self._slices.items() if x not in self._fallen}
        found = find_falling_slice(watched, sizes, self._overall)
        if found is None:
            return None
        self._fallen.add(found[0])
        return found[1]

    def _report(self, finding: Finding) -> None:
        acts = finding.kind in ("collapse", "divergence") and self._action != "warn"
        if acts:
            is_back = self._action == "rollback" and self._has_best()
            finding = replace(finding, action="rollback" if is_back else "stop")
            self.model.stop_training = True
            if is_back:
                self.ends_phase = True
                if self._best is not None:
                    self.model.set_weights(self._best[1])
            self._acted.add(finding.kind)
        if finding.kind != "falling_slice":  # each slice that falls is a finding of its own
            self._said.add(finding.kind)
        self.findings.append(finding)
        self._tell(finding.describe())

    def _has_best(self) -> bool:
        """Returns whether there is an epoch to go back to."""
        if self._is_phased:
            return (self.params or {}).get("best_epoch") is not None
        return self._best is not None

    def _keep_best(self) -> None:
        """Keeps the weights of the best epoch, where nobody else does."""
        if self._action != "rollback" or self._is_phased:
            return
        losses = self._val_losses or self._losses
        if np.isfinite(losses[-1]) and (self._best is None or losses[-1] < self._best[0]):
            self._best = (losses[-1], self.model.get_weights())

    def _list_targets(self) -> np.ndarray:
        if isinstance(self._validation, SampleSplit):
            return self._validation.targets
        assert self._validation is not None
        targets = np.asarray(self._validation[1])
        if self._info is None:
            return targets
        return self._info.head.adapt_targets(targets, self._info.labels)

    def _decode(self, values: np.ndarray) -> list[str]:
        """Returns the answers that scores, or targets, stand for."""
        if self._info is not None:
            return [item.label for item in self._info.head.decode(values, self._info.labels)]
        array = np.asarray(values)
        if array.ndim == 2 and array.shape[1] > 1:
            array = array.argmax(axis=1)
        elif array.dtype.kind == "f" and not (array == np.round(array)).all():
            array = array > 0.5
        return [str(int(value)) for value in array.reshape(len(array))]

    def _answer(self, chosen: np.ndarray) -> list[str]:
        """Returns what the model says of some validation samples."""
        if isinstance(self._validation, SampleSplit):
            # A phase may see smaller samples than the run's model.
            assert self._info is not None
            split = replace(self._validation, size=self._info.size)
            found = split.read_views(chosen)
            inputs = map_arrays(lambda x: x[:, 0], found)
        else:
            assert self._validation is not None
            inputs = map_arrays(lambda x: np.asarray(x)[chosen], self._validation[0])
        if self._info is not None:
            return self._decode(wrap_model(self.model).score(inputs))
        return self._decode(np.asarray(self.model.predict_on_batch(inputs)))
