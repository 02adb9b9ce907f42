from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer import DataError
from tfxfer.data.datasets import DatasetSource
from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SplitSource
from tfxfer.training.batches import make_batches

NAMES = [f"{number}.png" for number in range(24)]


def make_dataset(*columns: Any, batch: int | None = 4) -> Any:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(columns)
    return dataset if batch is None else dataset.batch(batch)


def make_source(dataset: Any, side_px: int = 32, **options: Any) -> DatasetSource:
    return DatasetSource(dataset, inputs={"pixels": (side_px, side_px, 3)}, **options)


@pytest.fixture
def arrays(blobs: Callable[..., Any]) -> Any:
    pixels, targets = blobs(10, 3, seed=0)
    return pixels.astype(np.float32), targets


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**40), st.integers(0, 50))
@settings(max_examples=50)
def test_an_epoch_is_every_image_once_in_one_of_its_views(
    images: int, views: int, seed: int, epoch: int
) -> None:
    draw = EpochDraw(images, views, 8, seed)
    order, numbers = draw.epoch(epoch)
    assert sorted(order) == list(range(images))
    assert set(numbers) <= set(range(views))
    assert draw.steps == -(-images // 8)


def test_the_draw_follows_from_the_seed_and_the_epoch() -> None:
    digest = EpochDraw(24, 4, 8, seed=1).digest(NAMES, 3)
    assert EpochDraw(24, 4, 8, seed=1).digest(NAMES, 3) == digest
    for other in (EpochDraw(24, 4, 8, seed=2), EpochDraw(24, 3, 8, seed=1)):
        assert other.digest(NAMES, 3) != digest
    assert EpochDraw(24, 4, 8, seed=1).digest(NAMES, 2) != digest
    first, second = (EpochDraw(24, 4, 8, seed=1).epoch(number)[0] for number in (0, 1))
    assert first.tolist() != second.tolist()


def test_validation_keeps_its_order() -> None:
    order, views = EpochDraw(5, 4, 2, seed=1, shuffle=False).epoch(3)
    assert order.tolist() == [0, 1, 2, 3, 4]
    assert not views.any()


def test_oversampling_shows_classes_equally_often() -> None:
    targets = np.eye(2, dtype=np.float32)[[0] * 20 + [1] * 4]
    order, _ = EpochDraw(24, 1, 8, 0, oversampled=targets).epoch(0)
    assert targets[order].sum(axis=0).tolist() == [12, 12]
    order, _ = EpochDraw(24, 1, 8, 0).epoch(0)
    assert targets[order].sum(axis=0).tolist() == [20, 4]


def test_batches_follow_the_draw_of_the_epoch_they_are_told() -> None:
    draw, targets = EpochDraw(10, 3, 4, seed=1), np.arange(10.0)[:, None]
    batches = make_batches(
        lambda indices, views: np.stack([indices, views], axis=1),
        draw,
        targets,
        sample_weights=np.arange(10.0) / 10,
        first_epoch=2,
    )
    for epoch in (2, 0, 7):
        batches.start_epoch(epoch)
        assert len(batches) == 3
        parts = [batches[number] for number in range(3)]
        assert [len(part[0]) for part in parts] == [4, 4, 2]
        order, views = draw.epoch(epoch)
        inputs, outputs, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        assert inputs.tolist() == np.stack([order, views], axis=1).tolist()
        assert outputs[:, 0].tolist() == order.tolist()
        np.testing.assert_allclose(weights, order / 10)
    assert len(make_batches(lambda i, v: i, draw, targets)[0]) == 2


def test_a_split_is_read_image_by_image_as_in_one_pass(images: Any) -> None:
    source = SplitSource(images.train, augment="light")
    assert len(source) == 24
    assert source.input_shapes == ((32, 32, 3),)
    whole = np.empty((24, 3, 32, 32, 3), np.float32)
    for indices, views, pixels in source.iter_views(range(3)):
        whole[np.ix_(indices, views)] = pixels
    indices, views = np.array([5, 0, 23, 5]), np.array([1, 0, 2, 2])
    read = source.read(indices, views)
    assert read.dtype == np.float32
    assert np.array_equal(read, whole[indices, views])
    assert not np.array_equal(read, whole[indices, views[::-1]])


def test_a_split_decodes_only_images_that_are_wanted(images: Any) -> None:
    source = SplitSource(images.train, augment="light")
    everything = np.concatenate([x for _, _, x in source.iter_views(range(3))])
    wanted = np.zeros((24, 3), bool)
    wanted[[3, 20], [1, 2]] = True
    ((indices, views, pixels),) = source.iter_views(range(3), wanted=wanted)
    assert (indices.tolist(), views.tolist()) == ([3, 20], [0, 1, 2])
    assert np.array_equal(pixels[[0, 1], [1, 2]], everything[[3, 20], [1, 2]])


def test_epochs_use_the_views_that_they_draw() -> None:
    draw = EpochDraw(50, 8, 4, seed=3)
    used = draw.uses(range(5, 13))
    drawn = {pair for n in range(5, 13) for pair in zip(*draw.epoch(n), strict=True)}
    assert drawn == set(zip(*np.nonzero(used), strict=True))
    # Each image draws eight times with replacement: a share of 1 - (7 / 8) ** 8.
    assert used.mean() == pytest.approx(0.66, abs=0.05)
    assert EpochDraw(4, 1, 4, seed=3).uses(range(1)).all()
    # Two classes of 45 and 5: drawn as often as each other, so that most images of one are not.
    targets = np.eye(2)[np.repeat([0, 1], [45, 5])]
    balanced = EpochDraw(50, 1, 4, seed=3, oversampled=targets).uses(range(1))
    assert balanced[45:].all()
    assert balanced[:45].mean() < 0.7


def test_a_dataset_is_read_pass_by_pass(arrays: Any) -> None:
    pixels, targets = arrays
    weights = np.arange(10, dtype=np.float32)
    source = make_source(make_dataset(pixels, targets, weights))
    assert len(source) == 10
    assert source.input_shapes == ((32, 32, 3),)
    assert np.array_equal(source.targets, targets)
    assert source.sample_weights is not None
    assert np.array_equal(source.sample_weights, weights)
    seen = list(source.iter_views(range(2)))
    assert [int(views[0]) for _, views, _ in seen] == [0, 0, 0, 1, 1, 1]
    for indices, _, read in seen:
        assert np.array_equal(read[:, 0], pixels[indices])
    assert make_source(make_dataset(pixels, targets)).sample_weights is None
    with pytest.raises(DataError, match="single samples of a dataset"):
        source.read(np.array([0]), np.array([0]))


def test_a_dataset_of_something_else_is_refused(arrays: Any) -> None:
    pixels, targets = arrays
    with pytest.raises(DataError, match=r"call .batch\(32\).*\(32, 32, 3\)"):
        make_source(make_dataset(pixels, targets, batch=None))
    with pytest.raises(
        DataError, match=r"validation dataset.*pixels of shape \(batch, 32, 32, 3\)"
    ):
        make_source(make_dataset(pixels[..., 0], targets), name="validation")
    with pytest.raises(DataError, match="expected batches of"):
        make_source(make_dataset(pixels).map(lambda pixels: pixels))
    with pytest.raises(DataError, match="Received: none"):
        make_source(make_dataset(pixels, targets).take(0))


def test_images_of_two_sizes_are_refused(arrays: Any) -> None:
    import tensorflow as tf

    pixels, targets = arrays
    signature = (tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, 3)))

    def generate() -> Any:
        yield pixels[:5], targets[:5]
        yield pixels[5:, :16, :16], targets[5:]

    mixed = tf.data.Dataset.from_generator(generate, output_signature=signature)
    with pytest.raises(DataError, match=r"one size.*16.*32"):
        make_source(mixed)


