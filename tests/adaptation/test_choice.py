"""Which adaptation is kept without a label of the target, and what says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer.adaptation.agreement import (
    count_answers,
    find_neighbours,
    measure_agreement,
    measure_gain,
)
from tfxfer.adaptation.choice import choose_adaptation, choose_trial
from tfxfer.adaptation.record import Adaptation, Effect, Trial
from tfxfer.errors import DataError, RunError
from tfxfer.trust.estimate import Estimate


def draw_look(*, seed: int, count: int = 50, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(3), count)
    features = 5 * np.eye(12)[numbers] + rng.normal(size=(len(numbers), 12))
    move = np.zeros(12)
    move[:2] = shift, -shift
    return features + 6 + move, numbers


def test_neighbours_are_the_nearest_others() -> None:
    angles = np.array([0.0, 0.1, 0.25, 2.0, 2.1])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [9], [1], [2], [1]]
    assert find_neighbours(features, 1)[:, 0].tolist() == [1, 0, 1, 4, 3]
    assert find_neighbours(features, 99).shape == (5, 4)
    with pytest.raises(DataError, match="two samples or more"):
        find_neighbours(features[:1])


def test_agreement_by_hand() -> None:
    assert measure_agreement(np.array([[3, 3], [3, 3]])) == 0
    assert measure_agreement(np.diag([1, 1, 1, 1])) == pytest.approx(2)
    # Joint 3/8, 1/8, 1/8, 3/8 under even margins: 2 - H(joint).
    joint = np.array([3, 1, 1, 3]) / 8
    expected = 2 + (joint * np.log2(joint)).sum()
    assert measure_agreement(np.array([[3, 1], [1, 3]])) == pytest.approx(expected)


def test_pairs_are_counted() -> None:
    answers, neighbours = np.array([0, 1, 1]), np.array([[1, 2], [0, 2], [0, 1]])
    assert count_answers(answers, neighbours, 2).tolist() == [[0, 2], [2, 2]]
    # A bootstrap draws a sample several times, or not at all.
    drawn = count_answers(answers, neighbours, 2, np.array([2.0, 0.0, 1.0]))
    assert drawn.tolist() == [[0, 4], [1, 1]]


def test_a_gain_is_sure_where_answers_follow_clusters_and_not_where_they_are_the_same() -> None:
    features, numbers = draw_look(seed=0)
    neighbours = find_neighbours(features)
    worse = np.where(np.random.default_rng(0).random(len(numbers)) < 0.4, 0, numbers)
    gain = measure_gain(worse, numbers, neighbours, classes=3, seed=0)
    assert gain.low > 0.3
    assert measure_gain(numbers, worse, neighbours, classes=3, seed=0).high < 0
    same = measure_gain(numbers, numbers, neighbours, classes=3, seed=0)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    # Answers that are all the same agree with their neighbours, and say nothing.
    alike = measure_gain(worse, np.zeros_like(numbers), neighbours, classes=3, seed=0)
    assert alike.high < 0


def test_auto_keeps_what_helps_and_nothing_where_the_model_is_right() -> None:
    features, numbers = draw_look(seed=0)
    other, truth = draw_look(seed=1, shift=4.0)
    classes = np.eye(3)[numbers]
    confused = np.eye(3)[np.where(truth == 1, 0, truth)] * 0.8 + 0.1
    found = choose_adaptation(features, classes, other, confused)
    assert found.method != "none"
    assert found.head is not None
    assert (found.answers.argmax(axis=1) == truth).mean() > 0.95
    assert [trial.method for trial in found.trials][-1] == "none"
    right = np.eye(3)[truth] * 0.8 + 0.1
    kept = choose_adaptation(features, classes, other, right)
    assert kept.method == "none"
    assert kept.head is None
    assert kept.answers is right


def test_what_is_asked_for_is_done_whatever_is_found_of_it() -> None:
    features, numbers = draw_look(seed=0)
    other, truth = draw_look(seed=1)
    right = np.eye(3)[truth]
    seen: list[tuple[str, int, int]] = []
    found = choose_adaptation(
        features, np.eye(3)[numbers], other, right, asked="coral",
        progress=lambda *told: seen.append(told),
    )  # fmt: skip
    assert found.method == "coral"
    assert {trial.method for trial in found.trials} == {"none", "coral"}
    assert seen == [("adapting to the target", 0, 1), ("adapting to the target", 1, 1)]


def test_another_network_is_judged_beside_the_last_layers() -> None:
    features, numbers = draw_look(seed=0)
    other, truth = draw_look(seed=1, shift=4.0)
    classes, right = np.eye(3)[numbers], np.eye(3)[truth]
    confused = np.eye(3)[np.where(truth == 1, 0, truth)] * 0.8 + 0.1
    found = choose_adaptation(
        features, classes, other, confused, asked="adabn", others={"adabn": right}
    )
    assert (found.method, found.head) == ("adabn", None)
    assert found.answers is right
    assert {trial.method for trial in found.trials} == {"none", "adabn"}
    tried = choose_adaptation(features, classes, other, confused, others={"adabn": confused})
    assert len(tried.trials) == 4
    assert tried.method not in ("none", "adabn")


def test_too_few_samples_are_refused() -> None:
    features, numbers = draw_look(seed=0)
    with pytest.raises(DataError, match="20 samples or more"):
        choose_adaptation(features, np.eye(3)[numbers], features[:19], np.full((19, 3), 1 / 3))


def test_records_go_round_and_are_told(tmp_path: Path) -> None:
    gain = Estimate(0.4, 0.3, 0.5)
    trials = (Trial("self_training", 1.4, gain), Trial("none", 1.0, Estimate(0, 0, 0)))
    effect = Effect(80, "accuracy", Estimate(0.39, 0.3, 0.5), Estimate(0.77, 0.7, 0.8))
    found = Adaptation(
        "auto", "self_training", 100, 2, {"ant": 0.25, "bee": 0.75}, 0.5, trials, effect
    )
    assert choose_trial(trials) == "self_training"
    assert Adaptation.read(tmp_path / "trust") is None
    found.write(tmp_path / "trust")
    assert Adaptation.read(tmp_path / "trust") == found
    words = "\n".join(found.describe())
    assert "by self-training: 50 % of 100 answers changed" in words
    assert "+0.40 bits [+0.30, +0.50]" in words
    assert "accuracy 0.39 → 0.77" in words
    assert "2 could not be read" in words
    assert "ant 25 %, bee 75 %" in words
    assert "by nothing" in replace(found, kept="none", effect=None).describe()[0]
    with pytest.raises(RunError, match="kept"):
        Adaptation.from_dict({**found.to_dict(), "kept": "magic"})


def test_of_what_was_part_of_the_training_nobody_knows_what_was_before(tmp_path: Path) -> None:
    effect = Effect(80, "accuracy", None, Estimate(0.77, 0.7, 0.8))
    trial = Trial("dann", 1.4, None)
    found = Adaptation("dann", "dann", 100, 0, {"ant": 1.0}, None, (trial,), effect)
    found.write(tmp_path / "trust")
    assert Adaptation.read(tmp_path / "trust") == found
    words = "\n".join(found.describe())
    assert "by dann: 100 samples beside the others as it was trained" in words
    assert "dann: neighbours agree by 1.40 bits" in words
    assert "accuracy 0.77" in words
    assert "→" not in words
    # `auto` never takes what it cannot compare.
    assert choose_trial([trial]) == "none"
