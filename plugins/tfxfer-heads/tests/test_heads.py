"""Round trips, refusals and what all three heads must keep."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer_heads import Classification, Multilabel, Regression

NAMES = st.text(
    st.characters(exclude_characters="|", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")),
    min_size=1,
    max_size=8,
)
HEADS = (Classification, Multilabel, Regression)


def test_importing_the_heads_imports_neither_keras_nor_tensorflow() -> None:
    code = (
        "import sys, tfxfer_heads as h\n"
        "[c().options() for c in (h.Classification, h.Multilabel, h.Regression)]\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("head", HEADS)
def test_entry_point_names_the_class(head: type) -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="tfxfer.heads", name=head.name)
    assert point.load() is head


@pytest.mark.parametrize("head", HEADS)
def test_what_a_head_encodes_it_adapts_to_itself(head: type) -> None:
    made = head()
    labels = made.fit_labels(made.example_labels)
    targets = made.encode(made.example_labels, labels)
    for same in (targets, targets.astype(np.float64)):
        found = made.adapt_targets(same, labels)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, targets)


def test_only_classes_have_numbers() -> None:
    labels, numbers = ("ant", "bee", "cat"), np.array([2, 0])
    found = Classification().adapt_targets(numbers, labels)
    assert found.tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(DataError, match=r"head 'classification': .* from 0 to 2.*Received: 3"):
        Classification().adapt_targets(numbers + 1, labels)
    # A whole number is a value like any other, of one output a column of them.
    assert Regression().adapt_targets(numbers, ("value",)).tolist() == [[2], [0]]
    assert Multilabel().adapt_targets(numbers, labels).shape == (2,)


@pytest.mark.parametrize(
    "head",
    [
        Classification(dropout=0.3, label_smoothing=0.05),
        Multilabel(dropout=0, threshold=0.3),
        Regression(delta=2, mean=[1000.5, 0], std=[300, 0.1]),
        *(head() for head in HEADS),
    ],
)
def test_options_repeat_the_head(head: Classification | Multilabel | Regression) -> None:
    stored = json.loads(json.dumps(head.options()))
    assert type(head)(**stored).options() == head.options()


@pytest.mark.parametrize(
    ("head", "options"),
    [
        (Classification, {"dropout": 1}),
        (Classification, {"dropout": float("nan")}),
        (Classification, {"label_smoothing": 1}),
        (Multilabel, {"threshold": 0}),
        (Multilabel, {"threshold": 1}),
        (Regression, {"delta": 0}),
        (Regression, {"mean": [1.0]}),
        (Regression, {"mean": [1.0], "std": [0.0]}),
        (Regression, {"mean": [1.0], "std": [1.0, 2.0]}),
        (Regression, {"mean": [], "std": []}),
        (Regression, {"mean": [float("nan")], "std": [1.0]}),
    ],
)
def test_options_that_make_no_sense_are_refused(head: type, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        head(**options)


# ---------------------------------------------------------------------- classification


@given(st.lists(NAMES, min_size=2, max_size=20).filter(lambda names: len(set(names)) > 1))
def test_classification_decodes_what_it_encodes(raw: list[str]) -> None:
    head = Classification()
    labels = head.fit_labels(raw)
    targets = head.encode(raw, labels)
    assert targets.dtype == np.float32
    assert targets.sum(axis=1).tolist() == [1.0] * len(raw)
    assert [p.label for p in head.decode(targets, labels)] == raw


@pytest.mark.parametrize(
    "raw",
    [["tulip"], ["tulip"] * 3, [], ["a\nb", "c"], ["a\u2028b", "c"], ["", "c"], ["  ", "c"]],
)
def test_classification_refuses_labels(raw: list[str]) -> None:
    with pytest.raises(DataError, match=r"head 'classification': expected .* Received: "):
        Classification().fit_labels(raw)


def test_classification_names_the_label_that_was_meant() -> None:
    with pytest.raises(DataError, match="Did you mean 'tulip'"):
        Classification().encode(["tulips"], ["rose", "tulip"])


def test_classification_gives_all_scores() -> None:
    (prediction,) = Classification().decode(np.array([[0.25, 0.75]]), ["a", "b"])
    assert prediction.label == "b"
    assert prediction.score == 0.75
    assert prediction.scores == {"a": 0.25, "b": 0.75}


# -------------------------------------------------------------------------- multilabel


@given(st.lists(st.sets(NAMES, max_size=4), min_size=1, max_size=12))
def test_multilabel_decodes_what_it_encodes(sets: list[set[str]]) -> None:
    head = Multilabel()
    raw = ["|".join(sorted(names)) for names in sets]
    try:
        labels = head.fit_labels(raw)
    except DataError:
        assert len(set().union(*sets)) < 2
        return
    targets = head.encode(raw, labels)
    assert targets.dtype == np.float32
    assert [p.label for p in head.decode(targets, labels)] == raw


def test_multilabel_spaces_around_a_label_do_not_make_another() -> None:
    assert Multilabel().fit_labels(["ants | bees", "ants", ""]) == ("ants", "bees")


@pytest.mark.parametrize(
    "raw", [[], ["", ""], ["a", "a"], ["a||b", "c"], ["a|", "b"], ["a\nb", "c"]]
)
def test_multilabel_refuses_labels(raw: list[str]) -> None:
    with pytest.raises(DataError, match=r"head 'multilabel': expected .* Received: "):
        Multilabel().fit_labels(raw)


def test_multilabel_takes_one_label_that_some_images_lack() -> None:
    assert Multilabel().fit_labels(["crack", "", "crack"]) == ("crack",)


def test_multilabel_refuses_an_unknown_label() -> None:
    with pytest.raises(DataError, match=r"label='wasp' in 'ants\|wasp'"):
        Multilabel().encode(["ants|wasp"], ["ants", "bees"])


def test_multilabel_score_is_that_of_the_weakest_part() -> None:
    scores = np.array([[0.9, 0.6, 0.2], [0.3, 0.1, 0.5]])
    two, none = Multilabel().decode(scores, ["a", "b", "c"])
    assert (two.label, two.score) == ("a|b", 0.6)
    # Exactly at the threshold is absent, as in keras.metrics.BinaryAccuracy.
    assert (none.label, none.score) == ("", 0.5)


# -------------------------------------------------------------------------- regression


@given(st.lists(st.floats(-1e6, 1e6), min_size=2).filter(lambda v: len(set(v)) > 1))
def test_regression_decodes_what_it_encodes(values: list[float]) -> None:
    head = Regression()
    raw = [repr(v) for v in values]
    labels = head.fit_labels(raw)
    assert labels == ("value",)
    targets = head.encode(raw, labels)
    assert targets.dtype == np.float32
    predictions = head.decode(targets, labels)
    np.testing.assert_allclose([p.score for p in predictions], values, rtol=1e-6, atol=1e-37)
    rounded = [float(p.label) for p in predictions]
    # Half a unit of the fourth significant digit, and float32's rounding before it.
    np.testing.assert_allclose(rounded, values, rtol=5.01e-4, atol=1e-37)


@pytest.mark.parametrize(
    ("value", "label"),
    [(3.2, "3.2"), (12341.0, "12340"), (0.00012346, "0.0001235"), (-0.0, "0"), (2.0, "2")],
)
def test_regression_writes_four_significant_digits(value: float, label: str) -> None:
    assert Regression().decode(np.array([[value]]), ["value"])[0].label == label


@pytest.mark.parametrize(
    "raw",
    [
        ["3,5", "1"],
        ["tulip", "1"],
        ["nan", "1"],
        ["inf", "1"],
        ["1e39", "1"],
        ["", "1"],
        ["1|2", "1"],
        ["1|", "2"],
        ["4", "4.0"],
        ["1|5", "2|5"],
        ["1"],
        [],
    ],
)
def test_regression_refuses_labels(raw: list[str]) -> None:
    with pytest.raises(DataError, match=r"head 'regression': expected .* Received: "):
        Regression().fit_labels(raw)


def test_regression_takes_several_values() -> None:
    head, raw = Regression(), ["1|200", "2|100.5"]
    labels = head.fit_labels(raw)
    assert labels == ("value_1", "value_2")
    predictions = head.decode(head.encode(raw, labels), labels)
    assert [p.label for p in predictions] == raw
    assert predictions[1].scores == {"value_1": 2.0, "value_2": 100.5}
    with pytest.raises(DataError, match="expected 2 numbers"):
        head.encode(["1"], labels)


@pytest.mark.parametrize(
    "targets", [np.zeros((0, 1)), np.full((3, 1), 0.1), np.array([[1.0], [np.nan]]), np.ones(3)]
)
def test_regression_prepare_refuses_targets(targets: np.ndarray) -> None:
    with pytest.raises(DataError, match="Received: "):
        Regression().prepare(targets)


def test_regression_prepare_keeps_what_the_constructor_was_given() -> None:
    given, measured = Regression(mean=[5], std=[2]), Regression()
    for head in (given, measured):
        head.prepare(np.array([[1.0], [3.0]]))
    assert (given.mean, given.std) == ((5.0,), (2.0,))
    assert (measured.mean, measured.std) == ((2.0,), (1.0,))
    assert Regression(**measured.options()).std == (1.0,)


# ------------------------------------------------------- strata, known labels, balance


def test_classification_is_split_by_class_and_knows_its_labels() -> None:
    head = Classification()
    assert head.complete_strata
    assert head.strata(["b", "a", "b"]) == ["b", "a", "b"]
    head.check_labels(["b"], ["a", "b"])
    with pytest.raises(DataError, match=r"expected the labels of the model.*Received: 'c', 'd'"):
        head.check_labels(["d", "a", "c"], ["a", "b"])


def test_multilabel_is_split_by_combination_with_the_rare_ones_together() -> None:
    raw = ["a|b"] * 7 + ["a"] * 7 + ["b", "c"]
    head = Multilabel()
    assert not head.complete_strata
    assert head.strata(raw) == ["a|b"] * 7 + ["a"] * 7 + ["", ""]


def test_regression_is_split_by_quantiles_of_the_first_number() -> None:
    raw = [f"{number / 10}|0" for number in range(60)]
    assert Regression().strata(raw) == ["0"] * 20 + ["1"] * 20 + ["2"] * 20
    with pytest.raises(DataError, match="a finite number"):
        Regression().strata(["much"] * 60)


def test_what_can_be_balanced() -> None:
    hot = np.eye(3, dtype=np.float32)
    for head in (Classification(), Multilabel()):
        assert head.can_balance
        assert head.membership(hot).tolist() == hot.tolist()
        with pytest.raises(UsageError, match="Leave --balance out"):
            head.membership(hot / 2)
    assert not Regression.can_balance
    # Numbers that happen to be 0 and 1 are none, either.
    with pytest.raises(UsageError, match="whose targets are numbers"):
        Regression().membership(hot)


def test_multilabel_scores_at_its_threshold() -> None:
    targets, scores = np.array([[1.0, 0.0]]), np.array([[0.4, 0.2]])
    right = [
        Multilabel(threshold=threshold)
        .make_figures(targets, scores, ["a", "b"])
        .rights()["exact_match"]
        .tolist()
        for threshold in (0.3, 0.5)
    ]
    assert right == [[True], [False]]


def test_the_distribution_names_the_default_head() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="tfxfer.defaults", name="head")
    assert point.value == Classification.name


# --------------------------------------------------------------------------------- all


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("scores", [np.full((2, 2), np.nan), np.ones((2, 3)), np.ones(2)])
def test_scores_that_are_no_answer_are_refused(head: type, scores: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"expected .*scores.* Received: "):
        head().decode(scores, ["a", "b"])


def test_a_slip_in_a_label_is_told_with_what_was_meant() -> None:
    labels = ("daisy", "tulip")
    with pytest.raises(DataError, match=r"'tulpi'\. Did you mean 'tulip'\? Rename"):
        Classification().check_labels(["daisy", "tulpi"], labels)
    with pytest.raises(DataError, match=r"'tulpi' in 'daisy\|tulpi'\. Did you mean 'tulip'\?"):
        Multilabel().encode(["daisy|tulpi"], labels)


def test_a_quantized_files_steps_are_allowed_for() -> None:
    from tfxfer.errors import ModelError
    from tfxfer.outputs import Outputs

    step = 1 / 256
    exact = np.full((1, 100), 0.01)
    rounded = np.round(exact / step) * step  # 3 / 256 each: the sum is 1.17
    for probe, size, passes in ((rounded, step, True), (rounded, 0.0, False), (exact * 2, step, 0)):
        outputs = Outputs("guest", 100, None, lambda probe=probe: probe, size)
        labels = [f"class {number}" for number in range(100)]
        if passes:
            assert Classification().adapt_outputs(outputs, labels).steps == ()
        else:
            with pytest.raises(ModelError, match="sums of"):
                Classification().adapt_outputs(outputs, labels)


def test_further_labels_come_after_those_there_are() -> None:
    head = Classification()
    assert head.extend_labels(("rose", "daisy"), ["tulip", "daisy", "aster"]) == (
        "rose", "daisy", "aster", "tulip",
    )  # fmt: skip
    assert Multilabel().extend_labels(("red",), ["red|blue", "", "blue"]) == ("red", "blue")
    assert head.label_layers() == Multilabel().label_layers() == ("head_dense",)


@pytest.mark.parametrize("label", ["Rose", "ro se", "ROSE"])
def test_a_label_in_another_spelling_is_none_of_its_own(label: str) -> None:
    with pytest.raises(DataError, match=r"which it has as 'rose'. Write both alike"):
        Classification().extend_labels(("rose", "daisy"), ["daisy", label])


def test_numbers_have_no_further_labels() -> None:
    assert Regression().extend_labels(("value",), ["1.5", "2"]) == ("value",)
