from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer.data.split import join_groups, merge_rare, split_records, stratify_values
from tfxfer.errors import DataError, UsageError


def shares(parts: np.ndarray) -> dict[str, float]:
    return {name: float((parts == name).mean()) for name in ("train", "val", "test")}


def leaks(parts: np.ndarray, groups: list[int]) -> list[int]:
    """The groups that are on more than one side."""
    sides: dict[int, set[str]] = {}
    for part, group in zip(parts.tolist(), groups, strict=True):
        sides.setdefault(group, set()).add(part)
    return [group for group, where in sides.items() if len(where) > 1]


def is_within(parts: np.ndarray, tolerance: float) -> bool:
    wanted = {"train": 0.7, "val": 0.15, "test": 0.15}
    return all(abs(share - wanted[name]) <= tolerance for name, share in shares(parts).items())


tables = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 40)), min_size=1, max_size=150
).map(lambda rows: ([label for label, _ in rows], [group for _, group in rows]))


@settings(max_examples=150, deadline=None)
@given(tables, st.integers(0, 2**32), st.booleans())
def test_no_group_is_on_two_sides(
    table: tuple[list[str], list[int]], seed: int, stratify: bool
) -> None:
    labels, groups = table
    parts = split_records(labels, groups, seed=seed, stratify=stratify)
    assert leaks(parts, groups) == []


def test_a_split_that_knows_no_groups_leaks() -> None:
    groups = [n // 4 for n in range(100)]
    parts = split_records(["a"] * 100, list(range(100)), seed=0, stratify=True)
    assert len(leaks(parts, groups)) > 5


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(0, 1000))
def test_the_same_seed_is_the_same_split(table: tuple[list[str], list[int]], seed: int) -> None:
    first = split_records(*table, seed=seed, stratify=True)
    assert np.array_equal(first, split_records(*table, seed=seed, stratify=True))


def test_another_seed_is_another_split() -> None:
    labels, groups = ["a", "b"] * 50, list(range(100))
    first, second = (split_records(labels, groups, seed=s, stratify=True) for s in (0, 1))
    assert not np.array_equal(first, second)


def test_the_split_is_the_same_on_every_machine() -> None:
    parts = split_records(["a", "b"] * 10, list(range(20)), seed=0, stratify=True)
    assert "".join(part[1] for part in parts.tolist()) == GOLDEN


# Of numpy's PCG64, which does not change between platforms and versions.
GOLDEN = "errrrrrrrerrareararr"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(20, 200), min_size=1, max_size=6), st.integers(0, 1000))
def test_single_images_keep_each_class_in_proportion(counts: list[int], seed: int) -> None:
    labels = [f"class {n}" for n, count in enumerate(counts) for _ in range(count)]
    parts = split_records(labels, list(range(len(labels))), seed=seed, stratify=True)
    for name in set(labels):
        # An image and a half either way of each part's share.
        of_class = parts[np.array(labels) == name]
        assert is_within(of_class, 1.5 / len(of_class))
    assert is_within(parts, 2.5 / len(parts))


def test_without_strata_classes_are_not_in_proportion() -> None:
    labels = ["rare"] * 20 + ["common"] * 200
    skewed = 0
    for seed in range(20):
        parts = split_records(labels, list(range(220)), seed=seed, stratify=False)
        skewed += not is_within(parts[:20], 1.5 / 20)
    assert skewed > 5


def test_rounding_does_not_favour_one_part() -> None:
    labels = [f"class {n // 10}" for n in range(1000)]
    parts = split_records(labels, list(range(1000)), seed=0, stratify=True)
    # Each class alone would round 7, 1.5, 1.5 to 7, 1, 2.
    assert Counter(parts.tolist()) == {"train": 700, "val": 150, "test": 150}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=40), st.integers(0, 1000))
