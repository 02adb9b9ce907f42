"""How a backbone is best fine-tuned where its user says nothing, as data.

Nothing here imports Keras. What a backbone says in `Backbone.fine_tuning` is followed wherever
nobody says otherwise: by the schedules that have names, by budgets, by advice, and in the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from tfxfer.depth import is_fraction
from tfxfer.errors import ContractError
from tfxfer.system.arguments import check_number, check_word, describe_value, is_real

__all__ = [
    "DEFAULT_OPTIMIZER",
    "FEW_SHOTS",
    "OPTIMIZERS",
    "FewShots",
    "FineTuning",
    "Losses",
    "Table",
]

OPTIMIZERS = ("adam", "adamw", "sgd")
DEFAULT_OPTIMIZER = "adam"
"""Of a phase that names none: an optimizer that a model was compiled with takes its place."""

Table = tuple[tuple[float, float], ...]
"""Points of accuracy that are lost at some values of one setting: pairs, the best first."""


@dataclass(frozen=True)
class Losses:
    """What each cheaper training costs: points of accuracy below the largest one, to be added up.

    The defaults are those of images, measured one at a time around a smaller training by
    `benchmarks/budget_ladder.py`; docs/benchmarks/defaults.md has the table. Where that leaves no
    order, or has no row, more is taken for slightly better.

    Args:
        by_size: by the side of the input, in that of the full size.
        no_last_by_size: what is lost on top where no epoch at full size follows.
        by_frontier: by the fraction of the stages that stays frozen in the second phase.
        by_views: by the versions of each sample that epochs draw among.
        by_epochs: by the epochs of the second phase.
        head_only: where only the head trains.
        longest_epochs: of a second phase; more of them gave nothing that could be measured.
    """

    by_size: Table = ((1.0, 0.0), (0.86, 0.2), (0.71, 0.6), (0.57, 1.9))
    no_last_by_size: Table = ((1.0, 0.0), (0.86, 0.4), (0.71, 2.8), (0.57, 25.0))
    by_frontier: Table = ((0.5, 0.0), (0.6, 0.05), (0.7, 0.1), (0.8, 0.2), (0.9, 0.4))
    by_views: Table = ((8, 0.0), (4, 0.3), (3, 0.4), (2, 0.6), (1, 2.0))
    by_epochs: Table = (
        (20, 0.0), (16, 0.1), (12, 0.2), (8, 0.5), (6, 0.8), (4, 0.9), (3, 1.0), (2, 2.0),
    )  # fmt: skip
    head_only: float = 6.0
    longest_epochs: int = 30

    def __post_init__(self) -> None:
        tables = ("by_size", "no_last_by_size", "by_frontier", "by_views", "by_epochs")
        for name in tables:
            table = getattr(self, name)
            if not table or any(len(pair) != 2 or not all(map(is_real, pair)) for pair in table):
                raise ContractError(
                    f"losses: expected pairs of a setting and the points it costs as {name}. "
                    f"Received: {name}={describe_value(table)}."
                )
        check_number(
            self.longest_epochs, where="losses", name="longest_epochs", least=1, error=ContractError
        )

    @property
    def frontiers(self) -> tuple[float, ...]:
        """Fractions of the stages that may stay frozen in the second phase."""
        return tuple(frontier for frontier, _ in self.by_frontier)


@dataclass(frozen=True)
class FewShots:
    """What `--shots auto` takes of samples so few, where its user names nothing else.

    Args:
        most: samples of a class to learn from, up to which it holds.
        source: of the choice, in a few words.
        schedule: `two_phase` or `head`.
        is_computed: whether the head is the one that distributions declare for few samples, whose
            weights follow from the features.
        epochs: of the second phase; None is as ever.
        augment: level of augmentation; None is as ever.

    Raises:
        ContractError: a number or a word that cannot be meant.
    """

    most: int
    source: str
    schedule: str = "two_phase"
    is_computed: bool = False
    epochs: int | None = None
    augment: str | None = None

    def __post_init__(self) -> None:
        where, words = "few shots", ("two_phase", "head")
        check_number(self.most, where=where, name="most", least=1, error=ContractError)
        check_word(self.schedule, words, where=where, name="schedule", error=ContractError)
        if self.epochs is not None:
            check_number(self.epochs, where=where, name="epochs", least=1, error=ContractError)
            if self.schedule == "head":
                raise ContractError(
                    "few shots: expected epochs of a second phase. "
                    f"Received: epochs={self.epochs}, schedule='head'."
                )


FEW_SHOTS = (
    FewShots(2, "docs/few.md", schedule="head", is_computed=True),
    FewShots(20, "docs/few.md"),
)
"""Of convolutional networks on photos, by ten draws of two sets each.

