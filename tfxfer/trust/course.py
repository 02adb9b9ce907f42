"""The course of a training: what its logs say goes wrong, as functions of the numbers alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from tfxfer.errors import RunError
from tfxfer.system.records import read_record

__all__ = [
    "Finding",
    "find_collapse",
    "find_divergence",
    "find_falling_slice",
    "find_overfitting",
    "find_plateau",
    "may_have_collapsed",
]

# Chosen so that the trainings of tests/trust/test_watch.py that are made to fail are named, and
# those that are healthy are not.
_RISEN = 2.0  # times the lowest training loss that is divergence
_RISING_EPOCHS = 3
_OVERFIT_EPOCHS = 5  # since the lowest validation loss
_OVERFIT = 1.3  # times that loss
_OVERFIT_LEAST = 0.05  # of the first epoch's: a loss near 0 doubles easily
_FLAT_EPOCHS = 8
_FLAT = 0.002  # of the first epoch's loss
_FITTED = 0.9  # share of training samples from which there is no plateau to speak of
_SAME_EPOCHS = 3
_OTHERS = 0.05  # as often as they occur, the labels beside the favourite must be answered
_FALL = 3.0  # standard errors: every epoch and every slice is another chance to be unlucky


@dataclass(frozen=True)
class Finding:
    """Something that goes wrong in a training.

    Args:
        kind: `collapse`, `divergence`, `overfitting`, `plateau` or `falling_slice`; `not_finite`
            is what `train` adds where the loss ended the training.
        epoch: in which it was noticed, counted from 0 through all phases.
        message: what is wrong.
        remedy: what this tool has against it.
        phase: of the training, where that is known.
        action: what was done about it, `stop`, `rollback`, or None.
    """

    kind: str
    epoch: int
    message: str
    remedy: str
    phase: str | None = None
    action: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data.

        Raises:
            RunError: it is something else.
        """
        return read_record(cls, data, where="finding of a training", error=RunError)

    def describe(self) -> str:
        """Returns it in a line for a person.

        Example:
            >>> Finding("plateau", 7, "the loss stands still", "unfreeze more").describe()
            'epoch 8: the loss stands still. Unfreeze more'
        """
        done = {None: "", "stop": "; stopped", "rollback": "; back to the best epoch"}
        remedy = self.remedy[:1].upper() + self.remedy[1:]
        return f"epoch {self.epoch + 1}: {self.message}{done[self.action]}. {remedy}"


def find_divergence(losses: Sequence[float], val_losses: Sequence[float] = ()) -> str | None:
    """Returns how a training diverges, in words; None where it does not.

    It does where its loss, or that of the validation, is not finite, or where its loss has been at
    least twice its lowest value for three epochs, and more than half of what it began with. A
    validation loss that rises is none: it overfits.

    Args:
        losses: of each epoch of a phase, by the training.
        val_losses: of the same, by the validation; empty where nobody validates.

    Example:
        >>> find_divergence([0.9, 0.5, 1.2, 2.5, 4.0])
        'the training loss rises, from 0.5 to 4'
        >>> find_divergence([0.9, 0.5, 0.6, 0.4, 0.5])
        >>> find_divergence([0.9, 0.5], [0.8, float("nan")])
        'the validation loss is nan'
    """
    for name, values in (("training", losses), ("validation", val_losses)):
        if values and not math.isfinite(values[-1]):
            return f"the {name} loss is {values[-1]}"
    lowest, recent = min(losses), losses[-_RISING_EPOCHS:]
    if len(losses) <= _RISING_EPOCHS or min(recent) < max(_RISEN * lowest, losses[0] / 2):
        return None
    return f"the training loss rises, from {lowest:.3g} to {losses[-1]:.3g}"


def find_overfitting(losses: Sequence[float], val_losses: Sequence[float]) -> str | None:
    """Returns how training and validation part, in words; None where they do not.

    They do where the validation loss was lowest five epochs ago or more, has since risen by three
    tenths in the median of three epochs, and the training loss has fallen meanwhile.

    Args:
        losses: of each epoch of a phase, by the training.
        val_losses: of the same, by the validation.

    Example:
        >>> val = [1.0, 0.6, 0.7, 0.75, 0.8, 0.9, 0.9]
        >>> find_overfitting([1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1], val)
        'it overfits: the validation loss has risen from 0.6 to 0.9 while the training loss fell'
    """
    if not np.isfinite(val_losses).all():
        return None
    best = int(np.argmin(val_losses))
    if len(val_losses) - 1 - best < _OVERFIT_EPOCHS:
        return None
    now, least = float(np.median(val_losses[-3:])), val_losses[best]
    rise = now - least
    if now < _OVERFIT * least or rise < _OVERFIT_LEAST * val_losses[0]:
        return None
    if losses[-1] >= losses[best]:
        return None
    return (
        f"it overfits: the validation loss has risen from {least:.3g} to {now:.3g} while the "
        "training loss fell"
    )


