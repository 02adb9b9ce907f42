from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer import Phase, embed
from tfxfer.data.datasets import DatasetSource
from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SampleSource, SplitSource
from tfxfer.errors import TfxferError
from tfxfer.frontier.store import CacheStore
from tfxfer.training.activations import Activations
from tfxfer.training.plan import plan_fit

SCHEDULE = (
    Phase("head", "backbone", 3, 1e-2, views=1),
    Phase("upper", "block_2", 2, 1e-3),
    Phase("lower", "block_1", 2, 1e-3),
)
VIEWS = 4


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


class Passes:
    """Activations of a training, and how many images each pass computed."""

    def __init__(self, model: Any, train: SampleSource, val: SampleSource) -> None:
        self.images, self.val, self.computed = len(train), len(val), list[int]()
        self.train: Any = train
        self.val_source: Any = val
        store = CacheStore(memory_bytes=2**30)
        self.plan = plan_fit(
            model, SCHEDULE, images=len(train), views=VIEWS, val=len(val), store=store
        )
        self.activations = Activations(
            model,
            self.plan,
            train=train,
            val=val,
            store=store,
            dtype="float32",
            use_litert=False,
            progress=lambda _, done, total: self.computed.append(total) if done == total else None,
        )

    def draw(self, number: int) -> EpochDraw:
        return EpochDraw(self.images, self.plan.phases[number].views, 8, seed=0)

    def complete(self, number: int, epochs: range) -> None:
        self.activations.complete_phase(number, draw=self.draw(number), epochs=epochs)


@pytest.fixture
def passes(model: Any, images: Any) -> Passes:
    return Passes(model, SplitSource(images.train, augment="light"), SplitSource(images.val))


def test_each_phase_computes_what_it_draws_and_nobody_has_computed(passes: Passes) -> None:
    passes.complete(0, range(3))
    # The plain view of every image, those of validation included.
    plain = passes.images + passes.val
    assert passes.computed == [plain]
    passes.complete(0, range(3, 9))
    assert passes.computed == [plain]
    passes.complete(1, range(3, 5))
    upper = passes.draw(1).uses(range(3, 5))
    upper[:, 0] = False
    passes.complete(2, range(5, 7))
    lower = passes.draw(2).uses(range(5, 7)) & ~upper
    lower[:, 0] = False
    assert passes.computed[1:] == [upper.sum(), lower.sum()]
    assert 0 < lower.sum() < upper.sum() < passes.images * (VIEWS - 1)


def test_a_resumed_training_computes_what_is_left(passes: Passes) -> None:
    passes.complete(2, range(5, 7))
    assert passes.computed == [passes.draw(2).uses(range(5, 7)).sum() + passes.val]


def test_what_is_read_is_what_pixels_give(model: Any, images: Any, passes: Passes) -> None:
    import keras

    from tfxfer.stages import stage_tensor

    passes.complete(0, range(3))
    passes.complete(1, range(3, 5))
    train, val = passes.activations.readers("block_2")
    prefix = keras.Model(model.inputs[0], stage_tensor(model, "block_2"))
    order, views = passes.draw(1).epoch(4)
    pixels = SplitSource(images.train, augment="light").read(order, views)
    np.testing.assert_allclose(train(order, views), prefix(pixels, training=False), atol=1e-4)
    # Another view of the same images is another input.
    other = SplitSource(images.train, augment="light").read(order, (views + 1) % VIEWS)
    assert np.abs(train(order, views) - prefix(other, training=False)).max() > 1e-2
    first, plain = np.arange(6), np.zeros(6, int)
    pixels = SplitSource(images.val).read(first, plain)
    found = val(first, plain)
    np.testing.assert_allclose(found, prefix(pixels, training=False), atol=1e-4)
    assert np.abs(found[::-1] - prefix(pixels, training=False)).max() > 1e-2


def test_what_nobody_computed_is_not_read(passes: Passes) -> None:
    passes.complete(0, range(3))
    passes.complete(1, range(3, 5))
    train, _ = passes.activations.readers("block_2")
    indices, views = np.nonzero(~passes.draw(1).uses(range(3, 5)))
    unused = indices[views > 0][:1], views[views > 0][:1]
    with pytest.raises(TfxferError, match=r"at 'block_2': expected .* sample=\d+, view=[123]"):
        train(*unused)


def test_a_dataset_is_passed_over_once_for_each_view(model: Any, pair: Callable[..., Any]) -> None:
    train, val = pair()
    inputs = {"pixels": (32, 32, 3)}
    passes = Passes(model, DatasetSource(train, inputs=inputs), DatasetSource(val, inputs=inputs))
    passes.complete(1, range(3, 5))
    passes.complete(2, range(5, 7))
    (total,) = passes.computed
    assert total == VIEWS * passes.images + passes.val


def test_features_are_means_over_the_views_that_were_drawn(passes: Passes, model: Any) -> None:
    passes.complete(0, range(3))
    train, val = passes.activations.average("backbone")
    parts = [part.split for part in (passes.train, passes.val_source)]
    for found, part in zip((train, val), parts, strict=True):
        assert found == pytest.approx(embed(model, part, use_litert=False), abs=1e-5)
    # A later phase draws augmented views at another stage: each of them counts as much.
    passes.complete(1, range(3, 5))
    maps, _ = passes.activations.average("block_2")
    held = passes.draw(1).uses(range(3, 5))
    held[:, 0] = True
    read, _ = passes.activations.readers("block_2")
    most = int(held.sum(axis=1).argmax())
    views = np.flatnonzero(held[most])
    values = read(np.full(len(views), most), views)
    assert len(views) > 1
    assert maps[most] == pytest.approx(values.mean(axis=(0, 1, 2)), abs=1e-5)
    assert maps[most] != pytest.approx(values[0].mean(axis=(0, 1)), abs=1e-5)
