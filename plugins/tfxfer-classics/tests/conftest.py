"""What the tests of this plugin share: each network once as Keras builds it, once as we do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfxfer_classics
from tfxfer.application import ApplicationBackbone

BACKBONES: dict[str, type[ApplicationBackbone]] = {
    cls.name: cls for cls in (getattr(tfxfer_classics, n) for n in tfxfer_classics.__all__)
}


@dataclass(frozen=True)
class Reference:
    """An untouched Keras model with weights unlike any fresh ones.

    Args:
        model: what `keras.applications` returns for `weights="imagenet"`, which is not downloaded.
        asked: (address, checksum) of the file that Keras would have downloaded.
        features: what it makes of `pixels` behind its own `preprocess_input`.
        preprocess: that function.
        path: a file of its weights.
    """

    model: Any
    asked: tuple[str, str]
    features: Any
    preprocess: Callable[[Any], Any]
    path: Path


@pytest.fixture(params=sorted(BACKBONES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def size() -> Callable[[str], int]:
    """Side of the images of a network in pixels: small, and not one pixel at its end."""
    return lambda name: max(64, BACKBONES[name].min_image_size)


@pytest.fixture(scope="session")
def pixels(size: Callable[[str], int]) -> Callable[[str], Any]:
    """Two images of noise, 0..255."""

    def pixels(name: str) -> Any:
        shape = (2, size(name), size(name), 3)
        return np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)

    return pixels


@pytest.fixture(scope="module")  # half a gigabyte that must not stay
def built(size: Callable[[str], int]) -> Callable[..., Any]:
    """Our network at its small size, by name; seconds each. No test asks what its weights are."""

    @functools.cache
    def built(name: str, copy: int = 0) -> Any:
        images = keras.Input((size(name), size(name), 3), name="pixels")
        return keras.Model(images, BACKBONES[name]().build(images))

    return built


@pytest.fixture(scope="module")  # half a gigabyte that must not stay
def reference(
    size: Callable[[str], int],
    pixels: Callable[[str], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Reference]:
    """Keras's own network, by name; seconds each."""
    folder = tmp_path_factory.mktemp("references")

    @functools.cache
    def reference(name: str) -> Reference:
        application = getattr(keras.applications, BACKBONES[name].application)
        asked: list[tuple[str, str]] = []

        def get_file(fname: str, origin: str, **options: Any) -> str:
            asked.append((origin, options["file_hash"]))
            return fname

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("keras.src.utils.file_utils.get_file", get_file)
            patch.setattr(keras.Model, "load_weights", lambda self, path: None)
            shape = (size(name), size(name), 3)
            model = application(include_top=False, weights="imagenet", input_shape=shape)
        (only,) = asked
        module = keras.applications
        for part in application.__module__.split(".")[-1:]:
            module = getattr(module, part)
        preprocess = module.preprocess_input
        _settle(model, preprocess)
        path = folder / f"{name}.weights.h5"
        model.save_weights(path)
        features = np.asarray(model(preprocess(pixels(name).copy())))
        return Reference(model, only, features, preprocess, path)

    return reference


@pytest.fixture(scope="module")  # half a gigabyte that must not stay
def loaded(
    built: Callable[..., Any], reference: Callable[[str], Reference]
) -> Callable[[str], Any]:
    """A second build of our network, with the reference's weights read from its file."""

    @functools.cache
    def loaded(name: str) -> Any:
        model = built(name, copy=1)
        BACKBONES[name]().load_weights(model, reference(name).path)
        return model

    return loaded


def _settle(model: Any, preprocess: Callable[[Any], Any]) -> None:
    """Gives gains, biases and statistics numbers other than 0 and 1; kernels are random already."""
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:
        if len(weight.shape) == 1:
            is_gain = float(np.asarray(weight).mean()) != 0
            low, high = (0.5, 1.5) if is_gain else (-0.5, 0.5)
            weight.assign(rng.uniform(low, high, weight.shape))
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    # One pass takes over the true statistics. With made-up ones the signal dies on its way, and
    # the features are the same for every image.
    if norms:
        images = rng.uniform(0, 255, (4, *model.input.shape[1:])).astype(np.float32)
        model(preprocess(images), training=True)
