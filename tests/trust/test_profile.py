from __future__ import annotations

import json

import numpy as np
import pytest

from tfxfer import DataError, RunError
from tfxfer.trust.moments import LayerMoments, Moments
from tfxfer.trust.profile import (
    BEYOND,
    FAR,
    NEAR,
    GapProfile,
    StageGap,
    describe_profile,
    make_profile,
    name_distance,
)
from tfxfer.trust.set_gap import SetGap, make_set_gap


def make_layer(
    rng: np.random.Generator,
    samples: int,
    *,
    stage: str = "a",
    shift: float = 0.0,
    spread: float = 1.0,
    channels: int = 40,
) -> LayerMoments:
    """Returns samples whose layer remembers mean 0 and variance 1, half of it between samples."""
    return LayerMoments(
        name=f"{stage}_bn",
        stage=stage,
        means=rng.normal(shift, spread * 0.5**0.5, (samples, channels)).astype(np.float32),
        variances=np.full((samples, channels), 0.5 * spread**2, np.float32),
        moving_mean=np.zeros(channels),
        moving_variance=np.ones(channels),
        epsilon=0.0,
    )


def profile_of(
    *layers: LayerMoments, stages: tuple[str, ...] = ("a",), seed: int = 0
) -> GapProfile:
    moments = Moments(tuple(layers), np.zeros((len(layers[0].means), 3), np.float32))
    return make_profile(moments, backbone="net", stages=stages, seed=seed)


def test_moments_of_samples_pool_into_those_of_all_positions() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(50, 0.1, (6, 5, 7, 3))
    layer = LayerMoments(
        "bn", "a", maps.mean((1, 2)), maps.var((1, 2)), np.zeros(3), np.ones(3), 0.0
    )
    mean, variance = layer.pool()
    np.testing.assert_allclose(mean[0], maps.mean((0, 1, 2)))
    np.testing.assert_allclose(variance[0], maps.var((0, 1, 2)), rtol=1e-9)
    counts = np.array([[2, 0, 1, 0, 3, 0], [1, 1, 1, 1, 1, 1]])
    drawn = maps[np.repeat(np.arange(6), counts[0])]
    mean, variance = layer.pool(counts)
    np.testing.assert_allclose(mean[0], drawn.mean((0, 1, 2)))
    np.testing.assert_allclose(variance[0], drawn.var((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(variance[1], maps.var((0, 1, 2)), rtol=1e-9)
    # The control: the mean of the samples' variances alone is less.
    assert (layer.variances.mean(0) < 0.999 * variance[1]).all()


def test_a_known_gap_is_found_whatever_the_number_of_samples() -> None:
    # The mean is off by .5, the deviation by .2: .25 + .04.
    for samples in (12, 50, 400):
        rng = np.random.default_rng(samples)
        found = profile_of(make_layer(rng, samples, shift=0.5, spread=1.2, channels=300))
        assert found.mean == pytest.approx(0.29, abs=0.04)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.29 <= found.high
        assert found.images == samples


def test_few_samples_of_the_source_itself_are_no_gap() -> None:
    rng = np.random.default_rng(1)
    layer = make_layer(rng, 10, channels=300)
    found = profile_of(layer)
    assert found.mean is not None
    assert found.mean < 0.02
    # The control: ten samples as they are look as if they were off by a fifth of a deviation.
    mean, variance = layer.pool()
    assert (mean**2 + (np.sqrt(variance) - 1) ** 2).mean() > 0.04


def test_intervals_hold_what_more_samples_would_show() -> None:
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = profile_of(make_layer(rng, 40, shift=0.4, channels=20), seed=seed)
        held += found.low <= 0.16 <= found.high  # type: ignore[operator]
    assert held >= 51  # of 60; 95 % are 57, and one draw in a thousand has fewer than 51
    narrow = profile_of(make_layer(np.random.default_rng(0), 400, shift=0.4, channels=20))
    wide = profile_of(make_layer(np.random.default_rng(0), 20, shift=0.4, channels=20))
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)  # type: ignore[operator]


def test_stages_are_in_order_and_each_has_its_own_layers() -> None:
    rng = np.random.default_rng(2)
    layers = (
        make_layer(rng, 60, stage="one", shift=1.0),
        make_layer(rng, 60, stage="one", shift=0.0),
        make_layer(rng, 60, stage="three", shift=2.0),
    )
    found = profile_of(*layers, stages=("one", "two", "three", "four"))
    assert [(x.name, x.depth) for x in found.stages] == [("one", 0.25), ("three", 0.75)]
    assert found.stages[0].distance == pytest.approx(0.5, abs=0.1)
    assert found.stages[1].distance == pytest.approx(4.0, abs=0.4)
    # Of the layers, not of the stages.
    assert found.mean == pytest.approx(5 / 3, abs=0.2)
    assert all(x.low <= x.distance <= x.high for x in found.stages)


def test_one_sample_is_not_enough() -> None:
    with pytest.raises(DataError, match="at least two samples"):
        profile_of(make_layer(np.random.default_rng(0), 1))


def test_a_record_is_read_strictly() -> None:
    found = profile_of(make_layer(np.random.default_rng(3), 20, shift=0.5))
    document = json.loads(json.dumps(found.to_dict()))
    assert GapProfile.from_dict(document) == found
    none = GapProfile("net", 0, reason="it has none")
    assert GapProfile.from_dict(none.to_dict()) == none
    with pytest.raises(RunError, match="'colour'"):
        GapProfile.from_dict({**document, "colour": 1})
    with pytest.raises(RunError, match="mean"):
        GapProfile.from_dict({**document, "mean": "far"})
    with pytest.raises(RunError, match=r"stages\[0\]"):
        GapProfile.from_dict({**document, "stages": [{"name": "a"}]})


LANDMARKS = (("photos", 0.03, 0.09), ("cartoons", 0.16, 0.2), ("noise", 0.66, 1.1))


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0.01, "near: 0.01 [0.01, 0.01], nearer than photos (from 0.03)"),
        (0.06, "near: 0.06 [0.06, 0.06], like photos (0.03 to 0.09)"),
        (
            0.125,
            "some way off: 0.12 [0.12, 0.12], between photos (to 0.09) and cartoons (from 0.16)",
        ),
        (0.4, "far: 0.40 [0.40, 0.40], between cartoons (to 0.20) and noise (from 0.66)"),
        (0.7, "as far as noise: 0.70 [0.70, 0.70], like noise (0.66 to 1.10)"),
        (2.0, "as far as noise: 2.00 [2.00, 2.00], farther than noise (to 1.10)"),
    ],
)
def test_a_distance_is_placed_among_known_ones(distance: float, words: str) -> None:
    stages = (StageGap("a", 1.0, distance, distance, distance),)
    profile = GapProfile("net", 9, stages, distance, low=distance, high=distance)
    assert describe_profile(profile, LANDMARKS) == (words,)
    assert (
        describe_profile(profile)[0]
        == words.partition(",")[0] + words[words.index(",") : words.index("]") + 1]
    )


