"""Which mistakes a page shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tfxfer.data.table import read_split_table, write_split_table
from tfxfer.report.material import read_material
from tfxfer.run.directory import RunDirectory
from tfxfer.sample import Sample
from tfxfer.system.files import write_table
from tfxfer.system.plain_text import guard_row
from tfxfer.trust.mistakes import list_mistakes
from tfxfer_heads import Classification, Multilabel, Regression

from .told import Describe, Fill, find, list_ranked, list_texts


def test_the_surest_mistakes_come_first(class_run: RunDirectory) -> None:
    material = read_material(class_run)
    found = list_ranked(material)
    assert [answer.score for answer in found] == pytest.approx([0.9, 0.6, 0.5])
    assert all(answer.is_right is False for answer in found)


def test_the_farthest_mistakes_come_first(tmp_path: Path, fill: Fill) -> None:
    head, truths = Multilabel(), ["a|b", "a|b", "a|b", "a|b"]
    scores = np.array([[0.9, 0.1], [0.2, 0.1], [0.9, 0.9], [0.9, 0.4]])
    material = read_material(fill(tmp_path / "run", head, ("a", "b"), truths, scores))
    # Both labels wrong, then one: of equally far ones the surer. The right one is none.
    names = [answer.path[5:7] for answer in list_ranked(material)]
    assert names == ["01", "00", "03"]


def test_numbers_are_as_far_as_they_are(tmp_path: Path, fill: Fill) -> None:
    truths = ["1|100", "2|300", "3|200", "4|400"]
    scores = np.array([[1, 100], [2, 320], [3.5, 200], [4, 400]])
    head = Regression(mean=(0.0, 0.0), std=(1.0, 1.0))
    labels = ("x", "y")
    material = read_material(fill(tmp_path / "run", head, labels, truths, scores))
    # .5 of a spread of 1.1 is farther than 20 of one of 112.
    names = [answer.path[5:7] for answer in list_ranked(material)]
    assert names == ["02", "01"]


def test_numbers_below_zero_are_numbers(
    tmp_path: Path, fill: Fill, describe: Describe, render: Callable[..., str]
) -> None:
    truths = ["-1", "0", "1"] * 4
    scores = np.tile([[-1.0], [0.0], [1.0]], (4, 1))
    scores[3] = -3
    run = fill(tmp_path / "run", Regression(mean=(0.0,), std=(1.0,)), ("x",), truths, scores)
    # Such answers have no classes, so that nobody looks for labels that look wrong.
    run.write_manifest(replace(run.read_manifest(), request={"data": "numbers.csv"}))
    (answer,) = list_ranked(read_material(run))
    assert (answer.truth, answer.path) == ("-1", "test/03.png")
    assert float(answer.label) == -3
    content = describe(run)
    assert "labels" not in [section.name for section in content.sections]
    assert "-3.0, in truth -1" in render(run) or "-3, in truth -1" in render(run)


def test_a_name_that_no_table_may_have_finds_its_sample(class_run: RunDirectory) -> None:
    names = {"test/03.png": "=1+1/\x1b3.png", "test/05.png": "'-5.png", "test/07.png": "-7"}
    split = [
        replace(row, path=names.get(row.path, row.path))
        for row in read_split_table(class_run.split_path)
    ]
    write_split_table(class_run.split_path, split)
    answers = [asdict(answer) for answer in read_material(class_run).answers]
    for row in answers:
        row["path"] = names.get(row["path"], row["path"])
        row["right"] = "true" if row.pop("is_right") else "false"
    write_table(class_run.predictions_path, map(guard_row, answers))
    found = [answer.path for answer in read_material(class_run).tested]
    assert [found[number] for number in (3, 5, 7)] == list(names.values())
    assert "'=1+1/\\x1b3.png" in class_run.predictions_path.read_text()
    mistakes = list_mistakes(class_run, 99, locate=Sample)
    assert mistakes
    assert {item.sample.name for item in mistakes} <= {row.path for row in split}


def test_answers_that_nobody_can_rank_are_not_none(
    tmp_path: Path, fill: Fill, describe: Describe
) -> None:
    truths, scores = ["1", "2", "3"] * 4, np.ones((12, 1))
    run = fill(tmp_path / "run", Regression(mean=(0.0,), std=(1.0,)), ("x",), truths, scores)
    table = run.predictions_path
    table.write_text(table.read_text().replace(",2,", ",two,"))
    run.write_manifest(replace(run.read_manifest(), request={"data": "numbers.csv"}))
    text = str(find(describe(run), "mistakes"))
    assert "They cannot be ranked" in text
    assert "none" not in text


def test_one_right_answer_has_no_mistakes(tmp_path: Path, fill: Fill, describe: Describe) -> None:
    labels = ("a", "b")
    run = fill(tmp_path / "run", Classification(), labels, [*labels] * 6, np.eye(2)[[0, 1] * 6])
    content = describe(run)
    assert "There are none among 12 images." in str(find(content, "mistakes"))
    assert not any("mistake" in text for text in list_texts(content))
