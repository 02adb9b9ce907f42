from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality
from tfxfer.inference import reading
from tfxfer.inference.reading import SampleStream, open_stream
from tfxfer.preprocessing import Preprocessing


def open_pixels(samples: Any) -> SampleStream:
    return open_stream(samples, modality=ImageModality(), size=32, contract=Preprocessing())


def read(stream: SampleStream, rows: int = 5) -> np.ndarray:
    return np.concatenate([np.asarray(batch) for batch in stream.iter_batches(rows)])


def test_every_door_gives_the_same_pixels(images: Any) -> None:
    import tensorflow as tf

    split = images.test
    paths = [split.root / path for path in split.paths]
    pixels = read(open_pixels(split))
    assert pixels.shape == (12, 32, 32, 3)
    pairs = tf.data.Dataset.from_tensor_slices((pixels, split.targets)).batch(5)
    bare = tf.data.Dataset.from_tensor_slices(pixels).batch(7)
    named = tf.data.Dataset.from_tensor_slices({"pixels": pixels}).batch(7)
    for samples in (split.root / "test", paths, pixels, tf.constant(pixels), pairs, bare):
        assert np.array_equal(read(open_pixels(samples)), pixels)
    for samples in (named, {"pixels": pixels}):
        batches = list(open_pixels(samples).iter_batches(5))
        assert np.array_equal(np.concatenate([x["pixels"] for x in batches]), pixels)  # type: ignore[index]
    stream = open_pixels(split)
    assert stream.names == tuple(map(str, paths)) == open_pixels(paths).names
    assert (stream.count, open_pixels(pixels).count, open_pixels(bare).count) == (12, 12, None)
    assert open_pixels(pixels).names == ()
    whole = open_pixels(images)
    assert (whole.count, len(whole.names), len(read(whole))) == (48, 48, 48)
    assert np.array_equal(read(whole)[-12:], pixels)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((2, 24, 24, 3)), r"\(samples, 32, 32, 3\).*shape=\(2, 24, 24, 3\)"),
        (np.zeros((32, 32, 3)), r"array\[None\]"),
        (np.zeros(()), "as many samples each"),
        ({}, "as many samples each. Received: of shape none"),
        ({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))}, "as many samples each"),
        ({"other": np.zeros((2, 32, 32, 3))}, r"keys \['pixels'\]. Received: \['other'\]"),
        (None, "expected a folder, paths, arrays.* Received: None"),
        (3, "Received: 3"),
        ((x for x in ()), "Received: a generator"),
    ],
)
def test_what_is_no_sample_is_told(samples: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(open_pixels(samples))


def test_a_dataset_must_end(images: Any) -> None:
    with pytest.raises(DataError, match=r"repeats for ever. Take \.repeat\(\) out"):
        open_pixels(images.test.dataset().repeat())


def test_a_dataset_that_does_not_say_its_length_may_not_go_on_for_ever(
    images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    pixels = read(open_pixels(images.test)).astype(np.float32)

    def forever() -> Any:
        while True:
            yield pixels

    spec = tf.TensorSpec((12, 32, 32, 3), tf.float32)
    endless = tf.data.Dataset.from_generator(forever, output_signature=spec)
    monkeypatch.setattr(reading, "MOST_SAMPLES", 30)
    with pytest.raises(DataError, match=r"more than 30 samples.*\.take\(n\)"):
        read(open_pixels(endless))
    assert len(read(open_pixels(endless.take(2)))) == 24
    # One that says how long it is may be longer.
    known = endless.take(4).apply(tf.data.experimental.assert_cardinality(4))
    assert len(read(open_pixels(known))) == 48


def test_pixels_of_another_range_are_told(images: Any) -> None:
    pixels = read(open_pixels(images.test)).astype(np.float32)
    for samples in (pixels / 255, {"pixels": pixels / 127.5 - 1}):
        with pytest.raises(DataError, match=r"images: expected pixels 0\.\.255"):
            read(open_pixels(samples))
