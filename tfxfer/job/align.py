"""`--adapt` while the network trains: the target's samples go beside the labelled ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from tfxfer.adaptation.methods import TRAINED
from tfxfer.adaptation.penalties import make_penalty
from tfxfer.adaptation.pseudo_labels import choose_lessons
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import UsageError
from tfxfer.inference.embedding import embed
from tfxfer.job.request import TrainRequest
from tfxfer.job.target import Target
from tfxfer.progress import Progress
from tfxfer.training.companion import Companion
from tfxfer.training.plan import FitPlan

__all__ = ["Aligning", "check_aligned"]


@dataclass(frozen=True, eq=False)
class Aligning:
    """What a training learns of another look as it goes.

    Args:
        method: a word of `TRAINED`.
        strength: what it is multiplied by.
        samples: of the target, with pseudo-labels where the method has some.
        weights: how much each counts; None is 1.
        seed: of a penalty's own weights.

    Shapes: weights (samples,).
    """

    method: str
    strength: float
    samples: SampleSplit
    weights: np.ndarray | None
    seed: int

    @classmethod
    def begin(
        cls,
        request: TrainRequest,
        model: Any,
        data: SampleData,
        target: Target | None,
        progress: Progress | None,
    ) -> Self | None:
        """Returns what a request asks for; None where it asks for nothing that trains.

        Args:
            request: of the training.
            model: as the training begins, also where it goes on: pseudo-labels follow from it.
            data: the labelled samples.
            target: the other look, whose labels are not looked at.
            progress: told of samples done.
        """
        if target is None or request.adapt is None or request.adapt not in TRAINED:
            return None
        samples, weights = target.samples, None
        if request.adapt == "pseudo_labels":
            known = embed(model, data.train, progress=progress)
            features = embed(model, target.samples, progress=progress)
            labels, weights = choose_lessons(
                known, np.asarray(data.train.targets, np.float64), features
            )
            samples = replace(samples, targets=labels.astype(np.float32))
        strength = request.adapt_strength or TRAINED[request.adapt].strength
        return cls(request.adapt, strength, samples, weights, request.seed)

    def make_companion(self, size: int) -> Companion:
        """Returns the samples that go beside those of a training.

        Args:
            size: of the network that is fitted, in the modality's unit.
        """
        return Companion(
            replace(self.samples, size=size),
            lambda features: make_penalty(
                self.method, features, strength=self.strength, seed=self.seed
            ),
            self.weights,
        )


def check_aligned(request: TrainRequest, plan: FitPlan) -> None:
    """Refuses a method for which no phase has anything to train.

    Raises:
        UsageError: only the head trains, on features that stay what they are.
    """
    if request.adapt in TRAINED and not any(item.trains_backbone for item in plan.phases):
        raise UsageError(
            f"--adapt {request.adapt}: expected a schedule that trains more than the head. "
            f"Received: {', '.join(item.phase.name for item in plan.phases)}, which trains on "
            "features that stay what they are. Unfreeze more: --unfreeze-from"
        )
