from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.errors import UsageError
from tfxfer_edge.proof.choice import choose, find_better, is_slower
from tfxfer_edge.proof.gate import Candidate
from tfxfer_edge.proof.preference import PREFERENCES

LAPS = 30


def laps(median_ms: float, *, seed: int = 0, noise: float = 0.05) -> tuple[float, ...]:
    """Returns laps of a machine that also does other work: some take several times as long."""
    rng = np.random.default_rng(seed)
    found = median_ms * (1 + rng.normal(0, noise, LAPS))
    found[rng.random(LAPS) < 0.1] *= 3
    return tuple(np.abs(found).tolist())


def candidate(recipe: str = "int8", **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "recipe": recipe,
        "path": f"model_{recipe}.tflite",
        "bytes": 100,
        "drop_points": 0.5,
        "laps_ms": laps(5.0),
        "passed": True,
        **changes,
    }
    return Candidate(latency_ms=float(np.median(values["laps_ms"])), **values)


def table(*rows: tuple[str, int, float, float]) -> list[Candidate]:
    """Returns candidates that passed: recipe, bytes, milliseconds, points lost."""
    return [
        candidate(name, bytes=size, laps_ms=laps(ms, seed=seed), drop_points=drop)
        for seed, (name, size, ms, drop) in enumerate(rows)
    ]


DEMO = (("int8", 365, 8.9, 0.8), ("int8_selective", 364, 11.6, 0.0), ("dynamic_w8", 356, 22.3, 0.3))


@pytest.mark.parametrize(
    ("prefer", "recipe"),
    [
        ("balanced", "int8"),
        ("fastest", "int8"),
        ("smallest", "dynamic_w8"),
        ("accurate", "int8_selective"),
    ],
)
def test_what_each_word_takes_of_the_demo(prefer: str, recipe: str) -> None:
    found = choose(table(*DEMO), prefer=prefer)
    assert found is not None
    assert found.candidate.recipe == recipe


def test_a_smaller_file_is_taken_only_if_it_is_no_slower() -> None:
    # 1 % is noise here, and 1.3 times is not.
    as_fast = choose(table(("int8", 365, 9.0, 0.0), ("dynamic_w8", 356, 9.09, 0.0)))
    slower = choose(table(("int8", 365, 9.0, 0.0), ("dynamic_w8", 356, 11.7, 0.0)))
    assert as_fast is not None
    assert slower is not None
    assert (as_fast.candidate.recipe, slower.candidate.recipe) == ("dynamic_w8", "int8")
    assert as_fast.because == (
        "it is the smallest of those that are no slower than int8, the fastest, beyond noise"
    )
    assert slower.because.startswith("it is the fastest of the 2 that passed; dynamic_w8 is 2.5 % ")
    assert slower.because.endswith("x slower")


def test_a_larger_file_is_never_taken_for_a_tie() -> None:
    found = choose(table(("int8", 356, 9.09, 0.0), ("dynamic_w8", 365, 9.0, 0.0)))
    assert found is not None
    assert found.candidate.recipe == "int8"


def test_of_equally_accurate_files_the_balanced_one_is_taken() -> None:
    rows = (("int8", 365, 4.0, 0.25), ("float16", 700, 9.0, 0.0), ("int16x8", 370, 6.0, 0.0))
    found = choose(table(*rows), prefer="accurate")
    assert found is not None
    assert found.candidate.recipe == "int16x8"


def test_what_did_not_pass_is_never_taken() -> None:
    failed = candidate("int16x8", bytes=1, laps_ms=laps(0.1), passed=False)
    broken = candidate("int8_selective", path=None)
    good = candidate("int8")
    for prefer in PREFERENCES:
        assert choose([failed, broken], prefer=prefer) is None
        found = choose([failed, broken, good], prefer=prefer)
        assert found is not None
        assert (found.candidate, found.because) == (good, "it is the only one that passed")


@pytest.mark.parametrize("prefer", ["size", "latency", "colour", ""])
def test_another_word(prefer: str) -> None:
    with pytest.raises(UsageError, match="balanced, smallest, fastest, accurate"):
        choose([], prefer=prefer)


def test_noise_alone_is_seldom_a_difference_and_a_real_one_nearly_always() -> None:
    pairs = range(400)
    equal = [is_slower(laps(9.0, seed=k), laps(9.0, seed=k + 1000)) for k in pairs]
    slower = [is_slower(laps(11.0, seed=k), laps(9.0, seed=k + 1000)) for k in pairs]
    faster = [is_slower(laps(9.0, seed=k), laps(11.0, seed=k + 1000)) for k in pairs]
    assert np.mean(equal) < 0.03
    assert np.mean(slower) > 0.97
    assert not any(faster)


def test_what_else_the_machine_did_is_in_both_laps() -> None:
    """Laps side by side: a machine that slows down threefold hides no difference of 10 %."""
    drift = np.linspace(1, 3, LAPS)
    mine, other = 9.9 * drift, 9.0 * drift
    assert is_slower(mine.tolist(), other.tolist())
    # The control: the same laps, no longer side by side.
    assert not is_slower(mine.tolist(), other[::-1].tolist())


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_handful_of_laps_tells_nothing(count: int) -> None:
    assert not is_slower([100.0] * count, [1.0] * count)


def test_a_file_that_cannot_be_chosen_any_more() -> None:
    passed = replace(candidate("int8", bytes=10), latency_ms=2.0)
    assert find_better(11, 3.0, [passed]) is passed
    assert find_better(9, 3.0, [passed]) is None
    assert find_better(11, 1.0, [passed]) is None
    assert find_better(11, 3.0, [replace(passed, passed=False)]) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.floats(0.1, 300), st.booleans()), min_size=1, max_size=8
    )
)
def test_nothing_that_is_smaller_and_as_fast_is_left(rows: list[tuple[int, float, bool]]) -> None:
    candidates = [
        candidate(bytes=size, laps_ms=laps(ms, seed=seed), passed=passed)
        for seed, (size, ms, passed) in enumerate(rows)
    ]
    found = choose(candidates)
    passed = [item for item in candidates if item.passed]
    assert (found is None) == (not passed)
    if found is not None:
        fastest = min(passed, key=lambda item: item.latency_ms or 0.0)
        taken = found.candidate
        assert not is_slower(taken.laps_ms, fastest.laps_ms)
        assert taken.bytes is not None
        for item in passed:
            assert item.bytes is not None
            assert item.bytes >= taken.bytes or is_slower(item.laps_ms, fastest.laps_ms)
