"""Gaps between groups: by hand, as Fairlearn has them, and intervals that are honest."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn import metrics as fairlearn

from tfxfer.errors import RunError
from tfxfer.trust.fairness import CRITERIA, Fairness, find_gaps
from tfxfer.trust.groups import Grouping, group_samples
from tfxfer.trust.rates import Decisions


def decide(true: np.ndarray, answers: np.ndarray, classes: int) -> Decisions:
    one_hot = np.eye(classes, dtype=bool)
    return Decisions(tuple("abcd"[:classes]), one_hot[true], one_hot[answers])


def draw(
    count: int, skill: tuple[float, ...], *, seed: int, classes: int = 2
) -> tuple[Decisions, Grouping]:
    """Returns answers that are right as often as the group's skill says, and groups of a size."""
    rng = np.random.default_rng(seed)
    groups = np.arange(count) % len(skill)
    true = rng.integers(0, classes, count)
    is_right = rng.random(count) < np.array(skill)[groups]
    answers = np.where(is_right, true, (true + rng.integers(1, classes, count)) % classes)
    return decide(true, answers, classes), group_samples("site", [f"s{n}" for n in groups])


def test_gaps_by_hand() -> None:
    #         site A: 2 of 4 found, 1 of 4 false; site B: 4 of 4 found, 3 of 6 false
    true = np.array([1] * 4 + [0] * 4 + [1] * 4 + [0] * 6)
    answers = np.array([1, 1, 0, 0] + [1, 0, 0, 0] + [1] * 4 + [1, 1, 1, 0, 0, 0])
    grouping = group_samples("site", ["A"] * 8 + ["B"] * 10)
    found = find_gaps(decide(true, answers, 2), grouping, least=1)
    second = found.labels[1]
    assert second.label == "b"
    assert {name: gap.value for name, gap in second.gaps.items()} == pytest.approx(
        {"equal_opportunity": 0.5, "equalized_odds": 0.5, "demographic_parity": 7 / 10 - 3 / 8}
    )
    rates = second.groups["B"]
    assert (rates.samples, rates.positives) == (10, 4)
    assert (rates.recall, rates.false_alarms, rates.chosen) == (1.0, 0.5, 0.7)
    first = found.labels[0].gaps
    assert first["equal_opportunity"].value == pytest.approx(3 / 4 - 1 / 2)
    assert first["equalized_odds"].value == pytest.approx(0.5)
    assert found.gaps["equal_opportunity"].label == "b"
    assert Fairness.from_dict(found.to_dict()) == found
    with pytest.raises(RunError, match="groupz"):
        Fairness.from_dict({**found.to_dict(), "groupz": []})


@pytest.mark.parametrize("classes", [2, 4])
def test_fairlearn_says_the_same(classes: int) -> None:
    decisions, grouping = draw(600, (0.9, 0.7, 0.8), seed=classes, classes=classes)
    found = find_gaps(decisions, grouping, resamples=50)
    theirs = {
        "equal_opportunity": fairlearn.equal_opportunity_difference,
        "equalized_odds": fairlearn.equalized_odds_difference,
        "demographic_parity": fairlearn.demographic_parity_difference,
    }
    for criterion in CRITERIA:
        values = []
        for k, item in enumerate(found.labels):
            true, answers = decisions.true[:, k].astype(int), decisions.found[:, k].astype(int)
            expected = theirs[criterion](true, answers, sensitive_features=grouping.numbers)
            assert item.gaps[criterion].value == pytest.approx(expected)
            # A negative control: other groups, other gaps.
            other = theirs[criterion](true, answers, sensitive_features=np.sort(grouping.numbers))
            assert item.gaps[criterion].value != pytest.approx(other)
            values.append(expected)
        assert found.gaps[criterion].value == pytest.approx(max(values))


def test_groups_and_labels_that_cannot_be_compared() -> None:
    decisions, _ = draw(60, (0.9, 0.9), seed=0)
    few = group_samples("site", ["A"] * 41 + ["B"] * 19)
    found = find_gaps(decisions, few)
    assert (found.groups, found.left_out, found.gaps) == (("A",), ("B",), {})
    assert "20 samples or more" in found.reason
    # Only one group has any of label b: nothing to compare.
    true = np.array([0] * 40 + [0, 1] * 20)
    grouping = group_samples("site", ["A"] * 40 + ["B"] * 40)
    found = find_gaps(decide(true, true, 2), grouping)
    assert "equal_opportunity" not in found.labels[1].gaps
    assert found.labels[1].groups["A"].recall is None
    assert found.gaps["equal_opportunity"].label == "a"


def test_groups_without_a_mistake_are_not_surely_alike() -> None:
    true = np.arange(48) % 2
    grouping = group_samples("site", ["A"] * 24 + ["B"] * 24)
    gap = find_gaps(decide(true, true, 2), grouping).gaps["equal_opportunity"]
    assert (gap.value, gap.low) == (0, 0)
    # Newcombe for 12 of 12 and 12 of 12: the lower end of Wilson's interval is 12 / (12 + z²).
    assert gap.high == pytest.approx(1 - 12 / (12 + 1.959963984540054**2))


@pytest.mark.parametrize(
    ("skill", "truth"), [((0.8, 0.8, 0.8), 0.0), ((0.9, 0.7), 0.2)], ids=["alike", "unlike"]
)
def test_intervals_hold_the_truth(skill: tuple[float, ...], truth: float) -> None:
    held = above = 0
    for seed in range(60):
        gap = find_gaps(*draw(240, skill, seed=seed), resamples=200).labels[0].gaps
        low, high = (getattr(gap["equal_opportunity"], end) for end in ("low", "high"))
        held += low <= truth <= high
        above += low > 0
    assert held >= 0.88 * 60
    # Groups that are alike are rarely told apart, and those that are not are often.
    assert above <= 6 if truth == 0 else above >= 30