def test_a_dataset_in_another_order_each_time_is_refused(arrays: Any) -> None:
    import tensorflow as tf

    single = make_dataset(*arrays, batch=None)
    tf.random.set_seed(0)
    source = make_source(single.shuffle(10).batch(4))
    with pytest.raises(DataError, match=r"same order.*\.shuffle\(\)"):
        list(source.iter_views(range(4)))
    steady = single.shuffle(10, seed=1, reshuffle_each_iteration=False).batch(4)
    assert len(list(make_source(steady).iter_views(range(2)))) == 6


def test_a_dataset_that_is_used_up_is_refused(arrays: Any) -> None:
    import tensorflow as tf

    pixels, targets = arrays
    once = iter([(pixels[:5], targets[:5]), (pixels[5:], targets[5:])])
    signature = (tf.TensorSpec((None, 32, 32, 3)), tf.TensorSpec((None, 3)))
    source = make_source(tf.data.Dataset.from_generator(lambda: once, output_signature=signature))
    with pytest.raises(DataError, match=r"expected 2 batches on every pass\. Received: 0"):
        list(source.iter_views(range(1)))


def test_a_dataset_without_an_end_is_refused() -> None:
    import tensorflow as tf

    pixels, targets = np.zeros((4, 8, 8, 3), np.float32), np.eye(4, dtype=np.float32)
    finite = tf.data.Dataset.from_tensor_slices((pixels, targets)).batch(2)
    assert len(make_source(finite)) == 4
    with pytest.raises(DataError, match=r"Take \.repeat\(\) out"):
        make_source(finite.repeat())


