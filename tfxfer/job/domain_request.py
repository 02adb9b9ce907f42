"""What may be asked for together of `--domain`, `--leave-out` and `--reweight`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfxfer.adaptation.reweighting import REWEIGHTINGS
from tfxfer.errors import UsageError

if TYPE_CHECKING:
    from tfxfer.job.request import TrainRequest

__all__ = ["check_domains_asked"]


def check_domains_asked(request: TrainRequest) -> None:
    """Refuses options that say nothing without another one, or undo what it does.

    Raises:
        UsageError: such a pair.
    """
    if request.leave_out is not None and request.domain is None:
        raise UsageError(
            "training: expected --leave-out with the sources of which it names one. "
            f"Received: leave_out={request.leave_out!r} alone. Say where they stand: "
            "--domain COLUMN, or --domain folders"
        )
    if request.leave_out is not None and request.split_from is not None:
        raise UsageError(
            "training: expected --leave-out or --split-from, each of which says what is tested "
            f"with. Received: both, leave_out={request.leave_out!r}. Leave one of them out."
        )
    if request.reweight not in (None, *REWEIGHTINGS):
        raise UsageError(
            f"training: expected reweight among {', '.join(REWEIGHTINGS)}. "
            f"Received: reweight={request.reweight!r}."
        )
    if request.reweight is not None and request.target is None:
        raise UsageError(
            "training: expected --reweight target with the samples that training ones are held "
            f"against. Received: reweight={request.reweight!r} alone. Name their folder: "
            "--target FOLDER"
        )
    if request.domain is None:
        return
    if request.balance == "oversample":
        raise UsageError(
            "training: expected --domain with --balance weights, since samples are drawn by "
            "their sources. Received: balance='oversample', which draws them by their labels."
        )
    others = {
        "--from": request.from_run is not None,
        "--fair": request.fair is not None,
        "--keep statistics": request.keep == "statistics",
        "--budget": request.budget_seconds is not None,
    }
    given = [option for option, is_given in others.items() if is_given]
    if given:
        raise UsageError(
            f"training: expected --domain without {', '.join(others)}, which know no sources or "
            f"leave no time to compare them. Received: {', '.join(given)}. Leave one of them out."
        )
