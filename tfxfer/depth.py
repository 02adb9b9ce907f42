"""How deep a model is frozen: a stage by its name, or a fraction of the stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfxfer.errors import ScheduleError
from tfxfer.system.arguments import describe_value, is_real
from tfxfer.system.spelling import did_you_mean

__all__ = ["is_fraction", "resolve_stage"]


def is_fraction(value: Any) -> bool:
    """Returns whether a value is a number 0..1; True and NaN are none."""
    return is_real(value) and 0 <= value <= 1


def resolve_stage(
    stage: Any, stages: Sequence[str], *, where: str, backbone: str = "backbone"
) -> str | None:
    """Returns the stage up to whose end everything is frozen; None where nothing is.

    Args:
        stage: a stage's name, None, or a number 0..1: that fraction of the stages.
        stages: their names from the input, the last being the whole backbone.
        where: who asks, for messages, such as `phase 'head'`.
        backbone: whose stages these are, for messages.

    Raises:
        ScheduleError: there is no such stage, or it is no name and no fraction.

    Example:
        >>> resolve_stage(0.5, ["stem", "block_1", "block_2", "backbone"], where="phase 'x'")
        'block_1'
    """
    if stage is None:
        return None
    if isinstance(stage, str):
        if stage not in stages:
            raise ScheduleError(
                f"{where}: backbone {backbone!r} has no stage {stage!r}."
                f"{did_you_mean(stage, stages)} Expected one of: {', '.join(stages)}."
            )
        return stage
    if not is_fraction(stage):
        raise ScheduleError(
            f"{where}: expected a stage's name, None, or a fraction 0..1 such as 0.5. "
            f"Received: stage={describe_value(stage)}."
        )
    # The last name is the whole of the backbone: fractions choose among the true stages. One
    # without stages is one block, frozen at 1 and trainable below.
    inner = len(stages) - 1
    count = round(float(stage) * inner) if inner else int(stage)
    if stage == 1 or (count == inner and inner):
        return stages[-1]
    return stages[count - 1] if count else None
