"""Whether a run is better than what is simpler, and how that is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import RunError
from tfxfer.evaluation import score_predictions
from tfxfer.trust.baselines import (
    Answers,
    BaselineRecord,
    BaselineResult,
    judge_baseline,
)
from tfxfer_heads import Classification, Regression

LABELS = ("ant", "bee")
SAMPLES = 100


def make_answers(right: int, *, first: int = 0) -> Answers:
    """Returns answers of which those from `first` on are right, so many."""
    truth = np.arange(SAMPLES) % 2
    is_right = np.isin(np.arange(SAMPLES), np.arange(first, first + right))
    scores = np.eye(2)[np.where(is_right, truth, 1 - truth)] * 0.8 + 0.1
    metrics = score_predictions(targets(), scores, head=Classification(), labels=LABELS)
    return Answers(scores, metrics)


def targets() -> np.ndarray:
    return np.eye(2, dtype=np.float32)[np.arange(SAMPLES) % 2]


def judge(run: Answers, baseline: Answers, name: str = "scratch", **options: Any) -> BaselineResult:
    return judge_baseline(
        name, run, baseline, targets=targets(), head=Classification(), labels=LABELS,
        seconds=1.0, epochs=3, plural="photos", **options,
    )  # fmt: skip


def test_what_is_better_on_the_same_samples_helps() -> None:
    found = judge(make_answers(90), make_answers(70))
    # 20 of 100 samples are right in the one alone: Agresti and Min's interval for matched pairs
    # adds half a sample to each cell: (20.5 - 0.5) / 102, with its variance.
    gain, variance = 20 / 102, (21 - 20**2 / 102) / 102**2
    assert found.difference["value"] == pytest.approx(20.0)
    assert found.difference["low"] == pytest.approx(100 * (gain - 1.96 * variance**0.5), abs=0.01)
    assert found.verdict == "helps"
    assert found.words.startswith("transfer helps: accuracy 90.0 % against 70.0 % of the same net")
    assert found.metric == "accuracy"


def test_what_is_worse_hurts_and_too_few_samples_show_nothing() -> None:
    assert judge(make_answers(70), make_answers(90)).verdict == "hurts"
    # The same samples, but for two.
    close = judge(make_answers(70), make_answers(72))
    assert close.verdict == "no_difference"
    assert close.words.startswith("no difference by transfer that 100 photos could show: ")
    # As good on others: 30 are right in the one, 30 in the other.
    assert judge(make_answers(70), make_answers(70, first=30)).verdict == "no_difference"


def test_a_head_that_underfits_is_no_negative_transfer() -> None:
    run, baseline = make_answers(60), make_answers(90)
    assert judge(run, baseline).words.startswith("transfer hurts: ")
    found = judge(run, baseline, is_head_only=True)
    assert found.words.startswith("frozen features do not suffice: ")
    assert "hurts" not in found.words
    assert "--schedule two_phase" in found.words
    # Against the probe it is fine-tuning that is in question.
    assert judge(run, baseline, "probe").words.startswith("fine-tuning hurts: ")


def test_an_error_of_which_less_is_better() -> None:
    head, rng = Regression(), np.random.default_rng(0)
    truth = rng.normal(0, 1, (200, 1)).astype(np.float32)

    def answer(spread: float) -> Answers:
        scores = truth + rng.normal(0, spread, truth.shape)
        return Answers(scores, score_predictions(truth, scores, head=head, labels=("age",)))

    good, bad = answer(0.1), answer(1.0)
    for run, baseline, verdict in ((good, bad, "helps"), (bad, good, "hurts")):
        found = judge_baseline(
            "scratch", run, baseline, targets=truth, head=head, labels=("age",),
            seconds=1.0, epochs=1,
        )  # fmt: skip
        assert found.verdict == verdict


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert BaselineRecord.read(tmp_path) is None
    record = BaselineRecord((judge(make_answers(90), make_answers(70)),), ("a note",))
    record.write(tmp_path / "trust")
    assert BaselineRecord.read(tmp_path / "trust") == record
    assert record.describe()[-1] == "a note"
    (tmp_path / "trust" / "baselines.json").write_text('{"results": [{}]}')
    with pytest.raises(RunError, match="record of baselines"):
        BaselineRecord.read(tmp_path / "trust")
