"""Rules: what they say, what is refused before any work, and what holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError, RunError, UsageError
from tfxfer.evaluation import score_predictions
from tfxfer.trust.gate import Judgement, judge_scores
from tfxfer.trust.gate_rules import Gate, check_gate, read_gate
from tfxfer_heads import Classification, Regression

LABELS = ("benign", "malignant")


def write(path: Path, *rules: str, head: str = 'bound = "value"') -> Path:
    listed = ", ".join(f'"{rule}"' for rule in rules)
    path.write_text(f"{head}\nrules = [{listed}]\n", encoding="utf-8")
    return path


def read(tmp_path: Path, *rules: str, head: str = 'bound = "value"') -> Gate:
    return read_gate(write(tmp_path / "gate.toml", *rules, head=head))


def make_case() -> dict[str, Any]:
    """Returns answers of which site A gets 36 of 40 right, B 30 of 40, and C 0 of 4."""
    targets, scores, cells = [], [], []
    for site, hits, count in (("A", 36, 40), ("B", 30, 40), ("C", 0, 4)):
        for number in range(count):
            true = number % 2
            targets.append(np.eye(2)[true])
            scores.append(np.eye(2)[true if number < hits else 1 - true])
            cells.append(site)
    head = Classification()
    found = {"targets": np.array(targets), "scores": np.array(scores)}
    metrics = score_predictions(**found, head=head, labels=LABELS, resamples=10)
    return {**found, "slices": {"site": cells}, "head": head, "labels": LABELS, "metrics": metrics}


def judge(gate: Gate) -> Judgement:
    return judge_scores(gate, **make_case())


def test_rules_are_read(tmp_path: Path) -> None:
    gate = read(
        tmp_path,
        "accuracy >= 0.9",
        "worst-slice macro-F1 by Hospital >= .8",
        "Recall of 'a of b' ≥ 0.5",
        "equal-opportunity gap of malignant by site <= 0.1",
        "log loss <= 2",
        head='bound = "low"\nleast = 5',
    )
    assert (gate.bound, gate.least, gate.columns) == ("low", 5, ("hospital", "site"))
    assert [
        (rule.scope, rule.name, rule.label, rule.column, rule.operator, rule.threshold)
        for rule in gate.rules
    ] == [
        ("all", "accuracy", None, None, ">=", 0.9),
        ("worst_slice", "macro_f1", None, "hospital", ">=", 0.8),
        ("all", "recall", "a of b", None, ">=", 0.5),
        ("gap", "equal_opportunity", "malignant", "site", "<=", 0.1),
        ("all", "log_loss", None, None, "<=", 2.0),
    ]


@pytest.mark.parametrize(
    ("rule", "label", "column"),
    [
        ("worst-slice recall of 'stand by me' by site >= 0.5", "stand by me", "site"),
        ("worst-slice recall of 'piece of cake' by 'day of week' >= 0.5", "piece of cake",
         "day of week"),
        ("worst-slice recall of Alzheimer's by site's >= 0.5", "Alzheimer's", "site's"),
        ("worst-slice recall by 'taken by' >= 0.5", None, "taken by"),
        ("worst-slice recall of cat by day by day >= 0.5", "cat", "day by day"),
        ("recall of 'stand by me' >= 0.5", "stand by me", None),
    ],
)  # fmt: skip
def test_quotes_protect_the_words_of_a_rule(
    tmp_path: Path, rule: str, label: str | None, column: str | None
) -> None:
    (found,) = read(tmp_path, rule).rules
    assert (found.name, found.label, found.column) == ("recall", label, column)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('rules = ["accuracy >= 0.9"]', 'bound = "low"'),
        ('bound = "high"\nrules = ["accuracy >= 0.9"]', "bound='high'"),
        ('bound = "low"\nrule = ["accuracy >= 0.9"]', "Did you mean 'rules'?"),
        ('bound = "low"\nrules = []', r"rules=\[\]"),
        ('bound = "low"', "rules=None"),
        ('bound = "low"\nrules = [3]', r"rules=\[3\]"),
        ('bound = "low"\nleast = 0\nrules = ["accuracy >= 0.9"]', "Received: 0"),
        ('bound = "low"\nrules = ["accuracy > 0.9"]', "FIGURE >= NUMBER"),
        ('bound = "low"\nrules = ["accuracy >= high"]', "Received: 'high'"),
        ('bound = "low"\nrules = ["accuracy >= nan"]', "Received: 'nan'"),
        ('bound = "low"\nrules = ["equal-oportunity gap <= 0.1"]', "Did you mean 'equal-opp"),
        ('bound = "low"\nrules = ["equal-opportunity gap >= 0.1"]', "stay <="),
        ('bound = "low"\nrules = ["equal-opportunity gap <= 10"]', "a share 0..1"),
        ('bound = "low"\nrules = ["accuracy by site >= 0.1"]', "worst-slice, or a gap, before"),
        ("bound = low", "a TOML file"),
    ],
)
def test_files_that_cannot_be_meant(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_gate(path)
    with pytest.raises(UsageError, match="No such file"):
        read_gate(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("acuracy >= 0.9", "Did you mean 'accuracy'?"),
        ("accuracy of benign >= 0.9", "with recall or a gap alone"),
        ("accuracy <= 0.9", "more is better"),
        ("log_loss >= 0.9", "less is better"),
        ("accuracy >= 90", r"0\.\.1"),
        ("recall of malignnt >= 0.9", "Did you mean 'malignant'?"),
    ],
)
def test_rules_that_the_head_does_not_know(tmp_path: Path, rule: str, words: str) -> None:
    gate = read(tmp_path, rule)
    with pytest.raises(UsageError, match=words):
        check_gate(gate, head=Classification(), columns=["site"], labels=LABELS)


def test_rules_about_groups_need_them(tmp_path: Path) -> None:
    gate = read(tmp_path, "worst-slice accuracy >= 0.9")
    with pytest.raises(DataError, match="--slices"):
        check_gate(gate, head=Classification(), columns=())
    gate = read(tmp_path, "worst-slice accuracy by sight >= 0.9")
    with pytest.raises(DataError, match="Did you mean 'site'"):
        check_gate(gate, head=Classification(), columns=("site",))
    for rule in ("recall >= 0.9", "equal-opportunity gap <= 0.1"):
        with pytest.raises(UsageError, match="answers are labels"):
            check_gate(read(tmp_path, rule), head=Regression(), columns=("site",))


def test_what_was_measured_decides_or_its_worse_end(tmp_path: Path) -> None:
    # 66 of 84: 78.6 %, Wilson's interval from 68.7 %.
    for bound, threshold, holds in (
        ("value", 0.78, True),
        ("value", 0.79, False),
        ("low", 0.68, True),
        ("low", 0.69, False),
    ):
        gate = read(tmp_path, f"accuracy >= {threshold}", head=f'bound = "{bound}"')
        assert judge(gate).holds is holds, (bound, threshold)


def test_the_worst_group_decides_and_small_ones_do_not_count(tmp_path: Path) -> None:
    rule = "worst-slice accuracy >= 0.75"
    judgement = judge(read(tmp_path, rule, "accuracy >= 0.99"))
    first, second = judgement.rules
    assert (first.holds, first.where) == (True, "site=B")
    assert first.words.endswith("1 of fewer than 20 samples did not count")
    assert not second.holds
    assert judgement.describe_failure().startswith("accuracy >= 0.99: 0.7857 [")
    assert judgement.describe()[1].startswith("NOT MET  accuracy >= 0.99")
    assert Judgement.from_dict(judgement.to_dict()) == judgement
    with pytest.raises(RunError, match="hold"):
        Judgement.from_dict({**judgement.to_dict(), "hold": True})
    counted = judge(read(tmp_path, rule, head='bound = "value"\nleast = 4'))
    assert (counted.holds, counted.rules[0].where) == (False, "site=C")


def test_what_nothing_is_known_of_does_not_hold(tmp_path: Path) -> None:
    judgement = judge(read(tmp_path, "worst-slice accuracy >= 0", head='bound="low"\nleast=50'))
    assert not judgement.holds
    assert "cannot be told" in judgement.rules[0].words
    gaps = judge(read(tmp_path, "equal-opportunity gap <= 1", head='bound="low"\nleast=50'))
    assert not gaps.holds


def test_what_a_rule_does_not_cover_is_said(tmp_path: Path) -> None:
    # Of 40 samples each, site B has no malignant one; every patient is a slice of its own.
    true = np.array([0, 1] * 20 + [0] * 40)
    case = make_case() | {"targets": np.eye(2)[true], "scores": np.eye(2)[true]}
    case["metrics"] = score_predictions(
        case["targets"], case["scores"], head=case["head"], labels=LABELS, resamples=10
    )
    case["slices"] = {
        "site": ["A"] * 40 + ["B"] * 40,
        "patient": [str(number) for number in range(80)],
        "camera": ["x", "y"] * 20 + ["x"] * 40,
        "time": ["day", "night", "night", "day"] * 20,
    }
    rules = (
        "worst-slice recall of malignant >= 0.5",
        "worst-slice recall of malignant by site >= 0.5",
        "equal-opportunity gap of malignant <= 1",
        "accuracy >= 0.5",
    )
    worst, by, gap, whole = judge_scores(read(tmp_path, *rules), **case).rules
    assert (worst.holds, by.holds, whole.holds) == (True, True, True)
    assert worst.words.endswith("; not looked at: patient; it does not exist for site=B, camera=x")
    assert by.words.endswith("site=A; it does not exist for site=B")
    assert "not looked at: patient" in gap.words
    assert gap.words.endswith("it does not exist for site, camera")
    assert ";" not in whole.words


def test_recall_and_gaps(tmp_path: Path) -> None:
    # Of A's 20 malignant ones (odd numbers) 18 are found, of B's 15.
    judgement = judge(
        read(
            tmp_path,
            "worst-slice recall of malignant >= 0.75",
            "worst-slice recall of malignant >= 0.76",
            "equal-opportunity gap of malignant <= 0.15",
            "equal-opportunity gap of malignant <= 0.14",
            "recall >= 0.78",
        )
    )
    assert [result.holds for result in judgement.rules] == [True, False, True, False, True]
    gap = judgement.rules[2]
    assert gap.measured is not None
    assert gap.measured.value == pytest.approx(18 / 20 - 15 / 20)
    assert gap.where == "of malignant by site"