def test_three_groups_are_enough_to_be_in_every_part(sizes: list[int], seed: int) -> None:
    labels, groups = [], []
    for name in ("a", "b"):
        for number, size in enumerate(sizes):
            labels += [name] * size
            groups += [(name, number)] * size
    parts = split_records(labels, groups, seed=seed, stratify=True)
    for name in ("a", "b"):
        assert set(parts[np.array(labels) == name]) == {"train", "val", "test"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=60, max_size=120), st.integers(0, 1000))
def test_groups_come_close_to_the_fractions(sizes: list[int], seed: int) -> None:
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    labels = ["ab"[group % 2] for group in groups]
    parts = split_records(labels, groups, seed=seed, stratify=True)
    assert is_within(parts, 0.03)
    flipped = np.where(parts == "test", "train", parts)
    assert not is_within(flipped, 0.03)


@pytest.mark.parametrize(("count", "wanted"), [(1, ["train"]), (2, ["test", "train"])])
def test_scarce_classes(count: int, wanted: list[str]) -> None:
    labels = ["rare"] * count + ["common"] * 50
    parts = split_records(labels, list(range(len(labels))), seed=3, stratify=True)
    assert sorted(parts[:count]) == wanted


def test_a_part_can_be_left_empty() -> None:
    parts = split_records(
        ["a"] * 40, list(range(40)), fractions=(0.8, 0.2, 0.0), seed=0, stratify=True
    )
    assert Counter(parts.tolist()) == {"train": 32, "val": 8}


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5), (0.5, 0.5)]
)
def test_fractions_that_are_none(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="fractions"):
        split_records(["a"], [0], fractions=fractions, seed=0, stratify=True)


def test_given_parts_stay() -> None:
    given_parts = ["train"] * 60 + ["val"] * 20 + ["test"] * 20
    parts = split_records(["a"] * 100, list(range(100)), seed=0, stratify=True, given=given_parts)
    assert parts.tolist() == given_parts


@pytest.mark.parametrize("missing", ["val", "test"])
def test_a_missing_part_is_taken_from_train(missing: str) -> None:
    other = "test" if missing == "val" else "val"
    given_parts = ["train"] * 170 + [other] * 30
    parts = split_records(
        ["a", "b"] * 100, list(range(200)), seed=0, stratify=True, given=given_parts
    )
    assert set(parts[170:]) == {other}
    assert Counter(parts.tolist()) == {"train": 140, other: 30, missing: 30}


def test_train_alone_gives_both_others() -> None:
    parts = split_records(
        ["a"] * 100, list(range(100)), seed=0, stratify=True, given=["train"] * 100
    )
    assert Counter(parts.tolist()) == {"train": 70, "val": 15, "test": 15}


def test_images_without_a_part_follow_their_group() -> None:
    given_parts = ["test", None, "train", None, "val", None]
    parts = split_records(["a"] * 6, [0, 0, 1, 1, 2, 2], seed=0, stratify=True, given=given_parts)
    assert parts.tolist() == ["test", "test", "train", "train", "val", "val"]


def test_a_group_in_two_given_parts_is_refused() -> None:
    with pytest.raises(DataError, match="in train and test"):
        split_records(["a", "a"], [7, 7], seed=0, stratify=True, given=["train", "test"])


def test_groups_join_over_all_labellings() -> None:
    joined = join_groups(["p", "p", None, None, "q"], [0, 1, 1, 3, 3])
    assert joined.tolist() == [0, 0, 0, 3, 3]


def test_regression_parts_span_the_same_range() -> None:
    values = np.random.default_rng(0).exponential(size=300)
    bins = stratify_values(values)
    assert np.bincount(bins).tolist() == [30] * 10
    assert stratify_values(np.ones(50)).max() - stratify_values(np.ones(50)).min() == 0
    assert set(stratify_values(np.arange(5.0)).tolist()) == {0}


def test_rare_combinations_are_one_stratum() -> None:
    labels = ["a|b"] * 7 + ["a"] * 6 + ["b"] * 2
    assert Counter(merge_rare(labels)) == {"a|b": 7, "": 8}
