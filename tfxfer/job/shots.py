"""`--shots`: a training of few samples a class as it was measured to be best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median_low
from typing import TYPE_CHECKING

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
        head: that is taken in place of the default one; None keeps it.
        schedule: that is taken.
        source: see `FewShots`.
        is_taken: whether it was asked for; else it is a hint.
    """

    count: int
    head: str | None
    schedule: str
    source: str
    is_taken: bool

    def describe(self) -> str:
        """Returns a line for the plan.

        Example:
            >>> Shots(2, "prototype", "head", "measured", True).describe()
            '2 a class to learn from: --head prototype --schedule head, measured'
        """
        words = [] if self.head is None else [f"--head {self.head}"]
        chosen = " ".join([*words, f"--schedule {self.schedule}"])
        if self.is_taken:
            return f"{self.count} a class to learn from: {chosen}, {self.source}"
        return f"{self.count} a class to learn from: --shots auto takes {chosen}, {self.source}"


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
        >>> count_shots(records, get_head("classification"))
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
    rule = None if count is None else _find_rule(count, advice)
    if count is None or rule is None:
        return request, None
    own_phases = (request.head_epochs, request.epochs, request.unfreeze_from)
    is_free = request.schedule == "two_phase" and all(x is None for x in own_phases)
    schedule = rule.schedule if is_free else request.schedule
    chosen = registry.few_head() if rule.is_computed and request.head is None else None
    is_taken = request.shots == "auto"
    found = Shots(count, chosen, schedule, rule.source, is_taken)
    if is_taken:
        return replace(request, head=chosen or request.head, schedule=schedule), found
    is_other = schedule != request.schedule or chosen is not None
    return request, found if is_other else None


def _find_rule(count: int, advice: FineTuning) -> FewShots | None:
    return next((rule for rule in advice.few_shots if count <= rule.most), None)
