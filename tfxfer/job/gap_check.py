"""The domain gap within a training, of a network that is still as its weights came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfxfer.data.samples import SampleData
from tfxfer.errors import TfxferError
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.training.speeds import Speeds
from tfxfer.trust.gap import QUICK_IMAGES, measure_gap
from tfxfer.trust.profile import GapProfile

__all__ = ["plan_gap_seconds", "store_gap"]

_BUDGET_SHARE = 0.05
_TRACES = 2.0  # of a forward pass: moments of every layer are in the graph, too
_PASSES = 1.5  # the same of what it computes (EfficientNet-Lite0, 224 px) (m)
_RESAMPLING_SECONDS = 1.0  # 400 resamples of 21,008 channels (m)


def plan_gap_seconds(speeds: Speeds, budget_seconds: float | None) -> float:
    """Returns what the domain gap takes of a training; 0 where that is too much of its time.

    Args:
        speeds: of this machine.
        budget_seconds: of the whole training; None is no limit.
    """
    each = _PASSES * speeds.forward_seconds + speeds.read_seconds
    seconds = _TRACES * speeds.trace_seconds + QUICK_IMAGES * each + _RESAMPLING_SECONDS
    if budget_seconds is not None and seconds > _BUDGET_SHARE * budget_seconds:
        return 0.0
    return seconds


def store_gap(
    run: RunDirectory,
    data: SampleData,
    model: Any,
    *,
    progress: Progress | None = None,
    on_fault: Callable[[str], None] | None = None,
) -> None:
    """Measures the domain gap, which the run keeps; its page then need not wait for it.

    Args:
        run: where `trust/gap.json` goes.
        data: its samples, of all parts: nothing but their look is learnt of them.
        model: as its weights came. What a training makes of it belongs to no statistics any more.
        progress: told of samples done.
        on_fault: gets a line where it cannot be measured, which costs a training nothing else.
    """
    if GapProfile.read(run.trust) is not None:
        return
    try:
        profile = measure_gap(model, data, images=QUICK_IMAGES, progress=progress)
    except TfxferError as error:
        if on_fault is not None:
            on_fault(f"no domain gap: {error}")
        return
    profile.write(run.trust)