def find_plateau(
    losses: Sequence[float],
    val_losses: Sequence[float],
    *,
    rates: Sequence[float],
    fitted: float | None,
) -> str | None:
    """Returns that a training stands still before it has fitted, in words; None where it does not.

    It does where the training loss of the last four epochs is that of the four before, no
    validation loss of these was the lowest, and most samples it was shown are not fitted. A rate
    that has been lowered to under half of its peak makes every training stand still, and is none.

    Args:
        losses: of each epoch of a phase, by the training.
        val_losses: of the same, by the validation.
        rates: learning rate of each epoch; empty where it is not known.
        fitted: the latest share of training samples that is right; None where there is none, and
            a loss under half of the first epoch's counts as fitted.

    Example:
        >>> flat = [0.69] * 9
        >>> find_plateau(flat, flat, rates=[], fitted=0.5)
        'it stands still: the training loss has been 0.69 for 8 epochs'
    """
    recent = losses[-_FLAT_EPOCHS:]
    if len(losses) <= _FLAT_EPOCHS or not np.isfinite([*recent, *val_losses]).all():
        return None
    if rates and rates[-1] < max(rates) / 2:
        return None
    if (losses[-1] < losses[0] / 2) if fitted is None else (fitted >= _FITTED):
        return None
    half = _FLAT_EPOCHS // 2
    fall = float(np.mean(recent[:half]) - np.mean(recent[half:]))
    if abs(fall) > _FLAT * abs(losses[0]):  # a loss that rises does not stand still either
        return None
    if min(val_losses[-half:]) < (1 - _FLAT) * min(val_losses[:-half]):
        return None
    return f"it stands still: the training loss has been {losses[-1]:.3g} for {_FLAT_EPOCHS} epochs"


def may_have_collapsed(scores: Sequence[float], truths: Sequence[str], *, is_share: bool) -> bool:
    """Returns whether the latest validation scores are those of one answer to everything.

    It costs nothing and proves nothing: only the answers themselves do.

    Args:
        scores: the monitored validation quantity of each epoch.
        truths: the true answer of each validation sample.
        is_share: whether that quantity is the share of samples that are right. Then it would be
            the share of one label; of any other it would not change at all.

    Example:
        >>> may_have_collapsed([0.6, 0.6, 0.6], ["ant"] * 3 + ["bee"] * 2, is_share=True)
        True
        >>> may_have_collapsed([0.8, 0.8, 0.8], ["ant"] * 3 + ["bee"] * 2, is_share=True)
        False
    """
    counts = Counter(truths)
    recent = scores[-_SAME_EPOCHS:]
    if len(recent) < _SAME_EPOCHS or len(counts) < 2:
        return False
    if not is_share:
        return max(recent) - min(recent) <= 1e-4 * max(1e-12, *map(abs, recent))
    half_a_sample = 0.5 / len(truths)
    shares = [count / len(truths) for count in counts.values()]
    return all(any(abs(score - x) < half_a_sample for x in shares) for score in recent)


def find_collapse(answers: Sequence[str], truths: Sequence[str]) -> str | None:
    """Returns that a model answers one label to everything, in words; None where it does not.

    It does where the others are answered less than a twentieth as often as they occur.

    Args:
        answers: to some validation samples.
        truths: the true answers.

    Example:
        >>> find_collapse(["ant"] * 40, ["ant"] * 20 + ["bee"] * 20)
        "it has collapsed: 40 of 40 answers are 'ant', which 20 are"
        >>> find_collapse(["ant"] * 36 + ["bee"] * 4, ["ant"] * 20 + ["bee"] * 20)
    """
    favourite, count = Counter(answers).most_common(1)[0]
    real = sum(truth == favourite for truth in truths)
    others = len(truths) - real
    if not others or len(answers) - count >= _OTHERS * others:
        return None
    return (
        f"it has collapsed: {count:,} of {len(answers):,} answers are {favourite!r}, "
        f"which {real:,} are"
    )


def find_falling_slice(
    slices: Mapping[str, Sequence[float]], sizes: Mapping[str, int], overall: Sequence[float]
) -> tuple[str, str] | None:
    """Returns the slice that falls while all samples together do not, and words; else None.

    It falls where its last two epochs are both three standard errors of a difference below its
    best, and all samples together are not below what they were then by one of theirs.

    Args:
        slices: share of each slice's samples that is right, by epoch.
        sizes: of each slice.
        overall: share of all samples that is right, by epoch.

    Example:
        >>> night = [0.9, 0.9, 0.5, 0.5]
        >>> find_falling_slice({"night": night}, {"night": 100}, [0.90, 0.91, 0.93, 0.94])
        ('night', "slice 'night' falls: from 90.0 % right to 50.0 %, all samples 90.0 % to 94.0 %")
    """
    total = sum(sizes.values())
    for name, shares in slices.items():
        best = int(np.argmax(shares))
        if len(shares) - 1 - best < 2:
            continue
        before, after = shares[best], max(shares[-2:])
        if before - after <= _FALL * _spread(before, after, sizes[name]):
            continue
        if overall[best] - overall[-1] > _spread(overall[best], overall[-1], total):
            continue
        return name, (
            f"slice {name!r} falls: from {100 * before:.1f} % right to {100 * shares[-1]:.1f} %, "
            f"all samples {100 * overall[best]:.1f} % to {100 * overall[-1]:.1f} %"
        )
    return None


def _spread(first: float, second: float, size: int) -> float:
    """Returns the standard error of a difference of two shares of as many samples.

    One sample of each kind is added, so that a share of 1 has an error, too.

    Source: Agresti and Caffo 2000, https://doi.org/10.1080/00031305.2000.10474560.
    """
    first, second = ((share * size + 1) / (size + 2) for share in (first, second))
    return math.sqrt((first * (1 - first) + second * (1 - second)) / (size + 2))
