"""What a Keras user has: integer labels, arrays, PyDatasets, and datasets as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tfxfer import Augmentation, Cache, DataError, Phase, UsageError, fit
from tfxfer.data.passes import iter_batches
from tfxfer.frontier.store import CacheStore

HEAD = (Phase("head", "backbone", 2, 5e-2),)
EXACT = 1e-4


def train(model: Any, data: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "schedule": HEAD,
        "batch_size": 8,
        "cache": Cache(dtype="float32"),
        "verbose": 0,
        "seed": 3,
    }
    return fit(model, data, **(settings | options))


def distance(first: Any, second: Any) -> float:
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


def make_sparse(dataset: Any, shift: int = 0) -> Any:
    import tensorflow as tf

    return dataset.map(lambda x, y: (x, tf.argmax(y, axis=1) + shift))


@pytest.fixture(scope="module")
def reference(make_tiny: Callable[..., Any], pair: Callable[..., Any]) -> Any:
    model = make_tiny()
    train(model, pair())
    return model


@pytest.fixture
def arrays(blobs: Callable[..., Any]) -> Any:
    return blobs(24, 3, seed=0), blobs(12, 3, seed=1)


def test_integer_labels_train_like_one_hot_ones(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], reference: Any
) -> None:
    model = make_tiny()
    train(model, tuple(map(make_sparse, pair())))
    assert distance(model, reference) < EXACT
    # Other labels give other weights.
    other = make_tiny()
    first, second = pair()
    train(other, (first.map(lambda x, y: (x, y[:, ::-1])), second))
    assert distance(other, reference) > 10 * EXACT


def test_integers_out_of_range_are_refused(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    first, second = pair()
    with pytest.raises(
        DataError, match=r"class numbers from 0 to 2.*Received: 3 .* count from 1: subtract 1"
    ):
        train(make_tiny(), (make_sparse(first, 1), second))
    with pytest.raises(DataError, match=r"class numbers from 0 to 2.*Received: -1"):
        train(make_tiny(), (first, make_sparse(second, -1)))


def test_arrays_train_like_a_dataset_of_them(
    make_tiny: Callable[..., Any], arrays: Any, reference: Any
) -> None:
    (pixels, targets), val = arrays
    for number, labels in enumerate((targets, targets.argmax(axis=1))):
        model = make_tiny()
        # Bytes as they are, and NumPy's own floats.
        train(model, ((pixels if number else pixels.astype(float), labels), val))
        assert distance(model, reference) < EXACT
    uncached = make_tiny()
    train(uncached, ((pixels, targets), val), cache=False)
    assert distance(uncached, reference) < EXACT


def test_arrays_that_cannot_be_meant_are_refused(
    make_tiny: Callable[..., Any], arrays: Any
) -> None:
    (pixels, targets), val = arrays
    model = make_tiny()
    with pytest.raises(UsageError, match=r"Received: arrays of training alone"):
        train(model, (pixels, targets))
    with pytest.raises(DataError, match=r"as many targets as samples\. Received: 24, 23"):
        train(model, ((pixels, targets[1:]), val))
    with pytest.raises(UsageError, match=r"one view of arrays.*views=2"):
        train(model, ((pixels, targets), val), augment=Augmentation(views=2))
    for wrong in ("photos/", None, (val,)):
        with pytest.raises(UsageError, match=r"expected data from tfxfer\.load_images"):
            train(model, wrong)


def test_a_py_dataset_trains_and_is_not_read_past_its_end(
    make_tiny: Callable[..., Any], arrays: Any, reference: Any
) -> None:
    import keras

    class Batches(keras.utils.PyDataset):  # its `__getitem__` has no end of its own
        def __init__(self, pixels: Any, targets: Any) -> None:
            super().__init__()
            self.pixels, self.targets = pixels.astype(np.float32), targets

        def __len__(self) -> int:
            return -(-len(self.targets) // 5)

        def __getitem__(self, index: int) -> Any:
            assert index < len(self)
            span = slice(5 * index, 5 * index + 5)
            return self.pixels[span], self.targets[span]

    model = make_tiny()
    train(model, tuple(Batches(*part) for part in arrays))
    assert distance(model, reference) < EXACT


def test_an_uncached_dataset_trains_in_its_own_batches(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    first, second = pair()
    model, by_hand = make_tiny(head=plain_head()), make_tiny(head=plain_head())
    phase = Phase("all", None, 1, 1e-2, decay="constant")
    # Of unknown length, shuffled anew in each pass and of integers: none of it matters here.
    odd = make_sparse(first).filter(lambda x, y: True)
    history = train(model, (odd, second), schedule=[phase], cache=False)
    assert [record.cached for record in history.state.records] == [False]
    from tfxfer.stages import freeze_to, get_info

    freeze_to(by_hand, None)
    by_hand.compile("adam", get_info(by_hand).head.loss())
    by_hand.optimizer.learning_rate = 1e-2
    by_hand.fit(first, shuffle=False, verbose=0)
    assert distance(model, by_hand) < EXACT
    assert distance(model, make_tiny(head=plain_head())) > 10 * EXACT


def plain_head() -> Any:
    from tfxfer_heads import Classification

    return Classification(dropout=0)


def test_a_store_without_room_trains_a_dataset_uncached(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    store = CacheStore(memory_bytes=0, disk_bytes=0)
    first, second = pair()
    shuffled = first.unbatch().shuffle(24).batch(8)
    history = train(make_tiny(), (shuffled, second), cache=Cache(store=store))
    assert [record.cached for record in history.state.records] == [False]


def test_weights_reach_the_batches_of_an_uncached_dataset(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    first, second = pair()
    nothing = {0: 0.0, "class_1": 0, 2: 0}
    for cache in (True, False):
        for weights, moves in ((nothing, False), ({0: 1.0}, True)):
            model = make_tiny()
            before = model.get_weights()
            train(model, (make_sparse(first), second), class_weight=weights, cache=cache)
            after = model.get_weights()
            moved = any(not np.array_equal(x, y) for x, y in zip(before, after, strict=True))
            assert moved is moves
    silent = first.map(lambda x, y: (x, y, 0 * y[:, 0]))
    model = make_tiny()
    before = model.get_weights()
    train(model, (silent, second), balance="weights", cache=False)
    assert all(np.array_equal(x, y) for x, y in zip(before, model.get_weights(), strict=True))


def test_a_pass_of_another_length_is_an_error_of_ours(
    make_tiny: Callable[..., Any], arrays: Any
) -> None:
    (pixels, targets), val = arrays
    pixels = pixels.astype(np.float32)

    class Dwindling:
        passes = 0

        def __iter__(self) -> Iterator[Any]:
            self.passes += 1
            for start in range(0, 24 if self.passes == 1 else 16, 8):
                yield pixels[start : start + 8], targets[start : start + 8]

    with pytest.raises(DataError, match=r"expected 3 batches on every pass\. Received: 2"):
        train(make_tiny(), (Dwindling(), val), cache=False)


def test_what_can_be_read_once_is_refused_before_it_is_read(
    make_tiny: Callable[..., Any], arrays: Any
) -> None:
    (pixels, targets), val = arrays
    once = (pair for pair in [(pixels, targets)])
    with pytest.raises(DataError, match="generator, which is used up by one pass"):
        train(make_tiny(), (once, val))
    assert len(list(once)) == 1


def test_a_dataset_without_an_end_is_refused(
    make_tiny: Callable[..., Any],
    pair: Callable[..., Any],
    arrays: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = pair()
    with pytest.raises(DataError, match=r"training dataset: .* for ever.*\.take\(n\)"):
        train(make_tiny(), (first.repeat(), second))
    monkeypatch.setattr("tfxfer.data.passes.MOST_SAMPLES", 100)
    pixels, targets = arrays[0]

    class Endless:
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield pixels, targets

    told = []
    with pytest.raises(DataError, match=r"validation dataset: .* more than 100 .*\.take\(n\)"):
        train(
            make_tiny(),
            (first, Endless()),
            control=control(lambda what, done, total: told.append((what, done, total))),
        )
    assert told[-1] == ("reading the validation dataset", 96, 100)
    # Time, too, has a bound, after which it is said what is waited for.
    monkeypatch.setattr("tfxfer.data.passes._PATIENCE_S", -1.0)
    with (
        pytest.warns(UserWarning, match=r"24 samples in .* no end yet.*\.take\(n\)"),
        pytest.raises(DataError, match="more than 100"),
    ):
        list(iter_batches(Endless(), name="training"))


def control(progress: Any) -> Any:
    from tfxfer import Control

    return Control(progress=progress)


def test_a_random_dataset_that_is_cached_is_warned_of(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], recwarn: pytest.WarningsRecorder
) -> None:
    import tensorflow as tf

    first, second = pair()
    # Under the seed that `build_model` sets, tf.random.uniform would repeat itself on every pass.
    source = tf.random.Generator.from_seed(1)
    noisy = first.map(lambda x, y: (x * source.uniform((), 0.9, 1.0), y))
    with pytest.warns(UserWarning, match=r"random.*views=8.*cache=False.*augment=") as told:
        train(make_tiny(), (noisy, second))
    assert [warning.filename for warning in told] == [__file__]
    with pytest.warns(UserWarning, match="validation dataset: it is random"):
        train(make_tiny(), (first, noisy))
    recwarn.clear()
    train(make_tiny(), (noisy, second), cache=False)
    train(make_tiny(), (noisy, second), augment=Augmentation(views=2))
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"not cached, so that views=2 mean nothing"):
        train(make_tiny(), (noisy, second), cache=False, augment=Augmentation(views=2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x / 255, "fractions up to 1, which look divided by 255"),
        (lambda x: x / 127.5 - 1, "values from -1 to"),
        (lambda x: x * 257, "to 6.5"),
        (lambda x: x * float("nan"), "nan"),
    ],
)
def test_pixels_of_another_range_are_refused(
    make_tiny: Callable[..., Any], arrays: Any, pair: Callable[..., Any], change: Any, words: str
) -> None:
    (pixels, targets), val = arrays
    first, second = pair()
    wrong = change(pixels.astype(np.float32))
    with pytest.raises(DataError, match=rf"training data: expected pixels 0\.\.255.*{words}"):
        train(make_tiny(), ((wrong, targets), val))
    with pytest.raises(DataError, match=rf"validation data: expected pixels 0\.\.255.*{words}"):
        train(make_tiny(), (first, second.map(lambda x, y: (change(x), y))))


def test_labels_in_another_order_are_refused(
    make_tiny: Callable[..., Any], images: Any, pair: Callable[..., Any]
) -> None:
    from dataclasses import replace

    mixed = replace(images, labels=("class_1", "class_0", "class_2"))
    with pytest.raises(
        DataError, match=r"data: expected the model's labels in their order, 'class_0', .*same in"
    ):
        train(make_tiny(), mixed)
    with pytest.raises(DataError, match="Received: other ones, 'ant', 'bee'"):
        train(make_tiny(), replace(images, labels=("ant", "bee")))
    first, second = pair()
    # What image_dataset_from_directory says of its labels.
    first.class_names = ["class_2", "class_1", "class_0"]
    with pytest.raises(DataError, match=r"training dataset: .*the same in another order"):
        train(make_tiny(), (first, second))


def test_a_callback_that_goes_on_by_itself_is_refused(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], tmp_path: Any
) -> None:
    import keras

    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(UsageError, match=r"BackupAndRestore.*Control\(state=…\).*--resume"):
        train(make_tiny(), pair(), callbacks=backup)


def test_epochs_are_short_for_those_of_a_schedule(
    make_tiny: Callable[..., Any], pair: Callable[..., Any]
) -> None:
    from tfxfer.fine_tuning import FineTuning
    from tfxfer.standard_schedules import two_phase
    from tfxfer.training.fit import _choose_phases

    assert _choose_phases(None, 3, FineTuning()) == two_phase(epochs=3)
    assert _choose_phases(None, None, FineTuning()) == two_phase()
    assert len(train(make_tiny(), pair(), epochs=1).epoch) == 1
