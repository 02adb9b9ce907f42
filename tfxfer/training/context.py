"""What the phases of one `fit` share, and which samples each of them draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SampleSource
from tfxfer.device import Device
from tfxfer.training.activations import Activations
from tfxfer.training.batches import Change
from tfxfer.training.companion import Companion, CompanionDraw
from tfxfer.training.objective import Objective
from tfxfer.training.plan import FitPlan, PhasePlan
from tfxfer.training.weighting import Balance

__all__ = ["FitContext"]


@dataclass(frozen=True, eq=False)
class FitContext:
    """Everything the phases of one `fit` share.

    Args:
        targets: of the training and the validation samples, as the loss takes them.
        on_features: see `Control`.
        wrap: see `Control`.
        change: see `Control`.
        companion: see `Control`.
        beside: its samples.
    """

    model: Any
    train: SampleSource
    val: SampleSource
    plan: FitPlan
    activations: Activations
    batch_size: int
    seed: int
    objective: Objective
    targets: tuple[np.ndarray, np.ndarray]
    balance: Balance
    device: Device
    verbose: Any
    on_features: Callable[[np.ndarray, np.ndarray], None] | None = None
    wrap: Callable[[Any, str | None], Any] | None = None
    change: Callable[[Any, str | None], Change | None] | None = None
    companion: Companion | None = None
    beside: SampleSource | None = None

    def draw(self, item: PhasePlan, first_epoch: int) -> EpochDraw:
        """Returns which training samples a phase sees when."""
        return EpochDraw(
            len(self.train), item.views, self.batch_size, self.seed, self.balance.oversampled,
            cycle=(first_epoch, item.phase.epochs), lengths=self.train.lengths,
        )  # fmt: skip

    def draw_beside(self, item: PhasePlan, first_epoch: int, steps: int) -> CompanionDraw | None:
        """Returns which companions come when; None where a phase has none."""
        if self.beside is None or not item.trains_backbone:
            return None
        return CompanionDraw(
            len(self.beside), item.views, self.batch_size, steps, self.seed,
            cycle=(first_epoch, item.phase.epochs),
        )  # fmt: skip

    def draw_val(self) -> EpochDraw:
        """Returns that every epoch sees all validation samples, in their order."""
        return EpochDraw(len(self.val), 1, self.batch_size, self.seed, shuffle=False)
