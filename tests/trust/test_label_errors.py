"""Labels that look wrong: by hand, on planted errors, by chance, and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError
from tfxfer.trust.label_errors import (
    LabelError,
    describe_label_errors,
    judge_labels,
    rank_label_errors,
    read_label_errors,
    write_label_errors,
)
from tfxfer.trust.probe import predict_out_of_fold
from tfxfer_heads import Classification, Multilabel, Regression

LABELS = ("ant", "bee")


def rank(scores: Any, classes: Any, labels: tuple[str, ...] = LABELS) -> tuple[LabelError, ...]:
    numbers = np.array(classes)
    return rank_label_errors(
        np.array(scores, float),
        numbers,
        labels=labels,
        paths=[str(i) for i in range(len(numbers))],
        splits=["train"] * len(numbers),
        given=[labels[number] for number in numbers],
    )


def test_thresholds_and_order_are_as_by_hand() -> None:
    # Thresholds: ant (.9 + .7 + .2 + .1) / 4 = .475; bee (.8 + .9 + .45 + .65) / 4 = .7.
    ants = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]]
    bees = [[0.2, 0.8], [0.1, 0.9], [0.55, 0.45], [0.35, 0.65]]
    found = rank([*ants, *bees], [0] * 4 + [1] * 4)
    assert [error.path for error in found] == ["3", "2", "6"]
    # The last is past its threshold, by too little to be sure.
    assert [error.confident for error in found] == [True, True, False]
    assert [error.suggested for error in found] == ["bee", "bee", "ant"]
    assert [error.margin for error in found] == pytest.approx([0.8, 0.6, 0.1])
    assert [error.label_score for error in found] == pytest.approx([0.1, 0.2, 0.45])
    # Of a probe that is surer of its bees, .85, the second answer is short of the threshold.
    surer = rank([*ants, *bees[:2]], [0] * 4 + [1] * 2)
    assert [(error.path, error.confident) for error in surer] == [("3", True), ("2", False)]


def test_candidates_come_before_answers_with_a_wider_margin() -> None:
    labels = ("ant", "bee", "cat")
    # Thresholds: ant .98, bee (.6 + .6 + .1) / 3 = .43, cat (.9 + .9 + .2) / 3 = .67.
    scores = [
        [0.98, 0.02, 0.0], [0.98, 0.02, 0.0],
        [0.2, 0.6, 0.2], [0.2, 0.6, 0.2],
        [0.05, 0.05, 0.9], [0.05, 0.05, 0.9],
        [0.85, 0.1, 0.05],  # a bee: ant is far ahead, and short of its threshold
        [0.05, 0.75, 0.2],  # a cat: bee reaches its own, by less
    ]  # fmt: skip
    found = rank(scores, [0, 0, 1, 1, 2, 2, 1, 2], labels)
    assert [(error.path, error.confident) for error in found] == [("7", True), ("6", False)]


def test_what_is_not_judged_is_no_error_and_moves_no_threshold() -> None:
    judged = rank([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [0, 1, 1])
    nan = rank([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [np.nan, np.nan]], [0, 1, 1, 0])
    assert judged == nan
    assert [error.path for error in judged] == ["2"]
    # A class of which no sample is judged is suggested by nobody with confidence.
    lone = rank([[0.9, 0.1, 0.0], [0.4, 0.0, 0.6], [np.nan] * 3], [0, 0, 2], ("ant", "bee", "cat"))
    assert [(error.suggested, error.confident) for error in lone] == [("cat", False)]


def plant(share: float, *, seed: int, distance: float) -> tuple[Any, Any, Any]:
    """Returns features, classes of which a share is wrong, and which ones are."""
    rng = np.random.default_rng(seed)
    true = np.arange(600) % 4
    features = rng.normal(size=(600, 16))
    features[np.arange(600), true] += distance
    wrong = rng.choice(600, round(share * 600), replace=False)
    classes = true.copy()
    classes[wrong] = (classes[wrong] + rng.integers(1, 4, len(wrong))) % 4
    return features, classes, wrong


def find_share(distance: float, *, seed: int) -> tuple[float, int]:
    """Returns the share of planted errors among twice as many candidates, and how many look so."""
    features, classes, wrong = plant(0.03, seed=seed, distance=distance)
    scores = predict_out_of_fold(features, classes, seed=seed)
    found = rank(scores, classes, ("a", "b", "c", "d"))
    first = {int(error.path) for error in found[: 2 * len(wrong)]}
    return len(first & set(wrong.tolist())) / len(wrong), sum(e.confident for e in found)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_errors_are_found_first_and_by_chance_where_features_say_nothing(seed: int) -> None:
    share, count = find_share(6.0, seed=seed)
    assert share >= 0.85
    assert 9 <= count <= 22  # of 18 that are wrong
    # Of features without a word on the classes: twice 3 % of the samples hold 6 % of the errors.
    by_chance, count = find_share(0.0, seed=seed)
    assert by_chance <= 0.25
    assert count <= 2  # of 600


def test_labels_of_samples_are_judged_through_their_head(images: Any) -> None:
    parts = (images.train, images.val)
    true = np.concatenate([part.targets for part in parts])
    rng = np.random.default_rng(0)
    features = 5 * true @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(len(true), 8))
    assert judge_labels(features, parts, head=Classification()) == ()
    targets = images.val.targets.copy()
    targets[0] = np.roll(targets[0], 1)
    wrong = replace(images.val, targets=targets)
    (found,) = judge_labels(features, (images.train, wrong), head=Classification())
    assert (found.path, found.split) == (images.val.paths[0], "val")
    assert found.label == images.val.raw_labels[0] == found.suggested
    assert found.confident


def test_a_head_without_classes_of_its_own_has_no_labels_to_judge(images: Any) -> None:
    numbers = replace(images.train, targets=images.train.targets[:, :1])
    for head, part in ((Multilabel(), images.train), (Regression(), numbers)):
        with pytest.raises(DataError, match="do not exclude each other"):
            judge_labels(np.zeros((24, 2)), (part,), head=head)


def test_classes_are_single_ones_in_rows() -> None:
    head = Classification()
    assert head.find_classes(np.eye(3, dtype=np.float32)[[2, 0]]).tolist() == [2, 0]  # type: ignore[union-attr]
    for targets in ([[1.0, 1.0]], [[0.0, 0.0]], [[0.5, 0.5]], [[1.0]], [[0.0, 2.0]]):
        assert head.find_classes(np.array(targets)) is None
    assert Multilabel().find_classes(np.eye(2)) is None


def test_the_table_comes_back(tmp_path: Path) -> None:
    errors = (
        LabelError("a/,\n1.png", "val", "a", "ü", 0.1, 0.7, 0.6, True),
        LabelError("b", "test", "=b", "c", 0.25, 0.5, 0.25, False),
    )
    for rows in (errors, ()):
        write_label_errors(tmp_path / "trust" / "label_errors.csv", rows)
        assert read_label_errors(tmp_path / "trust" / "label_errors.csv") == rows


HEADER = "path,split,label,suggested,label_score,suggested_score,margin,confident\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,split\n",
        HEADER + "a,train,b,c,0.1,0.9,0.8\n",
        HEADER + "a,train,b,c,0.1,0.9,0.8,yes\n",
        HEADER + "a,train,b,c,0.1,0.9,0.7,true\n",
        HEADER + "a,train,b,c,0.9,0.1,-0.8,true\n",
        HEADER + "a,train,b,c,0.1,x,0.8,true\n",
        HEADER + "a,train,b,c,0.1,nan,0.8,true\n",
        HEADER + '"a,train\n',
    ],
)
def test_any_other_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "label_errors.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"label_errors\.csv"):
        read_label_errors(path)
    with pytest.raises(DataError, match="other"):
        read_label_errors(tmp_path / "other")


def test_words_count_the_confident_and_name_the_first() -> None:
    sure = LabelError("photos/x.jpg", "val", "daisy", "dandelion", 0.012, 0.98, 0.968, True)
    assert describe_label_errors([sure]) == (
        "1 label looks wrong: photos/x.jpg is labelled daisy, looks like dandelion "
        "(0.98 against 0.01)"
    )
    many = describe_label_errors([sure] * 1200 + [replace(sure, confident=False)], shown=2)
    assert many is not None
    assert many.startswith("1,200 labels look wrong: photos")
    assert many.count("against") == 2
    assert describe_label_errors([replace(sure, confident=False)]) is None
    steering = describe_label_errors([replace(sure, path="\x1b[31m")])
    assert steering is not None
    assert "\x1b" not in steering
