"""What a head cannot be asked for together with, before anything is read or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfxfer.data.record import Source
from tfxfer.errors import UsageError
from tfxfer.head import Head
from tfxfer.job.style_choice import choose_method
from tfxfer.keeping.methods import METHODS

if TYPE_CHECKING:
    from tfxfer.job.earlier import EarlierRun
    from tfxfer.job.request import TrainRequest

__all__ = ["check_classes_left", "check_head"]


def check_head(request: TrainRequest, head: Head) -> None:
    """Refuses what a head has nothing for.

    Raises:
        UsageError: which option, and what the head is.
    """
    if request.balance != "none" and not head.can_balance:
        raise UsageError(
            f"--balance: expected a head with groups to balance. Received: head={head.name!r}. "
            "Leave it out."
        )
    if request.keep == "statistics" and head.linear_end() is None:
        raise UsageError(
            "--keep statistics: expected a head whose last layer follows from the features of "
            f"classes. Received: head={head.name!r}. Choose another --keep."
        )
    if head.closed_form() is not None:
        _check_computed(request, head)


def _check_computed(request: TrainRequest, head: Head) -> None:
    is_head_alone = request.schedule == "head"
    method = None if request.keep is None else METHODS[request.keep]
    reasons = {
        "--fair": ("which a penalty can change", request.fair is not None),
        "--reweight": ("in which samples can count more and less", request.reweight is not None),
        "--domain": ("in which samples can count more and less", request.domain is not None),
        "--style": (
            "on views that vary, or a schedule that trains more than the head",
            choose_method(request) is not None and is_head_alone,
        ),
        f"--keep {request.keep}": (
            "or a schedule that trains more than the head",
            method is not None and is_head_alone,
        ),
    }
    for option, (why, is_given) in reasons.items():
        if is_given:
            raise UsageError(
                f"{option}: expected a head that is trained, {why}. Received: "
                f"head={head.name!r}, which is computed. Choose another head, or leave {option} "
                "out."
            )


def check_classes_left(
    request: TrainRequest, head: Head, earlier: EarlierRun, source: Source
) -> None:
    """Refuses to compute a head for classes of which nothing will be left.

    What an earlier run knew of a class is in the weights of its last layer, which fine-tuning
    changes.

    Args:
        request: of the training.
        head: of the task.
        earlier: the run that it goes on from.
        source: all samples, those that only test among them.

    Raises:
        UsageError: a class without a sample, and more than the head trains.
    """
    if head.closed_form() is None or request.schedule == "head":
        return
    learnt = [record for record in source.records if record.split != "test"]
    known = {name for record in learnt for name in head.read_label(record.label)}
    lost = [label for label in earlier.manifest.labels if label not in known]
    if lost:
        raise UsageError(
            f"--from: expected --schedule head, or samples of every class, since head "
            f"{head.name!r} is computed from them again after fine-tuning. Received: none of "
            f"{lost[0]!r}. Add --replay 10, or take --schedule head."
        )
