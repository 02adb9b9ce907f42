from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ModelError, Phase, Stage, StorageError, fit
from tfxfer.data.feed import DatasetSource, SplitSource
from tfxfer.frontier.cut import cache_bytes, make_suffix, stage_shape
from tfxfer.frontier.fill import Conversion, fill_frontiers
from tfxfer.frontier.litert import KerasRunner
from tfxfer.frontier.store import CacheStore
from tfxfer.stages import stage_tensor

pytestmark = pytest.mark.versions

STAGES = ["backbone", "block_1", None, "block_3"]


class Pixels:
    """A source of given pixels, two images a batch, each view one brighter."""

    can_seek, sample_weights, image_shape = False, None, (32, 32, 3)

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

    def call(runner: KerasRunner, inputs: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(inputs))
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
    monkeypatch.setattr("tfxfer.frontier.litert._agrees", lambda pool, model: False)
    model, conversion = make_tiny(), Conversion()
    for stage in ("block_3", "block_1"):
        source = {"x": (Pixels(10, 200), 1)}
        found = fill_frontiers(model, source, [stage], CacheStore(), conversion=conversion)["x"]
        ((_, _, pixels),) = Pixels(10, 200).iter_views([0])
        expected = expected_at(model, stage, pixels[:, 0])
        np.testing.assert_allclose(found[stage][:, 0], expected, rtol=2e-3)
    assert conversions == [1]
    # TensorFlow may have something to say of its own.
    said = [record for record in caplog.records if record.name == "tfxfer.frontier.litert"]
    assert len(said) == 1


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


def test_the_suffix_goes_on_where_the_prefix_ends(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    model, pixels = make_tiny(), blobs(4, 3, seed=0)[0].astype(np.float32)
    assert make_suffix(model, None) is model
    for stage in ("stem", "block_1", "block_2", "block_3", "backbone"):
        suffix = make_suffix(model, stage)
        assert suffix.get_layer("head_dense") is model.get_layer("head_dense")
        scores = suffix(expected_at(model, stage, pixels))
        np.testing.assert_allclose(scores, model(pixels), atol=1e-6)
        assert "stem_conv" not in {layer.name for layer in suffix.layers}


def test_a_stage_that_another_tensor_crosses_is_refused(
    tiny_backbone: Any, make_tiny: Callable[..., Any]
) -> None:
    crossed = type("Crossed", (tiny_backbone,), {"stages": (Stage("inside", "block_2_relu"),)})
    model = make_tiny(backbone=crossed())
    with pytest.raises(ModelError, match=r"stage 'inside'.*only tensor.*after the addition"):
        make_suffix(model, "inside")


def test_bytes_are_what_the_arrays_take(make_tiny: Callable[..., Any], images: Any) -> None:
    model, store = make_tiny(), CacheStore()
    arrays = fill_frontiers(model, {"x": (SplitSource(images.val), 2)}, STAGES, store)["x"]
    assert arrays["block_1"].dtype == np.float16
    taken = sum(array.nbytes for array in arrays.values())
    assert cache_bytes(model, STAGES, images=12, views=2) == taken
    pixels = 12 * 2 * 32 * 32 * 3
    assert cache_bytes(model, [None], images=12, views=2, pixel_itemsize=4) == 4 * pixels


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


def test_a_cache_goes_to_memory_then_to_disk_then_nowhere(tmp_path: Path) -> None:
    with CacheStore(tmp_path / "new" / "folder", memory_bytes=100, disk_bytes=1000) as store:
        assert store.place(100) == "memory"
        assert store.place(101) == "disk"
        assert store.place(1001) == "nowhere"
        small = store.allocate((25,), np.float32)
        assert not isinstance(small, np.memmap)
        large = store.allocate((5, 50), np.float16)
        again = store.allocate((125,), np.float32)
        assert isinstance(large, np.memmap)
        large[...], again[...] = 1, 2
        assert large.sum() == 250
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.bin")) == 1000
        with pytest.raises(StorageError, match="--no-cache"):
            store.allocate((1,), np.float32)
    assert not list((tmp_path / "new" / "folder").iterdir())
    assert store.place(100) == "memory"


def test_limits_come_from_the_machine(tmp_path: Path) -> None:
    store = CacheStore(tmp_path / "not" / "there")
    assert 0 < store.memory_limit() <= 2**30
    assert store.disk_limit() > 0
    assert store.parent == tmp_path / "not" / "there"
    assert CacheStore().parent == Path(tempfile.gettempdir())


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", fail)


def test_a_full_disk_is_said_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    with (
        pytest.raises(StorageError, match=r"No space left.*--cache-dir"),
        CacheStore(tmp_path, memory_bytes=0) as store,
    ):
        store.allocate((10,), np.float32)
    assert not list(tmp_path.iterdir())


def test_a_system_that_cannot_reserve_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    with CacheStore(tmp_path, memory_bytes=0) as store:
        array = store.allocate((2**20 + 3,), np.uint8)
        array[-1] = 7
        (file,) = tmp_path.rglob("*.bin")
        assert file.stat().st_size == 2**20 + 3


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = CacheStore(tmp_path / "file" / "cache", memory_bytes=0, disk_bytes=100)
    with pytest.raises(StorageError, match="--cache-dir"):
        store.allocate((10,), np.uint8)


@pytest.mark.parametrize("failure", [None, "callback", "disk"])
def test_a_training_leaves_no_files(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: str | None,
) -> None:
    import keras

    from tfxfer.frontier import fill as frontier

    seen = []

    def look(epoch: int, logs: Any) -> None:
        seen.append(len(list(tmp_path.rglob("*.bin"))))
        if failure == "callback":
            raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(frontier, "_MEMORY_CAP_BYTES", 0)
    if failure == "disk":
        fill_disk(monkeypatch)

    def train() -> None:
        callback = keras.callbacks.LambdaCallback(on_epoch_begin=look)
        phase = Phase("head", "backbone", 1, 1e-3)
        fit(make_tiny(), pair(), schedule=[phase], callbacks=[callback], verbose=0)

    if failure is None:
        train()
    else:
        with pytest.raises(StorageError if failure == "disk" else KeyboardInterrupt):
            train()
    assert seen == ([] if failure == "disk" else [2])
    assert not list(tmp_path.rglob("*.bin"))


def test_a_dataset_s_pixels_are_kept_as_they_come(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    source = DatasetSource(pair()[1].map(lambda x, y: (x + 0.25, y)))
    cached = fill_frontiers(make_tiny(), {"x": (source, 1)}, [None], CacheStore())["x"][None]
    assert cached.dtype == np.float32
    assert float(cached.max() % 1) == 0.25


def test_files_of_the_cache_itself_do_not_shrink_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    free = [1000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 0, free[0]))
    with CacheStore(tmp_path, memory_bytes=0) as store:
        assert store.place(500) == "disk"
        store.allocate((400,), "uint8")
        free[0] -= 400
        assert store.place(100) == "disk"
        assert store.place(101) == "nowhere"
