"""Known cases on real images: what looks stranger to ImageNet's networks measures farther."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import build_model, compare_sets, measure_gap
from tfxfer.stages import get_info
from tfxfer.trust.profile import BEYOND, FAR, NEAR, describe_profile

pytestmark = pytest.mark.slow

IMAGES = 96
NATURAL = ("pacs3/photo", "hymenoptera", "flowers5")


def paint_noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (IMAGES, 224, 224, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def lite() -> Any:
    return build_model("efficientnet_lite0", labels=["a", "b"])


def test_sets_are_in_the_order_of_their_strangeness(lite: Any, shared: Path) -> None:
    data = shared / "data"
    names = (*NATURAL, "pacs3/art_painting", "pacs3/cartoon", "neu_surface_defects")
    found = {name: measure_gap(lite, data / name, images=IMAGES) for name in names}
    found["noise"] = measure_gap(lite, paint_noise())
    means = {name: profile.mean or 0 for name, profile in found.items()}
    assert max(means[name] for name in (*NATURAL, "pacs3/art_painting")) < NEAR
    assert NEAR < means["pacs3/cartoon"] < FAR < means["neu_surface_defects"] < BEYOND
    assert means["noise"] > BEYOND
    for nearer, farther in (
        ("flowers5", "pacs3/cartoon"),
        ("pacs3/cartoon", "neu_surface_defects"),
        ("neu_surface_defects", "noise"),
    ):
        assert found[nearer].high < found[farther].low  # type: ignore[operator]
    # What a user reads agrees with what the sets are.
    landmarks = get_info(lite).modality.landmarks
    for name, words in (
        ("hymenoptera", "near: "),
        ("pacs3/cartoon", "some way off: "),
        ("neu_surface_defects", "far: "),
        ("noise", "as far as noise: "),
    ):
        assert describe_profile(found[name], landmarks)[0].startswith(words)
    # Cartoons look different to the first layer, whatever they show; flowers show something else.
    assert "farthest at stage stem" in describe_profile(found["pacs3/cartoon"])[1]
    assert "last layers" in describe_profile(found["flowers5"])[-1]


def test_one_content_in_three_looks_is_in_order(shared: Path) -> None:
    weights = shared / "weights" / "mobilenet_v2_1.0_224_notop.weights.h5"
    model = build_model("mobilenet_v2", labels=["a", "b"], weights=weights)
    photo, painting, cartoon = (
        measure_gap(model, shared / "data" / "pacs3" / look, images=IMAGES)
        for look in ("photo", "art_painting", "cartoon")
    )
    assert photo.high < painting.low  # type: ignore[operator]
    assert painting.high < cartoon.low  # type: ignore[operator]


def test_halves_of_one_set_do_not_differ_and_two_looks_do(lite: Any, shared: Path) -> None:
    data = shared / "data" / "pacs3"
    photos = sorted((data / "photo").rglob("*.jpg"))[::4]
    halves = compare_sets(lite, photos[::2], photos[1::2], images=IMAGES)
    assert not halves.is_significant
    looks = compare_sets(lite, photos[::2], data / "art_painting", images=IMAGES)
    assert looks.p_value == 0.001
    assert looks.frechet > 1.5 * looks.frechet_chance
