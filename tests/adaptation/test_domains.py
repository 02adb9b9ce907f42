"""How near sources are to a target, and how probes do on a source that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.adaptation.domain_record import DomainRow, Domains
from tfxfer.adaptation.domains import (
    MOST_TIMES,
    measure_distances,
    measure_transfer,
    weigh_domains,
)
from tfxfer.trust.estimate import Estimate
from tfxfer_heads import Classification, Regression

LABELS = ("a", "b")


def test_a_source_that_is_farther_is_farther() -> None:
    rng = np.random.default_rng(0)
    domains = np.repeat([0, 1, 2], [60, 300, 300])
    moved = np.array([0.0, 0.5, 1.5])[domains]
    features = rng.normal(size=(660, 4))
    features[:, 0] += moved
    target = rng.normal(size=(250, 4))
    same, near, far = measure_distances(features, domains, target)
    assert abs(same) < 0.01
    assert same < near < far
    # Few samples alone are not far: half as many of the first source change little.
    few = np.concatenate([np.arange(30), np.arange(60, 660)])
    again = measure_distances(features[few], domains[few], target)
    assert again[0] == pytest.approx(same, abs=0.02)


def test_one_that_is_much_farther_than_a_far_one_is_told_from_it() -> None:
    """A width of its own for each pair would make the same of both."""
    rng = np.random.default_rng(0)
    domains = np.repeat([0, 1], 100)
    features = rng.normal(size=(200, 4)) + np.array([5.0, 50.0])[domains][:, None]
    far, farther = measure_distances(features, domains, rng.normal(size=(100, 4)))
    assert farther > 1.5 * far


def test_a_small_source_is_as_far_as_a_large_one_of_its_kind() -> None:
    rng = np.random.default_rng(0)
    domains = np.repeat([0, 1], [40, 400])
    features = rng.normal(size=(440, 4)) + 2
    small, large = measure_distances(features, domains, rng.normal(size=(400, 4)))
    assert small == pytest.approx(large, rel=0.1)


def test_weights_are_inverse_distances_within_a_bound() -> None:
    weights = weigh_domains(np.array([0.1, 0.2, 0.4]))
    assert weights == pytest.approx(np.array([4, 2, 1]) * 3 / 7)
    bound = weigh_domains(np.array([1e-9, 0.2]))
    assert bound[0] / bound[1] == pytest.approx(MOST_TIMES)
    assert weigh_domains(np.array([-0.01, -0.02])).tolist() == [1, 1]
    assert weigh_domains(np.array([0.3])).tolist() == [1]


def draw_sources(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns three sources of two classes; the last one has them the other way around."""
    rng = np.random.default_rng(seed)
    domains, classes = np.repeat([0, 1, 2], 60), np.tile([0, 1], 90)
    features = 0.5 * rng.normal(size=(180, 6))
    features[np.arange(180), np.where(domains == 2, 1 - classes, classes)] += 2
    features[:, 3] += 2.0 * (domains == 2)
    return features, np.eye(2, dtype=np.float32)[classes], domains


def test_a_source_unlike_the_others_cannot_be_told_from_them() -> None:
    features, targets, domains = draw_sources()
    metric, rows = measure_transfer(
        features, targets, domains, head=Classification(), labels=LABELS,
        groups=list(range(180)),
    )  # fmt: skip
    assert metric == "accuracy"
    assert [row.samples for row in rows] == [60, 60, 60]
    first, second, third = rows
    assert third.unseen is not None
    assert first.unseen is not None
    assert second.seen is not None
    assert third.unseen.value < 0.1
    assert third.unseen.low <= third.unseen.value <= third.unseen.high
    assert first.unseen.value < second.seen.value


def test_equal_sources_are_as_good_unseen_as_seen() -> None:
    features, targets, domains = draw_sources()
    kept = domains < 2
    _, rows = measure_transfer(
        features[kept], targets[kept], domains[kept], head=Classification(), labels=LABELS,
        groups=list(range(120)),
    )  # fmt: skip
    for row in rows:
        assert row.seen is not None
        assert row.unseen is not None
        assert row.unseen.value > 0.9
        assert row.unseen.value == pytest.approx(row.seen.value, abs=0.05)


@pytest.mark.parametrize("case", ["one_source", "one_class_outside", "numbers"])
def test_where_no_probe_can_be_there_is_none(case: str) -> None:
    features, targets, domains = draw_sources()
    head: Classification | Regression = Classification()
    if case == "one_source":
        domains = np.zeros_like(domains)
    elif case == "one_class_outside":
        kept = (domains == 0) | ((domains == 1) & (targets[:, 0] == 1))
        features, targets, domains = features[kept], targets[kept], domains[kept]
    else:
        head, targets = Regression(), targets[:, :1]
    found = measure_transfer(
        features, targets, domains, head=head, labels=LABELS, groups=list(range(len(targets)))
    )
    assert found == ("", ())


def test_a_record_says_what_was_measured() -> None:
    half, most = Estimate(0.5, 0.4, 0.6), Estimate(0.9, 0.8, 1.0)
    rows = (
        DomainRow("street", 40, 1.5, 0.1, 40, most, half, 9, most),
        DomainRow("studio", 90, 0.5, 0.3, 90, most, most, 20, half),
    )
    record = Domains("camera", None, True, rows, "accuracy", "", "macro_f1")
    first, street, studio, _, heading, *probes = record.describe()
    assert first == "sources by camera"
    assert "40 learnt from, 0.100 from the target, weight 1.50" in street
    assert "macro_f1 0.5 [0.4, 0.6] on 20 of the test" in studio
    assert "accuracy without its samples ← with them" in heading
    assert "street  0.5 [0.4, 0.6] ← 0.9 [0.8, 1], of 40" in probes[0]
    assert Domains.from_dict(record.to_dict()) == record
    alone = Domains(
        "camera", "studio", True, (DomainRow("street", 40), DomainRow("studio", 0)), "", "why not"
    )
    assert alone.describe()[-1] == "  on a source that it has not seen: why not"
    assert "studio  not learnt from" in alone.describe()[2]
