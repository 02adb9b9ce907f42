"""Presets as users have them, small, each made once; and images as folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer_kerashub.fetching import import_keras_hub

SIDE_PX = 32


def make_resnet() -> Any:
    """A ResNet of three blocks, two with a projection, with statistics that training left."""
    import keras

    network = import_keras_hub().models.ResNetBackbone(
        input_conv_filters=[8],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 24],
        stackwise_num_blocks=[1, 2],
        stackwise_num_strides=[1, 2],
        block_type="bottleneck_block",
        image_shape=(None, None, 3),
    )
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return network


def make_vit(**options: Any) -> Any:
    return import_keras_hub().models.ViTBackbone(
        **{
            "image_shape": (SIDE_PX, SIDE_PX, 3),
            "patch_size": 8,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 16,
            "mlp_dim": 32,
            "dropout_rate": 0.3,
            "attention_dropout": 0.3,
            **options,
        }
    )


def save_preset(network: Any, folder: Path, **converter: Any) -> Path:
    network.save_to_preset(str(folder))
    options = {"image_size": (SIDE_PX, SIDE_PX), "scale": 1 / 255, **converter}
    import_keras_hub().layers.ImageConverter(**options).save_to_preset(str(folder))
    return folder


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    return save_preset


@pytest.fixture(scope="session")
def resnet() -> Any:
    """The network that `resnet_preset` was made of."""
    return make_resnet()


@pytest.fixture(scope="session")
def resnet_preset(resnet: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "resnet"
    scale, offset = [1 / 58.4, 1 / 57.1, 1 / 57.4], [-2.1, -2.0, -1.8]
    return save_preset(resnet, folder, scale=scale, offset=offset)


@pytest.fixture(scope="session")
def vit() -> Any:
    """The network that `vit_preset` was made of."""
    return make_vit()


@pytest.fixture(scope="session")
def vit_preset(vit: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "vit"
    return save_preset(vit, folder, scale=1 / 127.5, offset=-1, crop_to_aspect_ratio=False)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform(0, 255, (4, SIDE_PX, SIDE_PX, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes told apart by their colour, 12 images each."""
    from PIL import Image

    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(6)
    for channel, label in enumerate(("red", "green")):
        (root / label).mkdir()
        for number in range(12):
            image = rng.integers(0, 120, (48, 48, 3))
            image[..., channel] += 100
            Image.fromarray(image.astype(np.uint8)).save(root / label / f"{number:02}.png")
    return root
