from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ModelError
from tfxfer.data.datasets import DatasetSource
from tfxfer.data.feed import SplitSource
from tfxfer.frontier import litert
from tfxfer.frontier.cut import stage_shape
from tfxfer.frontier.fill import Conversion, fill_frontiers
from tfxfer.frontier.litert import KerasRunner
from tfxfer.frontier.store import CacheStore
from tfxfer.stages import stage_tensor

STAGES = ["backbone", "block_1", None, "block_3"]


class Pixels:
    """A source of given pixels, two images a batch, each view one brighter."""

    can_seek, sample_weights, input_shapes, itemsizes = False, None, ((32, 32, 3),), (4,)

    def __init__(self, *means: float) -> None:
        self.means = np.array(means)
        self.targets = np.eye(3, dtype=np.float32)[np.arange(len(means)) % 3]

    def __len__(self) -> int:
        return len(self.means)

    def iter_views(self, views: Sequence[int], *, wanted: Any = None) -> Iterator[Any]:
        for start in range(0, len(self), 2):
            indices = np.arange(len(self))[start : start + 2]
            numbers = np.asarray(views)
            pixels = np.ones((len(indices), len(numbers), 32, 32, 3), np.float32)
            values = self.means[indices][:, None] + numbers
            yield indices, numbers, pixels * values[..., None, None, None]


def expected_at(model: Any, stage: str, pixels: np.ndarray) -> np.ndarray:
    import keras

    prefix = keras.Model(model.inputs[0], stage_tensor(model, stage))
    return np.asarray(prefix(pixels.astype(np.float32), training=False))


def test_a_later_pass_takes_what_an_earlier_one_converted(
    make_tiny: Callable[..., Any], conversions: list[int]
) -> None:
    model, source, conversion = make_tiny(), Pixels(10, 200), Conversion()

    def fill(*stages: str) -> dict[str | None, np.ndarray]:
        return fill_frontiers(
            model, {"x": (source, 1)}, stages, CacheStore(), conversion=conversion
        )["x"]

    first = fill("backbone", "block_1")
    for later in (fill("block_1"), fill("block_1", "backbone")):
        for stage, values in later.items():
            np.testing.assert_array_equal(values, first[stage])
    assert conversions == [2]
    before = fill("block_3")["block_3"][:, 0]
    assert conversions == [2, 1]
    # What has been trained since is noticed: the file is no longer the model's.
    kernel = model.get_layer("block_1_conv").kernel
    kernel.assign(2 * np.asarray(kernel))
    late = fill("block_3")["block_3"][:, 0]
    ((_, _, pixels),) = source.iter_views([0])
    expected = expected_at(model, "block_3", pixels[:, 0])
    np.testing.assert_allclose(late, expected, rtol=2e-3)
    assert np.abs(before - expected).max() > 1e-2 * np.abs(expected).max()


