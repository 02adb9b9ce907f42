from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import RunError
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fair_record import Effect, FairTraining, Rung, choose_rung
from tfxfer.trust.fair_training import find_score_gap
from tfxfer.trust.fairness import Gap
from tfxfer.trust.groups import group_samples

RUNGS = (
    Rung(0.0, 0.90, 0.30, 0.20, 0.0),
    Rung(1.0, 0.90, 0.20, 0.15, 0.5),
    Rung(4.0, 0.89, 0.12, 0.10, 1.5),
    Rung(16.0, 0.86, 0.01, 0.01, 4.0),
)
BEFORE = RUNGS[0]


def test_the_smallest_gap_that_is_not_too_dear_is_chosen() -> None:
    assert choose_rung(RUNGS, before=BEFORE) == RUNGS[2]
    assert choose_rung(RUNGS, before=BEFORE, most_cost=5.0) == RUNGS[3]
    assert choose_rung(RUNGS, before=BEFORE, most_cost=1.0) == RUNGS[1]


def test_of_equal_gaps_the_finer_figure_and_then_the_weaker_penalty_decide() -> None:
    twin = replace(RUNGS[2], strength=2.0)
    assert choose_rung((*RUNGS[:2], twin, RUNGS[2]), before=BEFORE) == twin
    closer = replace(RUNGS[2], strength=8.0, score_gap=0.05)
    assert choose_rung((*RUNGS[:2], twin, closer), before=BEFORE) == closer


@pytest.mark.parametrize(
    ("rungs", "before"),
    [
        (RUNGS[:1], BEFORE),
        (RUNGS, replace(BEFORE, gap=0.1, score_gap=0.1)),  # it was better without
        (RUNGS, replace(BEFORE, gap=None)),
        ((RUNGS[0], RUNGS[3]), BEFORE),  # too dear; training again alone is no penalty's merit
    ],
)
def test_nothing_is_better_than_none(rungs: tuple[Rung, ...], before: Rung) -> None:
    assert choose_rung(rungs, before=before) is None


def test_gaps_of_scores_by_hand() -> None:
    targets = np.array([[1.0, 0]] * 10 + [[0.0, 1]] * 12)
    grouping = group_samples("site", (["A"] * 5 + ["B"] * 5) + ["A"] * 6 + ["B"] * 5 + [""])
    scores = np.zeros((22, 2))
    scores[:5, 0], scores[5:10, 0] = 0.9, 0.6
    scores[10:16, 1], scores[16:21, 1], scores[21, 1] = 0.8, 0.7, 0.0
    assert find_score_gap(scores, targets, grouping, ("positives",)) == pytest.approx(0.3)
    assert find_score_gap(scores, targets, grouping, ("negatives",)) == 0
    # Of all, first label: 4.5 of 11 against 3 of 10.
    assert find_score_gap(scores, targets, grouping, ("all",)) == pytest.approx(4.5 / 11 - 0.3)
    few = group_samples("site", ["A"] * 18 + ["B"] * 4)
    assert find_score_gap(scores, targets, few, ("positives",)) == 0


def test_records_go_round_and_are_told(tmp_path: Path) -> None:
    figure = Estimate(0.9, 0.8, 0.95)
    effect = Effect(40, figure, figure, Estimate(1.0, -1.0, 3.0), Gap(0.3, 0.1, 0.5, "a"), None)
    found = FairTraining(
        "equal_opportunity", "site", ("A", "B"), "accuracy", 4.0, RUNGS, effect, effect
    )
    assert FairTraining.read(tmp_path / "trust") is None
    found.write(tmp_path / "trust")
    assert FairTraining.read(tmp_path / "trust") == found
    words = "\n".join(found.describe())
    assert "penalty 4 on the gap in equal opportunity" in words
    assert "gap 30.0 points, between 10.0 and 50.0 → none" in words
    assert "+1.00 lost [-1.00, +3.00]" in words
    assert "as it was" in replace(found, kept=None).describe()[0]
    with pytest.raises(RunError, match="criterion"):
        FairTraining.from_dict({**found.to_dict(), "criterion": "justice"})
