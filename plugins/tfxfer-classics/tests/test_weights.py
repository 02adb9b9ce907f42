from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import tfxfer_classics
from tfxfer.errors import WeightsError
from tfxfer.surgery import list_parts
from tfxfer_classics import ConvNeXtTiny

BACKBONES = {
    cls.name: cls for cls in (getattr(tfxfer_classics, n) for n in tfxfer_classics.__all__)
}


# NASNet takes 20 seconds for what the others do in five.
QUICK_FIRST = [
    pytest.param(name, marks=pytest.mark.slow) if name == "nasnet_mobile" else name
    for name in sorted(BACKBONES)
]


def is_close(a: Any, b: Any) -> bool:
    return bool(np.max(np.abs(np.asarray(a) - np.asarray(b))) <= 1e-4 * np.max(np.abs(b)))


def save_legacy(model: Any, path: Path) -> Path:
    """Writes what Keras 2 wrote for `save_weights("….h5")`: the layout of the published files."""
    whole = path.with_name("whole.h5")
    model.save(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        group = source["model_weights"]
        for key in group:
            source.copy(group[key], target, key)
        for key, value in group.attrs.items():
            target.attrs[key] = value
    return path


def save(model: Any, path: Path) -> Path:
    model.save_weights(path)
    return path


@pytest.mark.parametrize("name", QUICK_FIRST)
def test_features_equal_those_of_keras_on_the_same_pixels(
    name: str,
    built: Callable[..., Any],
    loaded: Callable[[str], Any],
    reference: Callable[[str], Any],
    pixels: Callable[[str], Any],
) -> None:
    images, expected = pixels(name), reference(name).features
    right = BACKBONES[name].preprocessing.apply(images)
    assert is_close(loaded(name)(right), expected)
    # Other pixels, and other weights.
    assert not is_close(loaded(name)(images / 255), expected)
    assert not is_close(built(name)(right), expected)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_the_first_kernel_is_turned_to_rgb(
    name: str,
    loaded: Callable[[str], Any],
    reference: Callable[[str], Any],
    pixels: Callable[[str], Any],
) -> None:
    # With the kernel as the file has it, the same pixels give other features.
    layer = loaded(name).get_layer("block1_conv1")
    kernel, bias = layer.get_weights()
    theirs = reference(name).model.get_layer("block1_conv1").get_weights()[0]
    assert np.array_equal(kernel, theirs[:, :, ::-1])
    right = BACKBONES[name].preprocessing.apply(pixels(name))
    try:
        layer.set_weights([theirs, bias])
        assert not is_close(loaded(name)(right), reference(name).features)
    finally:
        layer.set_weights([kernel, bias])


def test_preprocessing_is_that_of_keras(name: str, reference: Callable[[str], Any]) -> None:
    images = np.random.default_rng(2).uniform(0, 255, (2, 9, 9, 3)).astype(np.float32)
    expected = np.asarray(reference(name).preprocess(images.copy()))
    if name == "convnext_tiny":  # whose function does nothing: the first layer does it
        layer = reference(name).model.get_layer("convnext_tiny_prestem_normalization")
        expected = np.asarray(layer(expected))
    if name.startswith("vgg"):  # BGR
        expected = expected[..., ::-1]
    np.testing.assert_allclose(
        BACKBONES[name].preprocessing.apply(images), expected, rtol=1e-5, atol=2e-5
    )
    others = [
        other for other in BACKBONES.values() if other.input_mode != BACKBONES[name].input_mode
    ]
    assert not any(is_close(other.preprocessing.apply(images), expected) for other in others)


def test_address_and_checksum_are_those_of_keras(
    name: str, reference: Callable[[str], Any]
) -> None:
    weights = BACKBONES[name].weights["imagenet"]
    assert reference(name).asked == (weights.url, weights.md5 or weights.sha256)


@pytest.mark.parametrize("name", ["vgg16", pytest.param("nasnet_mobile", marks=pytest.mark.slow)])
def test_a_legacy_file_gives_the_same_weights(
    name: str,
    built: Callable[..., Any],
    loaded: Callable[[str], Any],
    reference: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    model = built(name, copy=2)
    before = [value + 1 for value in model.get_weights()]
    model.set_weights(before)
    BACKBONES[name]().load_weights(model, save_legacy(reference(name).model, tmp_path / "x.h5"))
    assert all(map(np.array_equal, model.get_weights(), loaded(name).get_weights()))
    assert not any(map(np.array_equal, model.get_weights(), before))


@pytest.fixture(scope="module")
def whole() -> Any:
    """ConvNeXt with its top, and another number of classes than ImageNet has."""
    model = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), classes=7)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.1, x.shape).astype(np.float32) for x in model.get_weights()])
    return model


# The top has a normalisation that Keras keeps when the top is left out.
@pytest.mark.parametrize("write", [save_legacy, save])
def test_a_file_with_a_top_gives_the_same_weights(
    write: Callable[[Any, Path], Path], whole: Any, built: Callable[..., Any], tmp_path: Path
) -> None:
    model = built("convnext_tiny")
    file = tmp_path / ("x.h5" if write is save_legacy else "x.weights.h5")
    ConvNeXtTiny().load_weights(model, write(whole, file))
    names = [layer.name for layer in model.layers if layer.weights]
    assert len(names) == 1 + 1 + 18 * 4 + 3 * 2 + 1  # stem, its normalisation, blocks, shrinking
    layers = {layer.name: layer for layer in list_parts(whole)}
    layers[names[-1]] = layers["convnext_tiny_head_layernorm"]
    for name in names:
        expected = layers[name].get_weights()
        if name.endswith("depthwise_conv"):
            expected[0] = expected[0].swapaxes(2, 3)
        if name.endswith("pointwise_conv_2"):
            scale = layers[name.replace("pointwise_conv_2", "layer_scale")].get_weights()[0]
            assert not np.array_equal(model.get_layer(name).get_weights()[0], expected[0])
            expected = [values * scale for values in expected]
        assert all(map(np.array_equal, model.get_layer(name).get_weights(), expected))


def other_network(folder: Path, vgg19: Any) -> Path:
    return save(vgg19, folder / "x.weights.h5")


def other_network_legacy(folder: Path, vgg19: Any) -> Path:
    return save_legacy(vgg19, folder / "x.h5")


def no_weights_file(folder: Path, vgg19: Any) -> Path:
    (folder / "x.weights.h5").write_bytes(b"a photo, maybe")
    return folder / "x.weights.h5"


@pytest.mark.parametrize("make", [other_network, no_weights_file])
def test_a_file_that_does_not_fit_changes_nothing(
    make: Callable[[Path, Any], Path],
    built: Callable[..., Any],
    reference: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    model = built("vgg16")
    before = model.get_weights()
    path = make(tmp_path, reference("vgg19").model)
    with pytest.raises(WeightsError, match=r"expected .*\.VGG16, .* Received: ") as caught:
        BACKBONES["vgg16"]().load_weights(model, path)
    assert str(path) in str(caught.value)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.slow  # a legacy file may have a top, whose first layer has 100 million weights
def test_a_legacy_file_that_does_not_fit_changes_nothing(
    built: Callable[..., Any], reference: Callable[[str], Any], tmp_path: Path
) -> None:
    test_a_file_that_does_not_fit_changes_nothing(other_network_legacy, built, reference, tmp_path)