def test_the_words_change_at_their_limits() -> None:
    assert 0 < NEAR < FAR < BEYOND
    names = [name_distance(x) for limit in (NEAR, FAR, BEYOND) for x in (limit, limit + 1e-9)]
    assert names == [
        *("near", "some way off", "some way off", "far"),
        *("far", "as far as noise"),
    ]


def test_it_is_told_where_samples_leave_the_known_world() -> None:
    def describe(*distances: float) -> tuple[str, ...]:
        stages = tuple(
            StageGap(f"s{n}", (n + 1) / len(distances), x, x, x) for n, x in enumerate(distances)
        )
        mean = float(np.mean(distances))
        return describe_profile(GapProfile("net", 9, stages, mean, low=mean, high=mean))[1:]

    assert describe(0.05, 0.05, 0.1, 0.05) == ()
    assert describe(0.6, 0.4, 0.1, 0.1) == (
        "farthest at stage s0, depth 0.25: 0.60",
        "only the first layers find them strange: they look unusual",
    )
    assert describe(0.05, 0.05, 0.2, 0.3) == (
        "farthest at stage s3, depth 1.00: 0.30",
        "only the last layers find them strange: what they show is unusual",
    )
    assert describe(0.5, 0.3, 0.3, 0.13) == ("farthest at stage s0, depth 0.25: 0.50",)
    assert describe(0.1, 0.5, 0.1, 0.1) == ("farthest at stage s1, depth 0.50: 0.50",)
    assert describe(0.3, 0.3, 0.3, 0.3) == ("farthest at stage s0, depth 0.25: 0.30",)


def test_no_gap_says_why() -> None:
    profile = GapProfile("net", 0, reason="net has no BatchNormalization")
    assert describe_profile(profile, LANDMARKS) == (
        "the domain gap cannot be had: net has no BatchNormalization",
    )


def test_two_sets_are_compared_by_their_features() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(40, 60)), rng.normal(size=(30, 60))
    same = make_set_gap(a, b, backbone="net")
    assert (same.images_a, same.images_b, same.is_significant) == (40, 30, False)
    assert same.frechet == pytest.approx(same.frechet_chance, rel=0.3)
    assert "no difference between A and B can be seen with 40 and 30" in same.describe()
    other = make_set_gap(a, b + 1, backbone="net", seed=1)
    assert (other.is_significant, other.p_value) == (True, 0.001)
    assert other.frechet > 1.3 * other.frechet_chance
    assert other.describe("x", "y").startswith("x and y differ (p = 0.001): Fréchet distance ")
    assert set(other.to_dict()) == set(SetGap.__dataclass_fields__)
