"""Doubles of plugins, put on sys.path as pip would do it, and a tiny model with its images."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Backbone, Preprocessing, Stage

DOUBLES = Path(__file__).parent / "plugins"


def write_metadata(pyproject: Path, site: Path) -> None:
    """Writes the *.dist-info that an installer would make from a pyproject.toml."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in project["dependencies"]]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sections = []
    for group, points in project["entry-points"].items():
        sections += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def _forget_doubles() -> Iterator[None]:
    """No module of a double outlives the module of tests that imported it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("double_"):
            del sys.modules[name]


@pytest.fixture
def install_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Call it with names of folders in tests/plugins: until the test ends they are installed.

    Processes that the test starts see them, too.
    """
    site = tmp_path / "site-of-doubles"
    before = set(sys.modules)

    def install(*names: str) -> None:
        folders = [DOUBLES / name for name in names]
        for folder in folders:
            write_metadata(folder / "pyproject.toml", site)
        paths = [str(site), *map(str, folders)]
        for path in reversed(paths):
            monkeypatch.syspath_prepend(path)
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
        )

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("double_"):
            del sys.modules[name]


FILTERS = (4, 6, 8)


class TinyBackbone(Backbone):
    """A stem and three blocks, the second with a skip connection; 4 x 4 maps at 32 px."""

    name = "tiny"
    family = "tiny"
    default_image_size = 32
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    stages = (
        Stage("stem", "stem_relu"),
        Stage("block_1", "block_1_relu"),
        Stage("block_2", "block_2_add"),
        Stage("block_3", "block_3_relu"),
    )

    def build(self, inputs: Any) -> Any:
        x = self.block(inputs, "stem", FILTERS[0], strides=2)
        x = self.block(x, "block_1", FILTERS[1], strides=2)
        y = self.block(x, "block_2", FILTERS[1])
        x = keras_layers().Add(name="block_2_add")([x, y])
        return self.block(x, "block_3", FILTERS[2], strides=2)

    @staticmethod
    def block(x: Any, name: str, filters: int, *, strides: int = 1) -> Any:
        layers = keras_layers()
        x = layers.Conv2D(
            filters, 3, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x)


def keras_layers() -> Any:
    from keras import layers

    return layers


def spread_statistics(model: Any, seed: int = 0) -> None:
    """Gives every BatchNormalization statistics, gamma and beta that training left there."""
    import keras

    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.7, 1.3, size),
                    rng.uniform(0.2, 0.6, size),
                    rng.normal(0, 0.1, size),
                    rng.uniform(0.05, 0.15, size),
                ]
            )


@pytest.fixture(scope="session")
def tiny_backbone() -> type[Backbone]:
    return TinyBackbone


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Any]:
    """Returns a function that builds the tiny model; equal arguments give equal weights."""

    def make(
        *, backbone: Backbone | None = None, head: Any = None, labels: int = 3, seed: int = 0
    ) -> Any:
        from tfxfer import build_model
        from tfxfer_heads import Classification

        model = build_model(
            backbone or TinyBackbone(),
            labels=[f"class_{number}" for number in range(labels)],
            head=head or Classification(dropout=0.2),
            weights=None,
            seed=seed,
        )
        spread_statistics(model, seed)
        return model

    return make


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns a list that gets the number of outputs of everything that is converted."""
    from tfxfer.frontier.litert import convert_float

    made: list[int] = []

    def convert(model: Any, **options: Any) -> bytes:
        made.append(len(model.outputs))
        return convert_float(model, **options)

    monkeypatch.setattr("tfxfer.frontier.litert.convert_float", convert)
    return made


def paint_blobs(count: int, classes: int, *, seed: int, side_px: int = 32) -> tuple[Any, Any]:
    """Returns noisy images whose class is the channel that a bright square is in, and one-hots."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % classes
    pixels = rng.uniform(0, 130, (count, side_px, side_px, 3))
    for image, number in zip(pixels, numbers, strict=True):
        row, column = rng.integers(0, side_px // 2, 2)
        image[row : row + 16, column : column + 16, number % 3] += 125
    return pixels.round().astype(np.uint8), np.eye(classes, dtype=np.float32)[numbers]


@pytest.fixture(scope="session")
def blobs() -> Callable[..., tuple[Any, Any]]:
    return paint_blobs


@pytest.fixture(scope="session")
def pair() -> Callable[..., tuple[Any, Any]]:
    """Returns a function that makes training and validation `tf.data.Dataset`s, batched."""

    def make(train: int = 24, val: int = 12, *, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
        import tensorflow as tf

        parts = (paint_blobs(train, classes, seed=seed), paint_blobs(val, classes, seed=seed + 1))
        first, second = (
            tf.data.Dataset.from_tensor_slices((x.astype(np.float32), y)).batch(8) for x, y in parts
        )
        return first, second

    return make


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same images as files: a `SampleData` of 24, 12 and 12."""
    from PIL import Image

    from tfxfer import load_images
    from tfxfer_heads import Classification

    root = tmp_path_factory.mktemp("blobs")
    for part, (count, seed) in {"train": (24, 0), "val": (12, 1), "test": (12, 2)}.items():
        pixels, targets = paint_blobs(count, 3, seed=seed)
        for number, (image, target) in enumerate(zip(pixels, targets, strict=True)):
            folder = root / part / f"class_{target.argmax()}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{number:03}.png")
    return load_images(root, head=Classification(), image_size=32, near_duplicates=False)


def paint(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A blotchy picture that is like no other seed's."""
    rng = np.random.default_rng(seed)
    blotches = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    return paint


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that makes a folder of class folders: name=number of images."""

    def make(root: str = "photos", **classes: int) -> Path:
        top = tmp_path / root
        for rank, (name, count) in enumerate(classes.items()):
            (top / name).mkdir(parents=True)
            for number in range(count):
                paint(1000 * rank + number).save(top / name / f"{number:03}.png")
        return top

    return make


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A real photo, 640 x 427."""
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("china.jpg"))


@pytest.fixture
def import_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Returns a function that imports a script of benchmarks/ by its name; nothing of it stays."""
    folder = Path(__file__).parents[1] / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    before, environment = set(sys.modules), dict(os.environ)
    yield importlib.import_module
    os.environ.clear()  # scripts choose a backend and a device
    os.environ.update(environment)
    for name in set(sys.modules) - before:
        if (folder / f"{name}.py").exists():
            del sys.modules[name]
