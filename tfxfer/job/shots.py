"""`--shots`: a training of few samples a class as it was measured to be best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median_low
from typing import TYPE_CHECKING, Any

from tfxfer.data.record import Record
from tfxfer.data.split import DEFAULT_FRACTIONS
from tfxfer.errors import UsageError
from tfxfer.fine_tuning import FewShots, FineTuning
from tfxfer.head import Head

if TYPE_CHECKING:
    from tfxfer.job.request import TrainRequest
    from tfxfer.registry.lookup import Registry

__all__ = ["SHOTS", "Shots", "check_shots", "choose_shots", "count_shots"]

SHOTS = ("auto", "off")


@dataclass(frozen=True)
class Shots:
    """What follows from how few samples there are.

    Args:
        count: samples of a class to learn from, in the middle of the classes.
        options: of the command, that are taken: a schedule, and what differs from the default.
        source: see `FewShots`.
        is_taken: whether it was asked for; else it is a hint.
    """

    count: int
    options: Mapping[str, str | int]
    source: str
    is_taken: bool

    def describe(self) -> str:
        """Returns a line for the plan.

        Example:
            >>> Shots(2, {"head": "prototype", "schedule": "head"}, "measured", True).describe()
            '2 a class to learn from: --head prototype --schedule head, measured'
        """
        chosen = " ".join(f"--{name} {value}" for name, value in self.options.items())
        takes = "" if self.is_taken else "--shots auto takes "
        return f"{self.count} a class to learn from: {takes}{chosen}, {self.source}"


def check_shots(request: TrainRequest) -> None:
    """Refuses what leaves `--shots auto` nothing to choose, or another choice.

    Raises:
        UsageError: a word that is none, or such an option beside it.
    """
    if request.shots not in SHOTS:
        raise UsageError(
            f"training: expected shots among {', '.join(SHOTS)}. Received: {request.shots!r}."
        )
    beside = {"--budget": request.budget_seconds, "--from": request.from_run}
    given = [option for option, value in beside.items() if value is not None]
    if request.shots == "auto" and given:
        raise UsageError(
            f"training: expected --shots auto without {given[0]}, which chooses for itself. "
            "Received: both. Leave one of them out."
        )


def count_shots(records: Iterable[Record], head: Head) -> int | None:
    """Returns how many samples of a class there are to learn from, in the middle of the classes.

    Args:
        records: samples; those that have no part yet are counted as they will be drawn.
        head: of the task.

    Returns:
        A number; None where samples are of no classes.

    Example:
        >>> from tfxfer.registry.lookup import get_head
        >>> records = [Record(f"{n}.png", "ab"[n % 2]) for n in range(20)]
        >>> count_shots(records, get_head())
        7
    """
    if not head.complete_strata:
        return None
    known = list(records)
    parts = {record.split for record in known}
    learnt = [record for record in known if record.split in (None, "train")]
    counts = Counter(head.strata([record.label for record in learnt]))
    if not counts:
        return None
    middle = median_low(counts.values())
    return middle if parts != {None} else max(1, round(DEFAULT_FRACTIONS[0] * middle))


def choose_shots(
    request: TrainRequest,
    records: Iterable[Record],
    advice: FineTuning,
    registry: Registry,
) -> tuple[TrainRequest, Shots | None]:
    """Returns a request with what few samples call for, and what that is.

    What its user names stays. Without `--shots auto` the request stays, too, and the choice is a
    hint where it is another.

    Args:
        request: of the training.
        records: its samples.
        advice: of the backbone.
        registry: where heads are looked up.

    Returns:
        The request; and the choice, None where there is none.
    """
    default = registry.default("head") if request.head is None else request.head
    head = registry.load_head(default, **(request.head_options or {}))
    count = count_shots(records, head)
    rule, is_taken = None if count is None else _find_rule(count, advice), request.shots == "auto"
    if count is None or rule is None:
        return request, None
    chosen: dict[str, Any] = {}
    if _excludes_head_alone(request):
        # What else is asked for needs a head that trains, or more than the head to.
        rule = replace(rule, schedule="two_phase", is_computed=False)
    if rule.is_computed and request.head is None and (few := registry.few_head()) is not None:
        chosen["head"] = few
    phases = (request.head_epochs, request.epochs, request.unfreeze_from)
    if request.schedule == "two_phase" and all(x is None for x in phases):
        chosen["schedule"] = rule.schedule
        if rule.epochs is not None:
            chosen["epochs"] = rule.epochs
    if rule.augment is not None and request.augment is None:
        chosen["augment"] = rule.augment
    if not chosen:
        return request, None
    found = Shots(count, chosen, rule.source, is_taken)
    if is_taken:
        return replace(request, **chosen), found
    # A hint changes nothing, and is no request that anything could be refused of.
    is_other = any(getattr(request, name) != value for name, value in chosen.items())
    return request, found if is_other else None


def _excludes_head_alone(request: TrainRequest) -> bool:
    """Returns whether a request goes without a computed head, or without the head alone."""
    options = (
        request.fair, request.target, request.reweight, request.domain, request.style, request.keep,
        request.budget_seconds,
    )  # fmt: skip
    return any(option is not None for option in options)


def _find_rule(count: int, advice: FineTuning) -> FewShots | None:
    return next((rule for rule in advice.few_shots if count <= rule.most), None)