With one and two photos of a class to learn from, class means are surely better than the default on
photos near to ImageNet's, and on flowers neither is. With ten the default is surely better on
flowers.
"""


@dataclass(frozen=True)
class FineTuning:
    """How a backbone is best fine-tuned: the head on frozen features, then more of the network.

    The defaults are those of convolutional networks on images, as docs/benchmarks.md measures them.

    Args:
        head_epochs: of the first phase, at most.
        head_rate: its peak learning rate.
        epochs: of the second phase.
        rate: its peak learning rate.
        unfreeze_from: everything up to here stays frozen in the second phase: a stage's name, a
            fraction of the stages, or None to train everything.
        stage_decay: each stage further from the head trains at this factor of the next one's rate.
        warmup: fraction of a phase's steps in which the rate rises from 0 to its peak.
        optimizer: `adam`, `adamw` or `sgd`, of the second phase.
        weight_decay: of `adamw` and `sgd`, in the second phase.
        average: whether the second phase validates and keeps a running average of its weights.
        augment: level of augmentation; None is the modality's own default.
        views: versions of each sample that epochs draw among; None is the usual number.
        scratch_rate: peak learning rate where random weights are trained.
        losses: what cheaper trainings cost, for a budget to choose among.
        few_shots: what to do with few samples, in the order of their number.
        sources: the papers behind the numbers, a line each; the plan shows them.

    Raises:
        ContractError: a number that cannot be meant.
    """

    head_epochs: int = 30
    head_rate: float = 1e-3
    epochs: int = 8
    rate: float = 4e-4
    unfreeze_from: str | float | None = 0.7
    stage_decay: float = 1.0
    warmup: float = 0.1
    optimizer: str = DEFAULT_OPTIMIZER
    weight_decay: float = 0.0
    average: bool = True
    augment: str | None = None
    views: int | None = None
    scratch_rate: float = 1e-3
    losses: Losses = Losses()
    few_shots: tuple[FewShots, ...] = FEW_SHOTS
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = "fine-tuning"
        for name in ("head_epochs", "epochs", "views"):
            value = getattr(self, name)
            if value is not None:
                check_number(value, where=where, name=name, least=1, error=ContractError)
        check_word(self.optimizer, OPTIMIZERS, where=where, name="optimizer", error=ContractError)
        numbers = ("head_rate", "rate", "stage_decay", "warmup", "weight_decay", "scratch_rate")
        checks = {f"a number as {name}": is_real(getattr(self, name)) for name in numbers}
        if all(checks.values()):
            rates = (self.head_rate, self.rate, self.scratch_rate)
            checks = {
                "rates above 0": min(rates) > 0,
                "0 < stage_decay <= 1": 0 < self.stage_decay <= 1,
                "0 <= warmup < 1": 0 <= self.warmup < 1,
                "weight_decay of at least 0": self.weight_decay >= 0,
                "a stage's name, None, or a fraction 0..1 as unfreeze_from": (
                    self.unfreeze_from is None
                    or isinstance(self.unfreeze_from, str)
                    or is_fraction(self.unfreeze_from)
                ),
            }
        most = [rule.most for rule in self.few_shots]
        checks["few_shots in the order of their number"] = most == sorted(set(most))
        for expected, holds in checks.items():
            if not holds:
                raise ContractError(f"{where}: expected {expected}. Received: {self}.")
