"""Figures that a head brings along: ordinal grades, and what happens when such figures fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tfxfer.errors import ContractError, DataError, ModelError
from tfxfer.evaluation import (
    ClassFigures,
    Figures,
    Metric,
    ValueFigures,
    format_metrics,
    headline,
    paired_difference,
    score_predictions,
)

DOUBLE = Path(__file__).parents[1] / "plugins" / "ordinal_head"
GRADES = ("1", "2", "3", "5")
LABELS = ("1<2", "2<3", "3<5")


@pytest.fixture(scope="module")
def ordinal() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOUBLE)
        import double_ordinal_head  # type: ignore[import-not-found]

        yield double_ordinal_head


def one_output_per_boundary(ranks: np.ndarray) -> np.ndarray:
    return (ranks[:, None] > np.arange(len(LABELS))).astype(float)


def grade(
    samples: int, *, noise: float = 0.8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """True and answered ranks, and the targets and scores that stand for them."""
    rng = np.random.default_rng(seed)
    true = np.arange(samples) % len(GRADES)
    answer = np.clip(np.rint(true + rng.normal(0, noise, samples)), 0, 3).astype(int)
    return true, answer, one_output_per_boundary(true), one_output_per_boundary(answer)


# ---------------------------------------------------------------- grades


def test_grades_are_encoded_and_decoded(ordinal: Any) -> None:
    head = ordinal.Ordinal()
    raw = ["5", "1", "2", "3", "2"]
    assert head.fit_labels(raw) == LABELS
    targets = head.encode(raw, LABELS)
    assert targets.tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert [p.label for p in head.decode(targets, LABELS)] == raw
    (unsure,) = head.decode(np.array([[0.9, 0.6, 0.2]]), LABELS)
    assert (unsure.label, unsure.score) == ("3", 0.6)
    assert head.membership(targets).sum(axis=0).tolist() == [1, 2, 1, 1]
    with pytest.raises(DataError, match=r"Received: \['4'\]"):
        head.check_labels(["1", "4"], LABELS)


def test_kappa_by_hand(ordinal: Any) -> None:
    # Squared distances of the answers 0, 2, 2, 3 from the grades 0, 1, 2, 3: 1 in all. Of all
    # sixteen pairs of a grade and an answer they are 4 * 14 + 4 * 17 - 2 * 6 * 7 = 40, or 10 for
    # as many as there are samples: 1 - 1 / 10.
    true, answer = np.array([0, 1, 2, 3]), np.array([0, 2, 2, 3])
    targets, scores = one_output_per_boundary(true), one_output_per_boundary(answer)
    found = score_predictions(targets, scores, head=ordinal.Ordinal(), labels=LABELS)
    assert found["quadratic_kappa"]["value"] == pytest.approx(0.9)
    assert found["grade_error"]["value"] == pytest.approx(0.25)


def test_kappa_is_what_scikit_learn_says(ordinal: Any) -> None:
    true, answer, targets, scores = grade(200)
    found = score_predictions(targets, scores, head=ordinal.Ordinal(), labels=LABELS)
    kappa = found["quadratic_kappa"]["value"]
    assert kappa == pytest.approx(cohen_kappa_score(true, answer, weights="quadratic"), abs=1e-9)
    # The control: other weights are another figure, by more than rounding.
    for weights in (None, "linear"):
        assert abs(kappa - cohen_kappa_score(true, answer, weights=weights)) > 0.05
    assert found["grade_error"]["value"] == pytest.approx(np.abs(true - answer).mean())
    assert found["accuracy"]["value"] == pytest.approx((true == answer).mean())
    assert (
        found["confusion"]
        == np.array(
            [[((true == t) & (answer == a)).sum() for a in range(4)] for t in range(4)]
        ).tolist()
    )


def test_the_interval_of_kappa_holds_the_truth(ordinal: Any) -> None:
    head = ordinal.Ordinal()

    def kappa(samples: int, seed: int, resamples: int) -> dict[str, float]:
        _, _, targets, scores = grade(samples, seed=seed)
        options = {"head": head, "labels": LABELS, "seed": seed, "resamples": resamples}
        return dict(score_predictions(targets, scores, **options)["quadratic_kappa"])

    truth = kappa(200_000, 10**6, 1)["value"]
    found = [kappa(80, seed, 200) for seed in range(200)]

    def covered(shrink: float) -> float:
        held = [
            f["value"] + shrink * (f["low"] - f["value"])
            <= truth
            <= f["value"] + shrink * (f["high"] - f["value"])
            for f in found
        ]
        return float(np.mean(held))

    assert 0.85 <= covered(1.0) <= 0.995
    assert covered(0.5) < 0.85  # the control: half the width is too little


def test_a_document_of_grades(ordinal: Any) -> None:
    head = ordinal.Ordinal()
    _, _, targets, scores = grade(60)
    found = score_predictions(targets, scores, head=head, labels=LABELS)
    json.dumps(found, allow_nan=False)
    assert (found["head"], found["images"]) == ("double_ordinal", 60)
    assert headline(found) == ("quadratic_kappa", found["quadratic_kappa"])
    rows = dict(format_metrics(found, head))
    assert list(rows) == [
        "quadratic kappa",
        "mean error in grades",
        "right grade",
        "at most one grade off",
    ]
    assert rows["right grade"].endswith("]")
    assert " % [" in rows["right grade"]
    assert " % " not in rows["quadratic kappa"]
    worse = grade(60, noise=2.0)[3]
    options = {"head": head, "labels": LABELS}
    for metric, largest in ((None, 200), ("grade_error", 3), ("within_one", 100)):
        drop = paired_difference(targets, scores, worse, metric=metric, **options)
        assert 0 < drop["low"] <= drop["value"] <= drop["high"] <= largest, metric


def test_one_grade_alone_has_no_kappa(ordinal: Any) -> None:
    targets = one_output_per_boundary(np.full(20, 2))
    head = ordinal.Ordinal()
    found = score_predictions(targets, targets, head=head, labels=LABELS)
    assert headline(found)[0] == "grade_error"
    assert any("quadratic_kappa left out" in note for note in found["notes"])
    assert paired_difference(targets, targets, targets, head=head, labels=LABELS)["value"] == 0
    with pytest.raises(DataError, match="quadratic_kappa is defined"):
        paired_difference(targets, targets, targets, head=head, metric="quadratic_kappa")


def test_targets_that_skip_a_grade_are_refused(ordinal: Any) -> None:
    with pytest.raises(DataError, match="ones followed by zeros"):
        score_predictions([[0.0, 1.0]], [[0.0, 1.0]], head=ordinal.Ordinal(), labels=["a", "b"])


# ------------------------------------------------------- figures that fail


class Spread(Figures):
    """The least that figures must be."""

    catalogue: ClassVar = {"spread": Metric("spread", unit="own", style="number")}
    headlines = ("spread",)

    def sums(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"spread": weights @ np.abs(self.scores[:, 0]) / self.samples}


def fake_head(figures: type[Figures]) -> Any:
    return SimpleNamespace(name="fake", figures=figures, make_figures=figures)


def score(figures: type[Figures], **options: Any) -> dict[str, Any]:
    values = np.linspace(-1, 1, 30)[:, None]
    return score_predictions(values, values, head=fake_head(figures), labels=["x"], **options)


def test_the_least_that_figures_must_be() -> None:
    found = score(Spread)
    assert found["headline"] == "spread"
    assert found["spread"]["low"] < found["spread"]["value"] < found["spread"]["high"]
    assert format_metrics(found, fake_head(Spread))[0][0] == "spread"


def test_an_interval_of_its_own_is_the_one_that_is_told() -> None:
    class Own(Spread):
        def interval(
            self, name: str, value: float, resampled: np.ndarray, *, seed: int
        ) -> dict[str, float]:
            return {"value": value, "low": -7.0, "high": float(len(resampled) + seed)}

    found = score(Own, seed=5, resamples=40)["spread"]
    assert (found["low"], found["high"]) == (-7.0, 45.0)


def test_a_fault_in_figures_names_the_head_and_what_brought_it() -> None:
    class Faulty(Spread):
        def sums(self, weights: np.ndarray) -> dict[str, np.ndarray]:
            raise ZeroDivisionError("of my own")

    with pytest.raises(
        ContractError, match=r"head 'fake': .*ZeroDivisionError: of my own"
    ) as found:
        score(Faulty)
    assert "tfxfer plugin check fake" in str(found.value)
    assert "no distribution" in str(found.value)
    from tfxfer_heads import Multilabel

    broken = Multilabel()
    broken.threshold = "high"  # type: ignore[assignment]
    with pytest.raises(ContractError, match=r"\[tfxfer-heads \d"):
        score_predictions(np.eye(2), np.eye(2), head=broken, labels=["a", "b"])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"headlines": ("beauty",)}, r"one of its headlines, \['beauty'\]"),
        ({"catalogue": {}}, r"metrics of its catalogue.*\['spread'\]"),
        ({"sums": lambda self, weights: {"spread": np.zeros((len(weights), 2))}}, "ValueError"),
    ],
)
def test_figures_that_are_none(attributes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ContractError, match=expected):
        score(type("Odd", (Spread,), attributes))


def test_rows_that_fail_name_the_head() -> None:
    class Mute(Spread):
        @classmethod
        def rows(cls, document: Any) -> list[tuple[str, str]]:
            raise KeyError("spread")

    with pytest.raises(ContractError, match=r"head 'fake': .*KeyError: 'spread'"):
        format_metrics(score(Mute), fake_head(Mute))


def test_what_the_base_looks_at_holds_for_all() -> None:
    values = np.zeros((3, 1))
    with pytest.raises(ModelError, match="the first is sample 1"):
        Spread(values, [[0.0], [np.nan], [0.0]], ["x"])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"shape \(samples, 2\)"):
        Spread(values, values, ["x", "y"])


@pytest.mark.parametrize(
    ("figures", "right", "wrong"),
    [
        (ClassFigures, [[0.25, 0.75]], [[0.25, 0.8]]),
        (ClassFigures, [[1.0, 0.0]], [[1.2, -0.2]]),
        (ValueFigures, [[-40.0]], [[np.inf]]),
    ],
)
def test_the_range_of_scores(figures: type[Figures], right: Any, wrong: Any) -> None:
    assert figures.in_range(np.array(right))
    assert not figures.in_range(np.array(wrong))


@pytest.mark.parametrize(
    ("style", "text"),
    [("percent", "12.3 % [10.0, 100.0]"), ("decimal", "0.123 [0.100, 1.000]"),
     ("number", "0.1235 [0.1, 1]")],
)  # fmt: skip
def test_how_a_figure_is_written(style: Any, text: str) -> None:
    metric = Metric("m", style=style)
    assert metric.write({"value": 0.12345, "low": 0.1, "high": 1.0}) == text
