"""Which of the files that are good enough is taken, and why, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfxfer_edge.proof.gate import Candidate
from tfxfer_edge.proof.preference import PREFERENCES, check_preference

__all__ = [
    "Choice",
    "choose",
    "describe_speed",
    "find_better",
    "is_slower",
]

_MARGIN = 0.02  # a difference that no user of an app notices
_DOUBT = 0.05  # how often two files of one speed are told apart all the same


@dataclass(frozen=True)
class Choice:
    """The file that is taken.

    Args:
        candidate: which.
        because: why, to be read after "chosen because".
    """

    candidate: Candidate
    because: str


def is_slower(laps_ms: Sequence[float], others_ms: Sequence[float]) -> bool:
    """Returns whether one file is slower than another by more than noise makes of equal ones.

    Lap k of both was taken side by side, so that their ratio knows nothing of what else the machine
    did. The lower end of a 95 % interval of the median ratio must be above 1.02.

    Args:
        laps_ms: of the one.
        others_ms: of the other; of unequal numbers the first ones are compared.

    Example:
        >>> is_slower([5.2, 5.1, 9.0, 5.3, 5.2], [5.0, 5.2, 5.1, 5.1, 5.0])
        False
        >>> is_slower([9.2, 9.1, 9.0, 9.3, 9.9], [5.0, 5.2, 5.1, 5.1, 5.0])
        True

    Source:
        The interval is of order statistics, as the sign test has it: no assumption on the noise.
    """
    ratios = sorted(mine / other for mine, other in zip(laps_ms, others_ms, strict=False))
    lowest, below = -1, 0.0
    for rank in range(len(ratios)):
        below += math.comb(len(ratios), rank) / 2 ** len(ratios)
        if below > _DOUBT:
            break
        lowest = rank
    # Fewer than five laps tell nothing.
    return lowest >= 0 and ratios[lowest] > 1 + _MARGIN


def describe_speed(latency_ms: float, other_ms: float) -> str:
    """Returns how two times of one image compare, the first in relation to the second.

    Example:
        >>> describe_speed(4.0, 9.0), describe_speed(9.0, 4.5), describe_speed(5.0, 5.02)
        ('2.2x faster', '2.0x slower', 'as fast')
    """
    faster = other_ms / latency_ms
    factor, word = (faster, "faster") if faster >= 1 else (1 / faster, "slower")
    shown = f"{factor:.1f}" if factor >= 1.1 else f"{factor:.2f}"
    return "as fast" if factor < 1 + _MARGIN else f"{shown}x {word}"


def find_better(
    size_bytes: int, latency_ms: float, candidates: Sequence[Candidate]
) -> Candidate | None:
    """Returns a candidate that passed and is smaller and faster: the file cannot be chosen then.

    Args:
        size_bytes: of a file that has not been scored.
        latency_ms: of the same.
        candidates: those before it.
    """
    for item in candidates:
        if not item.passed or item.bytes is None or item.latency_ms is None:
            continue
        if item.bytes <= size_bytes and item.latency_ms <= latency_ms:
            return item
    return None


def choose(candidates: Sequence[Candidate], *, prefer: str = PREFERENCES[0]) -> Choice | None:
    """Returns the file to take among those that passed, and why; None if none did.

    Args:
        candidates: every file.
        prefer: `balanced` takes the smallest of those that are no slower than the fastest, beyond
            noise; `smallest`, `fastest` and `accurate` take what they say, the last by the points
            lost on the validation split.

    Raises:
        UsageError: another preference.
    """
    check_preference(prefer)
    passed = [item for item in candidates if item.passed and item.path is not None]
    if not passed:
        return None
    if len(passed) == 1:
        return Choice(passed[0], "it is the only one that passed")
    of_all = f"of the {len(passed)} that passed"
    if prefer == "smallest":
        return Choice(min(passed, key=_size), f"it is the smallest {of_all}")
    if prefer == "fastest":
        return Choice(min(passed, key=_time), f"it is the fastest {of_all}")
    if prefer == "accurate":
        because = f"it loses the least {of_all}, on the validation split"
        return Choice(_pick_accurate(passed), because)
    chosen = _pick_balanced(passed)
    return Choice(chosen, _explain_balanced(chosen, passed))


def _pick_balanced(passed: Sequence[Candidate]) -> Candidate:
    fastest = min(passed, key=_time)
    return min((x for x in passed if not is_slower(x.laps_ms, fastest.laps_ms)), key=_size)


def _pick_accurate(passed: Sequence[Candidate]) -> Candidate:
    least = min(_lost(item) for item in passed)
    return _pick_balanced([item for item in passed if _lost(item) == least])


def _explain_balanced(chosen: Candidate, passed: Sequence[Candidate]) -> str:
    fastest, smallest = min(passed, key=_time), min(passed, key=_size)
    if chosen is not fastest:
        return (
            f"it is the smallest of those that are no slower than {fastest.recipe}, the fastest, "
            "beyond noise"
        )
    told = f"it is the fastest of the {len(passed)} that passed"
    if chosen is smallest:
        return f"{told}, and the smallest"
    saved = 100 * (1 - _size(smallest)[0] / _size(chosen)[0])
    speed = describe_speed(_time(smallest)[0], _time(chosen)[0])
    return f"{told}; {smallest.recipe} is {saved:.1f} % smaller, but {speed}"


def _size(item: Candidate) -> tuple[float, float]:
    assert item.bytes is not None
    assert item.latency_ms is not None
    return item.bytes, item.latency_ms


def _time(item: Candidate) -> tuple[float, float]:
    size_bytes, latency_ms = _size(item)
    return latency_ms, size_bytes


def _lost(item: Candidate) -> float:
    assert item.drop_points is not None
    return item.drop_points
