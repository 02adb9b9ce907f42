"""`--fair`: the head of a trained run is trained again, so that groups are treated more alike."""

from __future__ import annotations

from typing import Any, cast

from tfxfer.data.samples import SampleData
from tfxfer.job.request import TrainRequest
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.fair_training import check_fair, train_fairly
from tfxfer.trust.fairness import Criterion

__all__ = ["check_request_fair", "list_watched_groups", "make_fair"]

_UNKNOWN = "unknown"


def check_request_fair(request: TrainRequest, data: SampleData, head: Any) -> None:
    """Refuses groups that are too few, before anything is trained.

    Raises:
        DataError, UsageError: see `check_fair`.
    """
    if request.fair is not None:
        assert request.slice is not None
        check_fair(data, head, request.slice)


def list_watched_groups(request: TrainRequest, data: SampleData, head: Any) -> list[str] | None:
    """Returns the group of each validation sample, one of which may fall while others rise.

    Returns:
        Names; None where no column was asked for.
    """
    if request.slice is None:
        return None
    _, grouping, _ = check_fair(data, head, request.slice)
    return [_UNKNOWN if k < 0 else grouping.names[k] for k in grouping.numbers.tolist()]


def make_fair(
    run: RunDirectory,
    request: TrainRequest,
    model: Any,
    data: SampleData,
    progress: Progress | None,
) -> None:
    """Does what `--fair` asks for, and writes what it cost; nothing where it was not asked for.

    Args:
        run: whose lock is held.
        request: of the training.
        model: trained; its head may change.
        data: its samples.
        progress: told how far it is.
    """
    if request.fair is None:
        return
    assert request.slice is not None
    found = train_fairly(
        model,
        data,
        column=request.slice,
        criterion=cast("Criterion", request.fair),
        balance=request.balance,
        seed=request.seed,
        progress=progress,
    )
    found.write(run.trust)
