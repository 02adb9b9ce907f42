from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError, ModelError, ScheduleError, embed
from tfxfer.frontier.litert import InterpreterPool, KerasRunner
from tfxfer.inference import embedding
from tfxfer.stages import stage_tensor


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


def compute(model: Any, pixels: np.ndarray, stage: str = "backbone") -> np.ndarray:
    """Returns what Keras makes of pixels, without any of ours."""
    import keras

    end = stage_tensor(model, stage)
    found = np.asarray(keras.Model(model.inputs[0], end)(pixels.astype(np.float32), training=False))
    return found.mean(axis=(1, 2)) if found.ndim == 4 else found


def pixels_of(split: Any) -> np.ndarray:
    return split.read_views(range(len(split)))[:, 0]


@pytest.mark.parametrize("use_litert", [False, True])
def test_features_are_those_of_keras(model: Any, images: Any, use_litert: bool) -> None:
    expected = compute(model, pixels_of(images.test))
    found = embed(model, images.test, use_litert=use_litert)
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (12, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Another stage, and another image, fail the same check.
    earlier = embed(model, images.test, stage="block_3", use_litert=use_litert)
    np.testing.assert_allclose(earlier, expected, rtol=1e-4, atol=1e-5)  # the pool's own mean
    other = embed(model, images.test, stage="block_2", use_litert=use_litert)
    assert other.shape == (12, 6)
    assert np.abs(found - np.roll(expected, 1, axis=0)).max() > 0.01
    np.testing.assert_allclose(
        other, compute(model, pixels_of(images.test), "block_2"), rtol=1e-4, atol=1e-5
    )
    assert np.abs(other - embed(model, images.test, stage="block_1")).max() > 0.01


def test_every_kind_of_data_gives_the_same_features(model: Any, images: Any) -> None:
    split = images.test
    expected, paths = embed(model, split, return_paths=True)
    assert paths == tuple(str(split.root / path) for path in split.paths)
    for data in (split.root / "test", str(split.root / "test"), pixels_of(split), split.dataset()):
        np.testing.assert_allclose(embed(model, data), expected, rtol=1e-5, atol=1e-6)
    assert embed(model, split.root / "test", return_paths=True)[1] == paths
    assert embed(model, pixels_of(split), return_paths=True)[1] == ()
    np.testing.assert_allclose(embed(model, images)[-12:], expected, rtol=1e-5, atol=1e-6)


def test_a_fraction_names_a_stage(model: Any, images: Any) -> None:
    assert np.array_equal(
        embed(model, images.test, stage=0.5), embed(model, images.test, stage="block_1")
    )


def test_litert_is_taken_where_it_pays(
    model: Any, images: Any, monkeypatch: pytest.MonkeyPatch, conversions: list[int]
) -> None:
    used = []
    for kind in (InterpreterPool, KerasRunner):
        usual = kind.__call__
        monkeypatch.setattr(
            kind,
            "__call__",
            lambda self, x, usual=usual: used.append(type(self).__name__) or usual(self, x),
        )
    embed(model, images.test)
    assert (used, conversions) == (["KerasRunner"], [])
    monkeypatch.setattr(embedding, "_WORTH_CONVERTING", 12)
    seen = []
    embed(model, images.test, progress=lambda *told: seen.append(told))
    assert (set(used[1:]), conversions) == ({"InterpreterPool"}, [1])
    assert seen == [("embedding images", 12, 12)]


def test_what_cannot_be_embedded_is_told(model: Any, images: Any, tmp_path: Path) -> None:
    import keras

    with pytest.raises(ScheduleError, match=r"'blok_1'. Did you mean 'block_1'"):
        embed(model, images.test, stage="blok_1")
    with pytest.raises(ScheduleError, match=r"reaches the first one. Received: stage=0.0"):
        embed(model, images.test, stage=0.0)
    with pytest.raises(DataError, match="at least one image"):
        embed(model, [])
    with pytest.raises(DataError, match="expected images"):
        embed(model, tmp_path)
    with pytest.raises(ModelError, match="attach_info"):
        embed(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]), images.test)
    with pytest.raises(ModelError, match=r"expected a keras.Model"):
        embed(None, images.test)  # type: ignore[call-overload]


def test_weights_that_are_not_finite_are_told(make_tiny: Callable[..., Any], images: Any) -> None:
    model = make_tiny()
    layer = model.get_layer("block_1_conv")
    layer.set_weights([np.full_like(layer.get_weights()[0], np.nan)])
    with pytest.raises(ModelError, match="finite features"):
        embed(model, images.test)


def test_several_stages_are_one_pass(model: Any, images: Any) -> None:
    stages = ["backbone", "block_1"]
    found, names = embedding.embed_stages(model, images.test, stages)
    assert sorted(found) == sorted(stages)
    assert len(names) == len(images.test)
    for stage in stages:
        np.testing.assert_allclose(
            found[stage], embed(model, images.test, stage=stage), rtol=1e-4, atol=1e-5
        )
    assert found["backbone"].shape != found["block_1"].shape
