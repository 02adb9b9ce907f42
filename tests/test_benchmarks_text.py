"""What the scripts on texts count, on texts and answers made up here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
PAIRS = [(f"text {number}", "spam" if number % 5 == 0 else "ham") for number in range(200)]
LABELS = np.array([label for _, label in PAIRS])


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Callable[[str], Any]:
    return import_script


def test_a_text_counts_once_however_it_is_spelled(script: Callable[[str], Any]) -> None:
    drop = script("text_sets").drop_repeats
    pairs = [("Go  now", "a"), ("go now ", "b"), ("go, now", "b"), (" ", "a")]
    assert list(drop(pairs)) == [("Go  now", "a"), ("go, now", "b")]


def test_a_fifth_of_each_label_is_the_test(script: Callable[[str], Any]) -> None:
    sets = script("text_sets")
    parts = sets.split_texts(LABELS, seed=0)
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 140, "val": 20, "test": 40,
    }  # fmt: skip
    assert {name: int((LABELS[rows] == "spam").sum()) for name, rows in parts.items()} == {
        "train": 28, "val": 4, "test": 8,
    }  # fmt: skip
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(200))
    other = sets.split_texts(LABELS, seed=1)
    assert other["test"].tolist() != parts["test"].tolist()
    assert sets.split_texts(LABELS, seed=0)["test"].tolist() == parts["test"].tolist()


def test_few_texts_are_drawn_from_those_to_learn_from(script: Callable[[str], Any]) -> None:
    sets = script("text_sets")
    parts = sets.split_texts(LABELS, seed=0)
    few = sets.draw_few(parts, LABELS, 3, seed=0)
    assert few["test"].tolist() == parts["test"].tolist()
    for name in ("train", "val"):
        assert set(few[name]) <= set(parts[name])
        assert [int((LABELS[few[name]] == x).sum()) for x in ("ham", "spam")] == [3, 3]


def test_a_table_says_which_part_a_text_is_in(script: Callable[[str], Any], tmp_path: Path) -> None:
    pairs = [('say "hi", then', "a"), ("two\nlines", "b"), ("left out", "a")]
    parts = {"train": np.array([1]), "test": np.array([0])}
    path = tmp_path / "texts.csv"
    script("text_sets").write_table(path, pairs, parts)
    assert path.read_text(encoding="utf-8") == (
        'text,label,split\n"say ""hi"", then",a,test\n"two\nlines",b,train\n'
    )


def test_scores_are_those_counted_by_hand(script: Callable[[str], Any]) -> None:
    truth = np.array(["a"] * 6 + ["b"] * 2)
    answers = np.array(["a"] * 5 + ["b"] * 2 + ["a"])
    found = script("text").score(truth, answers)
    assert found["accuracy"]["value"] == pytest.approx(6 / 8)
    # a: 5 hits of 6 said and 6 true; b: 1 hit of 2 said and 2 true.
    assert found["macro_f1"]["value"] == pytest.approx((2 * 5 / 12 + 2 * 1 / 4) / 2)
    for figure in found.values():
        assert figure["low"] < figure["value"] < figure["high"]
    many = np.tile(truth, 20)  # so that no draw lacks a label
    perfect = script("text").score(many, many)
    assert perfect["macro_f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_a_gain_is_paired_by_text(script: Callable[[str], Any]) -> None:
    compare = script("text").compare
    gain = compare(["1110", "1111"], ["1010", "0111"])
    assert gain["value"] == pytest.approx(100 * 2 / 8)
    # Differences 0 1 0 0 1 0 0 0: their standard deviation is sqrt(1/4 - 1/16).
    assert gain["high"] - gain["value"] == pytest.approx(100 * 1.96 * (3 / 16) ** 0.5 / 8**0.5)
    assert compare(["10"], ["10"]) == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_answers_are_joined_by_the_line_of_their_text(
    script: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = script("text")
    # 12 comes before 2, as in a table of predictions sorted by path.
    lines = ["path,split,truth,label", "t.csv:12,test,b,a", "t.csv:2,test,a,b", "t.csv:3,val,a,a"]
    (place := tmp_path / "run").mkdir()
    (place / "predictions.csv").write_text("\n".join(lines), encoding="utf-8")
    done = SimpleNamespace(stdout=json.dumps({"phases": [], "metrics": {"test": {}}}))
    monkeypatch.setattr(text.subprocess, "run", lambda *_, **__: done)
    pairs = [("one", "a"), ("two", "a"), ("three", "b")]
    parts = {"test": np.array([2, 0]), "val": np.array([1])}
    assert text.train(pairs, parts, "sms", place)["answers"].tolist() == ["a", "b"]
    with pytest.raises(SystemExit, match="the test's texts"):
        text.train(pairs, {**parts, "test": np.array([1, 0])}, "sms", place)


def test_a_mean_over_seeds_has_the_interval_of_all_their_tests(
    script: Callable[[str], Any],
) -> None:
    text = script("text")

    def run(value: float, right: str) -> dict[str, Any]:
        figure = {"value": value, "low": value - 0.03, "high": value + 0.03}
        return {"accuracy": figure, "macro_f1": figure, "right": right}

    runs = {
        "sms/0/tfidf": run(0.5, "10"),
        "sms/0/ours": run(0.6, "11"),
        "sms/1/ours": run(0.8, "11"),
        "sms@8/0/ours": run(0.7, "01"),
    }
    rows = {(row["set"], row["way"]): row for row in text.summarise(runs)}
    assert set(rows) == {("sms", "tfidf"), ("sms", "ours"), ("sms@8", "ours")}
    ours = rows["sms", "ours"]
    assert ours["seeds"] == 2
    assert ours["accuracy"]["value"] == pytest.approx(0.7)
    assert ours["accuracy"]["low"] == pytest.approx(0.7 - 0.03 / 2**0.5)
    assert ours["accuracy_each"] == [0.6, 0.8]
    # Of the seed that both have.
    assert rows["sms", "tfidf"]["gain"]["value"] == pytest.approx(50)
    assert "gain" not in ours


def test_caching_is_compared_round_by_round(script: Callable[[str], Any]) -> None:
    keys = list(itertools.product(("head", "epoch", "deep"), ("cached", "whole")))
    rows = script("text_cost").list_cache_rows(
        {
            "rounds": [
                {
                    f"{key}_{way}_s": seconds
                    for (key, way), seconds in zip(keys, round_, strict=True)
                }
                for round_ in ((2, 40, 5, 11, 5, 15), (4, 48, 5, 10, 5, 20))
            ]
        }
    )
    assert [row["times_faster"]["rounds"] for row in rows] == [[20, 12], [2.2, 2.0], [3, 4]]
    assert script("text_cost").list_cache_rows({}) == []
