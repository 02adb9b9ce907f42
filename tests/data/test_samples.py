from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.data.samples import SampleSplit
from tfxfer.errors import ImageError, UsageError
from tfxfer.images.augment import make_views
from tfxfer.images.decode import open_image, resize_image
from tfxfer.images.loading import load_images

Folders = Callable[..., Path]


@pytest.fixture
def split(folders: Folders, head: Any) -> SampleSplit:
    return load_images(folders(a=20, b=10), head=head, image_size=24).train


def count_readers() -> int:
    return sum(t.name.startswith("tfxfer-read") for t in threading.enumerate())


def test_views_come_in_the_order_asked_for(split: SampleSplit) -> None:
    pixels = split.read_views([5, 0, 5], views=(0, 2), level="light")
    assert pixels.shape == (3, 2, 24, 24, 3)
    for row, index in enumerate((5, 0, 5)):
        image = open_image(split.root / split.paths[index])
        assert np.array_equal(pixels[row, 0], resize_image(image, 24))
    assert np.array_equal(pixels[0], pixels[2])
    assert not np.array_equal(pixels[0], pixels[1])


def test_no_sample_is_no_error(split: SampleSplit) -> None:
    assert split.read_views([]).shape == (0, 1, 24, 24, 3)


@pytest.mark.parametrize("batch_size", [1, 8, 100])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_cover_the_order(split: SampleSplit, batch_size: int, workers: int) -> None:
    order = np.random.default_rng(0).permutation(len(split))
    batches = list(
        split.iter_views(
            batch_size=batch_size, views=(0, 1, 4), level="strong", order=order, workers=workers
        )
    )
    assert all(len(i) == len(p) == batch_size for i, p in batches[:-1])
    assert np.array_equal(np.concatenate([i for i, _ in batches]), order)
    pixels = np.concatenate([p for _, p in batches])
    assert np.array_equal(pixels, split.read_views(order, views=(0, 1, 4), level="strong"))


