"""What `--from`, `--keep` and `--replay` may be asked for together with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfxfer.errors import UsageError
from tfxfer.keeping.methods import METHODS

if TYPE_CHECKING:
    from tfxfer.job.request import TrainRequest

__all__ = ["check_keeping"]


def check_keeping(request: TrainRequest) -> None:
    """Refuses options that say nothing without another one, or undo what it does.

    Raises:
        UsageError: such a pair, or a strength that is none.
    """
    if request.from_run is not None:
        own = {
            "--weights": request.weights != "default",
            "--split-from": request.split_from is not None,
            "--schedule scratch": request.schedule == "scratch",
        }
        wrong = [option for option, is_given in own.items() if is_given]
        if wrong:
            raise UsageError(
                "training: expected --from RUN alone, which brings the weights and the split. "
                f"Received: {', '.join(wrong)} beside it. Leave one of them out."
            )
        if request.baselines:
            raise UsageError(
                "training: expected --baselines without --from: neither has seen what the "
                f"earlier run learnt from. Received: {', '.join(request.baselines)}. Leave them "
                "out; what was forgotten is said without them."
            )
    method = None if request.keep is None else METHODS[request.keep]
    if request.from_run is None and (request.replay or (method is not None and method.needs_run)):
        option = "--replay" if request.replay else f"--keep {request.keep}"
        raise UsageError(
            f"training: expected {option} with an earlier run. Received: no --from. "
            "Name the run whose model is trained on: --from RUN"
        )
    _check_last_layer(request)
    needs_more = request.keep in ("lora", "relations") or (
        request.keep == "l2sp" and request.from_run is None
    )
    if needs_more and request.schedule in ("head", "scratch"):
        raise UsageError(
            f"training: expected --keep {request.keep} with a schedule that trains upper layers of "
            f"the pretrained network. Received: --schedule {request.schedule}. Leave one of them "
            "out."
        )
    if request.keep == "l2sp" and request.weights == "none":
        raise UsageError(
            "training: expected --keep l2sp with weights that are worth keeping. Received: "
            "--weights none, which are random. Leave one of them out."
        )
    if request.keep_strength is not None:
        if method is None or method.strength is None:
            raise UsageError(
                "training: expected --keep-strength with a method that has a penalty. "
                f"Received: keep={request.keep!r}. Leave it out."
            )
        if not (math.isfinite(request.keep_strength) and request.keep_strength > 0):
            raise UsageError(
                "training: expected a --keep-strength above 0. "
                f"Received: {request.keep_strength!r}."
            )


def _check_last_layer(request: TrainRequest) -> None:
    """Refuses what would fit the last layer twice: the second undoes what the first held."""
    if request.keep == "statistics" and request.from_run is not None and request.schedule != "head":
        raise UsageError(
            "training: expected --keep statistics with --schedule head, since features have "
            f"to stay those that the earlier run knew. Received: --schedule {request.schedule}."
        )
    held = {"--from": request.from_run is not None, "--keep": request.keep is not None}
    refits = {"--target": request.target is not None, "--fair": request.fair is not None}
    given = [name for name, is_given in (held | refits).items() if is_given]
    if any(held.values()) and any(refits.values()):
        raise UsageError(
            "training: expected --from and --keep without --target and --fair, each of which "
            f"fits the last layer anew. Received: {', '.join(given)}. Leave one of them out."
        )