@pytest.fixture
def texts() -> tuple[dict[str, Any], Any]:
    """Token ids and the mask of a padding, of five texts of four words."""
    ids = np.arange(20, dtype=np.int32).reshape(5, 4)
    return {"mask": (ids % 3 > 0).astype(np.int8), "ids": ids}, np.eye(5, dtype=np.float32)


def test_a_dataset_of_several_inputs_is_read_by_their_names(texts: Any) -> None:
    inputs, targets = texts
    source = DatasetSource(make_dataset(inputs, targets), inputs={"ids": (4,), "mask": (4,)})
    # In the model's order, whatever the order of the dataset's dicts.
    assert source.input_shapes == ((4,), (4,))
    assert source.itemsizes == (4, 1)
    for indices, _, found in source.iter_views(range(1)):
        assert isinstance(found, dict)
        assert list(found) == ["ids", "mask"]
        for name, values in found.items():
            assert np.array_equal(values[:, 0], inputs[name][indices])
            assert values.dtype == inputs[name].dtype


def test_a_dataset_that_lacks_an_input_is_refused(texts: Any) -> None:
    inputs, targets = texts
    names = {"ids": (4,), "mask": (4,)}
    for wrong in ({"ids": inputs["ids"]}, {**inputs, "more": inputs["ids"]}, inputs["ids"]):
        with pytest.raises(DataError, match=r"a dict of inputs with the keys \['ids', 'mask'\]"):
            DatasetSource(make_dataset(wrong, targets), inputs=names)
    with pytest.raises(DataError, match=r"expected mask of shape \(batch, 4\)"):
        DatasetSource(
            make_dataset({**inputs, "mask": inputs["ids"][..., None]}, targets), inputs=names
        )


def test_a_source_is_known_by_its_samples_and_by_how_they_are_seen(images: Any) -> None:
    train = images.train
    swapped = (train.fingerprints[1], train.fingerprints[0], *train.fingerprints[2:])
    contract = replace(train.contract, scale=(0.5, 0.5, 0.5))
    sources = [
        SplitSource(train),
        SplitSource(replace(train, fingerprints=swapped)),
        SplitSource(replace(train, seed=1)),
        SplitSource(replace(train, size=16)),
        SplitSource(replace(train, contract=contract)),
        SplitSource(train, augment="light"),
        SplitSource(train, augment="light", options={"flip": False}),
    ]
    digests = [source.digest_contents() for source in sources]
    assert len(set(digests)) == len(sources)
    assert None not in digests
    assert SplitSource(replace(train)).digest_contents() == digests[0]
    # Whose content nobody knows may be others by now, whatever they are called.
    assert SplitSource(replace(train, fingerprints=())).digest_contents() is None
    unknown = ("", *train.fingerprints[1:])
    assert SplitSource(replace(train, fingerprints=unknown)).digest_contents() is None