def test_the_network_gets_whole_batches_whatever_is_wanted(
    make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, real = [], KerasRunner.__call__

    def call(runner: KerasRunner, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        (pixels,) = inputs
        sizes.append(len(pixels))
        return real(runner, inputs)

    monkeypatch.setattr(KerasRunner, "__call__", call)
    source = Pixels(*np.linspace(0, 200, 30))
    wanted = np.random.default_rng(0).random((30, 3)) < 0.8
    model, store, options = make_tiny(), CacheStore(), {"use_litert": False}
    sources = {"x": (source, 3)}
    found = fill_frontiers(model, sources, ["block_1"], store, wanted={"x": wanted}, **options)
    assert len(sizes) == 3
    assert sizes[:-1] == [32, 32]
    assert sum(sizes) == wanted.sum()
    whole = fill_frontiers(model, sources, ["block_1"], store, **options)
    np.testing.assert_array_equal(found["x"]["block_1"][wanted], whole["x"]["block_1"][wanted])


def test_what_litert_cannot_take_is_tried_once(
    make_tiny: Callable[..., Any],
    conversions: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    differs = "tfxfer.frontier.litert._matches_keras"
    monkeypatch.setattr(differs, lambda pool, model, shapes: False)
    model, conversion = make_tiny(), Conversion()
    for stage in ("block_3", "block_1"):
        source = {"x": (Pixels(10, 200), 1)}
        found = fill_frontiers(model, source, [stage], CacheStore(), conversion=conversion)["x"]
        ((_, _, pixels),) = Pixels(10, 200).iter_views([0])
        expected = expected_at(model, stage, pixels[:, 0])
        np.testing.assert_allclose(found[stage][:, 0], expected, rtol=2e-3)
    assert conversions == [1]
    # TensorFlow, too, has something to say about how many models one process compiles.
    assert [x.name for x in caplog.records if x.name.startswith("tfxfer")] == [litert.__name__]


def test_a_second_pass_completes_the_first(make_tiny: Callable[..., Any], images: Any) -> None:
    model, source = make_tiny(), SplitSource(images.train, augment="light")
    room = {"backbone": 1, "block_1": 3}
    # In which pass each view of each image is computed; those of the third never are.
    passes = np.random.default_rng(0).integers(1, 3, (len(source), 3))
    passes[:, 0] = 0
    passes[:4] = 2
    whole = fill_frontiers(model, {"x": (source, 3)}, ["block_1"], CacheStore(), use_litert=False)
    arrays: dict[str, dict[str | None, np.ndarray]] = {}
    store, told = CacheStore(), list[tuple[int, int]]()

    def fill(stages: Sequence[str], number: int) -> None:
        fill_frontiers(
            model,
            {"x": (source, room)},
            stages,
            store,
            wanted={"x": passes == number},
            into=arrays,
            use_litert=False,
            progress=lambda _, done, total: told.append((done, total)),
        )

    fill(list(room), 0)
    assert told[-1] == (20, 20)
    assert arrays["x"]["backbone"].shape[1] == 1
    first, expected = np.array(arrays["x"]["block_1"]), whole["x"]["block_1"]
    np.testing.assert_array_equal(first[passes == 0], expected[passes == 0])
    assert not np.array_equal(first[passes == 1], expected[passes == 1])
    fill(["block_1"], 1)
    assert told[-1] == ((passes == 1).sum(),) * 2
    found = arrays["x"]["block_1"]
    np.testing.assert_array_equal(found[passes < 2], expected[passes < 2])
    np.testing.assert_array_equal(found[passes == 2], first[passes == 2])


@pytest.mark.parametrize("use_litert", [True, False])
def test_one_pass_caches_every_stage_of_every_view(
    make_tiny: Callable[..., Any], images: Any, use_litert: bool
) -> None:
    model, progress = make_tiny(), []
    source = SplitSource(images.train, augment="light")
    val = SplitSource(images.val)
    arrays = fill_frontiers(
        model,
        {"train": (source, 2), "val": (val, 1)},
        STAGES,
        CacheStore(),
        dtype="float32",
        use_litert=use_litert,
        progress=lambda what, done, total: progress.append((done, total)),
    )
    assert progress[-1] == (60, 60)
    assert arrays["train"][None].dtype == np.uint8
    for stage in STAGES:
        assert arrays["train"][stage].shape == (24, 2, *stage_shape(model, stage))
        assert arrays["val"][stage].shape == (12, 1, *stage_shape(model, stage))
    pixels = source.read(np.arange(24), np.ones(24, int))
    assert np.array_equal(arrays["train"][None][:, 1], pixels)
    for stage in ("block_1", "block_3", "backbone"):
        expected = expected_at(model, stage, pixels)
        assert np.abs(arrays["train"][stage][:, 1] - expected).max() < 1e-4
        # View 0, and the images in another order, fail the same check.
        assert np.abs(arrays["train"][stage][:, 0] - expected).max() > 1e-3
        assert np.abs(arrays["train"][stage][::-1, 1] - expected).max() > 1e-3


def test_what_overflows_float16_is_kept_in_float32(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    # Dark images fit, bright ones do not: found only at the second batch.
    norm = model.get_layer("block_3_bn")
    model.get_layer("block_3_relu").max_value = None
    norm.gamma.assign(norm.gamma * 2e6)
    source = Pixels(127, 127.5, 0, 255)
    norm.beta.assign(-expected_at(model, "block_3", np.full((1, 32, 32, 3), 127.5)).max((0, 1, 2)))
    cached = fill_frontiers(model, {"x": (source, 1)}, ["block_3"], CacheStore(), use_litert=False)[
        "x"
    ]["block_3"]
    pixels = next(iter(source.iter_views(range(1))))[2][:, 0]
    assert np.abs(expected_at(model, "block_3", pixels)).max() < 2**15
    assert cached.max() > 2**16
    assert cached.dtype == np.float32
    bright = np.full((1, 32, 32, 3), 255.0)
    np.testing.assert_allclose(cached[3], expected_at(model, "block_3", bright), rtol=1e-4)
    tame = fill_frontiers(
        make_tiny(), {"x": (source, 1)}, ["block_3"], CacheStore(), use_litert=False
    )
    assert tame["x"]["block_3"].dtype == np.float16


@pytest.mark.parametrize("use_litert", [True, False])
def test_broken_weights_are_found_at_once(
    make_tiny: Callable[..., Any], use_litert: bool, tmp_path: Path
) -> None:
    model = make_tiny()
    kernel = model.get_layer("stem_conv").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with (
        pytest.raises(ModelError, match=r"'block_1': expected finite.*weights whole"),
        CacheStore(tmp_path, memory_bytes=0) as store,
    ):
        fill_frontiers(model, {"x": (Pixels(1, 2), 1)}, ["block_1"], store, use_litert=use_litert)
    assert not list(tmp_path.iterdir())


def test_a_dataset_s_pixels_are_kept_as_they_come(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    shifted = pair()[1].map(lambda x, y: (x + 0.25, y))
    source = DatasetSource(shifted, inputs={"pixels": (32, 32, 3)})
    cached = fill_frontiers(make_tiny(), {"x": (source, 1)}, [None], CacheStore())["x"][None]
    assert cached.dtype == np.float32
    assert float(cached.max() % 1) == 0.25