def test_each_sample_is_read_once_for_all_views(
    split: SampleSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def count(path: Path, **options: Any) -> Image.Image:
        opened.append(path)
        return open_image(path, **options)

    monkeypatch.setattr("tfxfer.images.modality.open_image", count)
    for _ in split.iter_views(views=(0, 1, 2, 3), level="light"):
        pass
    assert len(opened) == len(set(opened)) == len(split)


def test_what_is_not_wanted_of_a_sample_is_not_made(
    split: SampleSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(*args: Any, views: Any, **options: Any) -> Any:
        made.append(list(views))
        return make_views(*args, views=views, **options)

    monkeypatch.setattr("tfxfer.images.modality.make_views", count)
    wanted = np.random.default_rng(0).random((len(split), 3)) < 0.5
    order = np.arange(len(split))[::-1]
    views, everything = (0, 2, 5), split.read_views(order, views=(0, 2, 5), level="light")
    made.clear()
    batches = split.iter_views(views=views, level="light", order=order, wanted=wanted, workers=1)
    pixels = np.concatenate([p for _, p in batches])
    assert np.array_equal(pixels[wanted[order]], everything[wanted[order]])
    assert made == [
        [v for v, is_wanted in zip(views, wanted[i], strict=True) if is_wanted] for i in order
    ]


def test_few_batches_are_in_memory(split: SampleSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(
        "tfxfer.images.modality.open_image",
        lambda path, **options: (opened.append(path), open_image(path))[1],
    )
    batches = split.iter_views(batch_size=2)
    next(batches)
    batches.close()
    assert len(opened) <= 8 < len(split)


def test_threads_end_when_the_consumer_stops(split: SampleSplit) -> None:
    before = count_readers()
    for _ in split.iter_views(batch_size=2):
        assert count_readers() > before
        break
    assert count_readers() == before
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the loop is what is interrupted
        for _ in split.iter_views(batch_size=2):
            raise KeyboardInterrupt
    assert count_readers() == before


def test_a_file_that_vanished_is_named(split: SampleSplit) -> None:
    (split.root / split.paths[3]).unlink()
    with pytest.raises(ImageError, match=split.paths[3]):
        list(split.iter_views(batch_size=2))


def test_unknown_level(split: SampleSplit) -> None:
    with pytest.raises(UsageError, match="extreme"):
        next(split.iter_views(level="extreme"))
    with pytest.raises(UsageError, match="extreme"):
        split.dataset(augment="extreme")


def test_options_reach_the_modality(split: SampleSplit) -> None:
    by_default, told, other = (
        split.read_views([0], views=range(1, 9), level="light", options=options)
        for options in (None, {"flip": True}, {"flip": False})
    )
    assert np.array_equal(by_default, told)
    assert not np.array_equal(by_default, other)
    with pytest.raises(UsageError, match=r"expected options among: flip\. Received: spin"):
        next(split.iter_views(options={"spin": True}))


def test_a_split_says_what_a_model_takes(split: SampleSplit) -> None:
    assert [(name, spec.shape) for name, spec in split.inputs.items()] == [("pixels", (24, 24, 3))]
    assert split.paths == tuple(record.path for record in split.records)
    assert split.raw_labels == tuple(path.split("/")[0] for path in split.paths)


@pytest.fixture
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def test_dataset_is_plain_samples_and_targets(split: SampleSplit, tf: Any) -> None:
    dataset = split.dataset(batch_size=8)
    assert len(dataset) == 3
    pixels_spec, targets_spec = dataset.element_spec
    assert pixels_spec.shape.as_list() == [None, 24, 24, 3]
    assert (pixels_spec.dtype, targets_spec.dtype) == (tf.float32, tf.float32)
    for _ in range(2):
        batches = list(dataset.as_numpy_iterator())
        assert [len(pixels) for pixels, _ in batches] == [8, 8, len(split) - 16]
        pixels = np.concatenate([pixels for pixels, _ in batches])
        assert np.array_equal(pixels, split.read_views(range(len(split)))[:, 0].astype(np.float32))
        assert np.array_equal(np.concatenate([t for _, t in batches]), split.targets)


def test_each_epoch_has_its_own_order_and_views(split: SampleSplit, tf: Any) -> None:
    def read(dataset: Any) -> np.ndarray:
        return np.concatenate([pixels for pixels, _ in dataset.as_numpy_iterator()])

    dataset = split.dataset(shuffle=True)
    first, second = read(dataset), read(dataset)
    assert not np.array_equal(first, second)
    totals = [np.sort(epoch.sum(axis=(1, 2, 3))) for epoch in (first, second)]
    assert np.array_equal(*totals)
    again = split.dataset(shuffle=True)
    assert np.array_equal(read(again), first)
    assert np.array_equal(read(split.dataset(shuffle=True, first_epoch=1)), second)

    varied = split.dataset(augment="light")
    first, second = read(varied), read(varied)
    assert np.abs(first - second).mean() > 3
    assert np.array_equal(
        first, split.read_views(range(len(split)), views=(1,), level="light")[:, 0]
    )


def test_balance(split: SampleSplit, tf: Any) -> None:
    common, rare = split.targets.sum(axis=0)
    assert common > 1.5 * rare
    weighted = list(split.dataset(balance="weights").as_numpy_iterator())
    targets = np.concatenate([batch[1] for batch in weighted])
    weights = np.concatenate([batch[2] for batch in weighted])
    assert np.ptp(weights @ targets) < 1e-5
    drawn = np.concatenate(
        [t for _, t in split.dataset(balance="oversample").as_numpy_iterator()]
    ).sum(axis=0)
    assert abs(drawn[0] - drawn[1]) <= 1


def test_keras_fits_on_it(split: SampleSplit, tf: Any) -> None:
    import keras

    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    history = model.fit(
        split.dataset(shuffle=True, augment="strong"),
        validation_data=split.dataset(),
        epochs=3,
        shuffle=False,
        verbose=0,
    )
    assert len(history.history["val_loss"]) == 3


def test_importing_the_data_package_imports_no_tensorflow() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tfxfer, tfxfer.data as d; d.load_samples; d.split_records; tfxfer.load_images;"
        "print([m for m in ('tensorflow', 'keras', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names() -> None:
    import tfxfer.data

    assert sorted(set(tfxfer.data.__all__)) == sorted(tfxfer.data.__all__)
    assert set(tfxfer.data.__all__) <= set(dir(tfxfer.data))
    for name in tfxfer.data.__all__:
        assert getattr(tfxfer.data, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = tfxfer.data.nothing
