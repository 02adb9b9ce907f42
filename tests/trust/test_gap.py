from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer import DataError, ModelError, Stage, UsageError, compare_sets, measure_gap
from tfxfer.stages import attach_info, get_info
from tfxfer.trust.gap import profile_moments
from tfxfer.trust.moments import collect_moments, explain_missing
from tfxfer.weights import ResolvedWeights

Blobs = Callable[..., tuple[Any, Any]]


def settle(model: Any, pixels: np.ndarray) -> Any:
    """Gives every BatchNormalization the statistics that these images have there, and a source."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            values = np.asarray(keras.Model(model.inputs[0], layer.input)(pixels, training=False))
            positions = tuple(range(values.ndim - 1))
            layer.moving_mean.assign(values.mean(positions))
            layer.moving_variance.assign(values.var(positions))
    attach_info(model, replace(get_info(model), weights=ResolvedWeights("known")))
    return model


@pytest.fixture(scope="module")
def known(blobs: Blobs) -> np.ndarray:
    return blobs(400, 3, seed=0)[0].astype(np.float32)


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any], known: np.ndarray) -> Any:
    return settle(make_tiny(), known)


@pytest.fixture(scope="module")
def stranger(make_tiny: Callable[..., Any]) -> Any:
    """A network that knows noise alone, to which every photo is far."""
    rng = np.random.default_rng(0)
    return settle(make_tiny(), rng.integers(0, 256, (64, 32, 32, 3)).astype(np.float32))


@pytest.fixture(scope="module")
def sets(blobs: Blobs) -> dict[str, np.ndarray]:
    """Sets of 64 images that go away from the known ones, the nearest first."""
    pixels = blobs(64, 3, seed=1)[0].astype(np.float32)
    rng = np.random.default_rng(0)
    return {
        "of one kind": pixels,
        "dimmed": pixels * 0.8,
        "dark": pixels * 0.5,
        "noise": rng.integers(0, 256, pixels.shape).astype(np.float32),
    }


def test_moments_are_those_of_the_maps(model: Any, sets: dict[str, np.ndarray]) -> None:
    pixels = sets["dark"][:21]  # more than a batch
    found = collect_moments(model, [pixels[:20], pixels[20:]])
    names = [layer.name for layer in found.layers]
    assert names == ["stem_bn", "block_1_bn", "block_2_bn", "block_3_bn"]
    assert [x.stage for x in found.layers] == ["stem", "block_1", "block_2", "block_3"]
    for layer in found.layers:
        inner = model.get_layer(layer.name)
        maps = np.asarray(keras.Model(model.inputs[0], inner.input)(pixels, training=False))
        mean, variance = layer.pool()
        np.testing.assert_allclose(mean[0], maps.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance[0], maps.var((0, 1, 2)), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(layer.moving_variance, np.asarray(inner.moving_variance))
        # The control: what comes out of the layer has other moments.
        out = np.asarray(keras.Model(model.inputs[0], inner.output)(pixels, training=False))
        assert np.abs(mean[0] - out.mean((0, 1, 2))).max() > 0.01
    pooled = keras.Model(model.inputs[0], model.get_layer("pool").output)(pixels, training=False)
    np.testing.assert_allclose(found.features, np.asarray(pooled), rtol=1e-4, atol=1e-5)


def test_channels_may_be_any_axis_and_positions_none(model: Any) -> None:
    inputs = keras.Input((5, 6, 3), name="pixels")
    x = keras.layers.BatchNormalization(axis=1, name="rows")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.BatchNormalization(name="vector")(x)
    x = keras.layers.Identity(name="pool")(x)
    other = keras.Model(inputs, keras.layers.Dense(2)(x))
    attach_info(other, replace(get_info(model), stages=(Stage("backbone", "pool"),), size=5))
    rng = np.random.default_rng(0)
    pixels = rng.normal(1, 2, (18, 5, 6, 3)).astype(np.float32)
    rows, vector = collect_moments(other, [pixels]).layers
    np.testing.assert_allclose(rows.pool()[0][0], pixels.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows.pool()[1][0], pixels.var((0, 2, 3)), rtol=1e-4)
    scaled = pixels / np.sqrt(1 + other.get_layer("rows").epsilon)
    np.testing.assert_allclose(vector.pool()[1][0], scaled.mean((1, 2)).var(0), rtol=1e-4)
    assert (vector.variances == 0).all()


def test_the_gap_grows_with_the_distance_from_what_is_known(
    model: Any, sets: dict[str, np.ndarray]
) -> None:
    found = {name: measure_gap(model, pixels) for name, pixels in sets.items()}
    means = [profile.mean for profile in found.values()]
    assert means == sorted(means)  # type: ignore[type-var]
    assert found["of one kind"].mean < 0.01  # type: ignore[operator]
    for nearer, farther in zip(list(found.values())[:-1], list(found.values())[1:], strict=True):
        assert nearer.high < farther.low  # type: ignore[operator]
    profile = found["dark"]
    assert [x.name for x in profile.stages] == ["stem", "block_1", "block_2", "block_3"]
    assert [x.depth for x in profile.stages] == [0.2, 0.4, 0.6, 0.8]
    assert (profile.backbone, profile.weights, profile.size) == ("tiny", "known", 32)
    assert (profile.images, profile.reason) == (64, "")


def test_the_gap_is_that_of_the_statistics(stranger: Any, sets: dict[str, np.ndarray]) -> None:
    """The control: to a network that knows noise, noise is near and blobs are far."""
    noise, blobs = (measure_gap(stranger, sets[name]).mean for name in ("noise", "of one kind"))
    assert noise < 0.01 < 0.2 < blobs  # type: ignore[operator]


def test_halves_of_one_set_do_not_differ_and_other_sets_do(
    model: Any, sets: dict[str, np.ndarray]
) -> None:
    pixels = sets["of one kind"]
    same = compare_sets(model, pixels[::2], pixels[1::2])
    assert not same.is_significant
    assert (same.images_a, same.images_b, same.backbone) == (32, 32, "tiny")
    other = compare_sets(model, pixels, sets["dimmed"])
    assert other.p_value == 0.001
    assert other.frechet > 2 * other.frechet_chance


def test_every_kind_of_data_gives_the_same_gap(stranger: Any, images: Any) -> None:
    split = images.test
    pixels = split.read_views(range(len(split)))[:, 0]
    expected = measure_gap(stranger, pixels)
    folder = split.root / "test"
    assert expected.mean > 0.1  # type: ignore[operator]
    for data in (folder, str(folder), sorted(folder.rglob("*.png")), split, split.dataset()):
        found = measure_gap(stranger, data)
        assert found.images == expected.images == 12
        assert found.mean == pytest.approx(expected.mean, rel=1e-4)
    assert measure_gap(stranger, images).images == 48
    named = {"pixels": pixels}
    assert measure_gap(stranger, named).mean == pytest.approx(expected.mean, rel=1e-4)


def test_some_are_drawn_where_there_are_more(stranger: Any, images: Any) -> None:
    folder, told = images.train.root / "train", []
    once, again, other = (
        measure_gap(stranger, folder, images=10, seed=seed, progress=lambda *x: told.append(x))
        for seed in (0, 0, 1)
    )
    assert once == again
    assert once.images == other.images == 10
    assert once.mean != other.mean
    assert ("measuring images", 10, 10) in told
    assert measure_gap(stranger, images.train.dataset(batch_size=8), images=10).images == 10


def test_what_cannot_be_read_is_left_out(stranger: Any, images: Any, tmp_path: Path) -> None:
    for path in sorted((images.test.root / "test").rglob("*.png")):
        (tmp_path / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    whole = measure_gap(stranger, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert measure_gap(stranger, tmp_path).mean == whole.mean
    only = tmp_path / "only"
    only.mkdir()
    (only / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"some that can be read. Received: .*broken.png"):
        measure_gap(stranger, only)


def test_values_beyond_8_bits_are_read_as_the_set_asks(stranger: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 200, (6, 32, 32))
    for depth, kind, factor in (("8", np.uint8, 1), ("12", np.uint16, 16)):
        (tmp_path / depth).mkdir()
        for number, grey in enumerate(values):
            Image.fromarray((grey * factor).astype(kind)).save(tmp_path / depth / f"{number}.png")
    plain, deep = (measure_gap(stranger, tmp_path / depth) for depth in ("8", "12"))
    assert deep.mean == pytest.approx(plain.mean, rel=0.1)


def test_a_network_without_memory_says_why(make_tiny: Callable[..., Any], images: Any) -> None:
    random = make_tiny()
    found = measure_gap(random, images.test)
    assert found.stages == ()
    assert found.mean is None
    assert "weights of tiny are random" in found.reason
    inputs = keras.Input((32, 32, 3), name="pixels")
    x = keras.layers.LayerNormalization()(keras.layers.Conv2D(4, 3, strides=4)(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    other = keras.Model(inputs, keras.layers.Dense(3)(x))
    weights = ResolvedWeights("known")
    info = replace(get_info(random), stages=(Stage("backbone", "pool"),), weights=weights)
    attach_info(other, info)
    found = measure_gap(other, images.test)
    assert "tiny has no BatchNormalization" in found.reason
    # What is compared with each other needs none.
    assert compare_sets(other, images.train, images.test).p_value > 0.05
    fresh = make_tiny()
    for layer in fresh.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
            layer.moving_variance.assign(np.ones(layer.moving_mean.shape))
    attach_info(fresh, replace(get_info(fresh), weights=weights))
    assert "random" in explain_missing(fresh)


def test_what_cannot_be_meant_is_told(
    model: Any, make_tiny: Callable[..., Any], sets: dict[str, np.ndarray]
) -> None:
    pixels = sets["dark"]
    with pytest.raises(DataError, match="at least two samples"):
        measure_gap(model, pixels[:1])
    with pytest.raises(DataError, match="at least one image"):
        measure_gap(model, pixels[:0])
    with pytest.raises(DataError, match="expected pixels of shape"):
        measure_gap(model, pixels[:, :16])
    with pytest.raises(UsageError, match="images=1"):
        measure_gap(model, pixels, images=1)
    with pytest.raises(UsageError, match="at most 1,024 images"):
        measure_gap(model, pixels, images=1025)
    with pytest.raises(UsageError, match="seed=-1"):
        compare_sets(model, pixels, pixels, seed=-1)
    with pytest.raises(DataError, match="at least two rows"):
        compare_sets(model, pixels[:1], pixels)
    with pytest.raises(ModelError, match=r"keras\.Model"):
        measure_gap(None, pixels)  # type: ignore[arg-type]
    broken = settle(make_tiny(), pixels)
    layer = broken.get_layer("block_1_conv")
    layer.set_weights([np.full_like(layer.get_weights()[0], np.nan)])
    with pytest.raises(ModelError, match="finite activations"):
        measure_gap(broken, pixels)


def test_a_layer_that_another_graph_calls_counts_once(model: Any, known: np.ndarray) -> None:
    before = collect_moments(model, [known[:8]])
    model.get_layer("block_1_bn")(keras.Input((8, 8, 6)))
    after = collect_moments(model, [known[:8]])
    assert [x.name for x in after.layers] == [x.name for x in before.layers]
    found = profile_moments(model, after)
    assert found == profile_moments(model, before)
