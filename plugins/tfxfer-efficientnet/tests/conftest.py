"""What the tests of this plugin share: models at small sizes and real photos."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.backbone import Backbone

# scikit-learn's flower.jpg is left out: a dahlia, which ImageNet's 1000 classes do not have.
# Photo → the ImageNet classes that name what is on it, by index in the usual order.
PHOTO_CLASSES = {
    "chelsea": {281: "tabby", 282: "tiger cat", 285: "Egyptian cat"},
    "rocket": {657: "missile", 744: "projectile", 812: "space shuttle"},
    "coffee": {504: "coffee mug", 967: "espresso"},
    "camera": {872: "tripod"},
    "motorcycle": {665: "moped", 670: "motor scooter"},
    "china": {442: "bell cote", 449: "boathouse", 698: "palace"},
}


@pytest.fixture(scope="session")
def photos() -> dict[str, tuple[Image.Image, set[int]]]:
    """Real photos out of the wheels of scikit-image and scikit-learn, and their classes."""
    import skimage
    import sklearn

    scikit_image = Path(skimage.__file__).parent / "data"
    scikit_learn = Path(sklearn.__file__).parent / "datasets" / "images"
    files = {
        "chelsea": scikit_image / "chelsea.png",
        "rocket": scikit_image / "rocket.jpg",
        "coffee": scikit_image / "coffee.png",
        "camera": scikit_image / "camera.png",
        "motorcycle": scikit_image / "motorcycle_left.png",
        "china": scikit_learn / "china.jpg",
    }
    return {
        name: (Image.open(file).convert("RGB"), set(PHOTO_CLASSES[name]))
        for name, file in files.items()
    }


@pytest.fixture(scope="session")
def build() -> Callable[..., tuple[Backbone, Any]]:
    """Builds a backbone behind a layer of the caller's own, as the core does."""
    import keras

    @functools.cache  # seconds each; a test that changes weights must not care what they were
    def build(
        backbone_class: type[Backbone], size: int = 64, copy: int = 0
    ) -> tuple[Backbone, Any]:
        keras.utils.set_random_seed(3)
        backbone = backbone_class()
        pixels = keras.Input((size, size, 3))
        upstream = keras.layers.Rescaling(0.5, offset=0.25, name="rescale_pixels")(pixels)
        return backbone, keras.Model(pixels, backbone.build(upstream))

    return build


@pytest.fixture(scope="session")
def packaged() -> Callable[[Backbone], Path]:
    """Finds the weights file that an installed package carries; skips without the package."""

    def packaged(backbone: Backbone) -> Path:
        source = backbone.weights["imagenet"]
        assert source.package is not None
        assert source.member is not None
        try:
            return Path(str(metadata.distribution(source.package).locate_file(source.member)))
        except metadata.PackageNotFoundError:
            pytest.skip(f"needs pip install {source.package}")

    return packaged


def _randomize(model: Any, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            continue
        values = []
        for weight in layer.get_weights():
            noise = generator.normal(0, 0.05, weight.shape)
            # Gains and variances stay near 1, so that 250 layers neither vanish nor explode.
            values.append(np.float32(1 + noise if weight.ndim == 1 and weight.mean() else noise))
            if weight.ndim > 1:
                values[-1] = np.float32(weight)
        if values:
            layer.set_weights(values)


@pytest.fixture(scope="session")
def randomize() -> Callable[[Any, int], None]:
    """Gives batch norms and biases other numbers than 0 and 1; kernels are random already."""
    return _randomize
