"""What a training gains by another look, where that look is the whole gap, and where there is none.

Stripes run down or across. In what has labels, one kind is bright and the other dark; in what
counts it is the other way round. Whoever learns the light is wrong about all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer import (
    Augmentation,
    Backbone,
    Control,
    Phase,
    Preprocessing,
    Stage,
    build_model,
    fit,
    load_images,
)
from tfxfer.adaptation.mixing import MixStyle
from tfxfer.data.looks import measure_looks
from tfxfer_heads import Classification

SIDE = 32
SCHEDULE = (Phase("all", "stem", 25, 1e-2, decay="constant"),)
METHODS = ("fda", "mixstyle", "both")


class Plain(Backbone):
    """A stem that lets light through, and a block that can learn stripes."""

    name = "plain"
    family = "plain"
    default_image_size = SIDE
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=64)
    stages = (Stage("stem", "stem_conv"), Stage("block_1", "block_1_relu"))

    def build(self, inputs: Any) -> Any:
        from keras import layers

        x = layers.Conv2D(3, 1, name="stem_conv")(inputs)
        x = layers.Conv2D(8, 3, name="block_1_conv")(x)
        return layers.ReLU(name="block_1_relu")(x)


def paint(rng: np.random.Generator, kind: int, *, light: float) -> Image.Image:
    """Returns stripes of four pixels with noise, down (0) or across (1)."""
    wave = 38 * np.sign(np.sin(np.pi * (np.arange(SIDE) + rng.integers(4)) / 2 + 0.1))
    stripes = np.broadcast_to(wave[None, :] if kind == 0 else wave[:, None], (SIDE, SIDE))
    noise = rng.normal(0, 6, (SIDE, SIDE, 3))
    pixels = light + rng.normal(0, 6) + stripes[..., None] + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write(root: Path, seed: int, counts: dict[str, int], lights: tuple[float, float]) -> Any:
    rng = np.random.default_rng(seed)
    for part, count in counts.items():
        for kind in range(2):
            folder = root / part / ("across" if kind else "down")
            folder.mkdir(parents=True)
            for number in range(count):
                paint(rng, kind, light=lights[kind]).save(folder / f"{number:02}.png")
    return load_images(root, head=Classification(), image_size=SIDE, near_duplicates=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("source")
    return write(root, 0, {"train": 24, "val": 8, "test": 12}, (190, 65))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("target")
    return write(root, 1, {"train": 16, "val": 4, "test": 24}, (65, 190))


def build(labels: Any) -> Any:
    model = build_model(Plain(), labels=labels, head=Classification(), weights=None, seed=0)
    model.get_layer("stem_conv").set_weights([np.eye(3)[None, None], np.zeros(3)])
    return model


def train(source: Any, style: Any | None, method: str) -> Any:
    model = build(source.labels)
    looks = change = None
    if style is not None and method != "mixstyle":
        looks = measure_looks(style)
    if style is not None and method != "fda":
        change = MixStyle(style, seed=0)
    fit(
        model,
        source,
        schedule=SCHEDULE,
        augment=Augmentation("light", 8, {"flip": False}, looks=looks),
        batch_size=8,
        control=Control(change=change),
        verbose=0,
    )
    return model


def score(model: Any, split: Any) -> float:
    pixels = split.read_views(range(len(split)))[:, 0].astype(np.float32)
    answers = np.asarray(model(pixels)).argmax(axis=1)
    return float((answers == split.targets.argmax(axis=1)).mean())


@pytest.fixture(scope="module")
def untold(source: Any) -> Any:
    return train(source, None, "fda")


def test_without_the_look_the_light_is_learnt(untold: Any, source: Any, target: Any) -> None:
    assert score(untold, source.test) == 1
    assert score(untold, target.test) < 0.4


@pytest.mark.parametrize("method", METHODS)
def test_with_the_look_of_the_others_stripes_are_learnt(
    source: Any, target: Any, method: str
) -> None:
    model = train(source, target.train, method)
    assert score(model, target.test) > 0.75
    assert score(model, source.test) > 0.85


@pytest.mark.parametrize("method", METHODS)
def test_where_there_is_no_gap_nothing_is_lost(source: Any, tmp_path: Path, method: str) -> None:
    same = write(tmp_path / "same", 2, {"train": 16, "val": 4, "test": 24}, (190, 65))
    model = train(source, same.train, method)
    assert score(model, same.test) > 0.95


def test_validation_sees_no_other_look(
    source: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def note(model: Any, stage: str | None) -> Callable[..., Any]:
        def change(inputs: Any, epoch: int, batch: int) -> Any:
            seen.append((epoch, batch))
            return np.zeros_like(inputs)

        return change

    class Watch(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.losses: list[tuple[float, float]] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.losses.append((logs["accuracy"], logs["val_accuracy"]))

    model = build(source.labels)
    watch = Watch()
    fit(
        model, source, schedule=(Phase("all", "stem", 2, 1e-6),), augment="none", batch_size=8,
        callbacks=[watch], control=Control(change=note), verbose=0,
    )  # fmt: skip
    # Six batches of training in each of two epochs, and those that Keras looks at before.
    assert {epoch for epoch, _ in seen} == {0, 1}
    assert {batch for _, batch in seen} == set(range(6))
    # Of zeros a model says the same whatever it is asked.
    assert all(accuracy == 0.5 for accuracy, _ in watch.losses)
