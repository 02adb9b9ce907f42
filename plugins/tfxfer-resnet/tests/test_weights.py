from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

import tfxfer_resnet
from tfxfer import Backbone
from tfxfer.errors import WeightsError
from tfxfer.surgery import copy_weights

BACKBONES = {cls.name: cls for cls in (getattr(tfxfer_resnet, n) for n in tfxfer_resnet.__all__)}
REAL = "resnet50_224_notop_float16.weights.h5"


def build(backbone: Backbone, size: int = 64) -> Any:
    pixels = keras.Input((size, size, 3), name="pixels")
    return keras.Model(pixels, backbone.build(pixels))


def make_reference(backbone: Any, **arguments: Any) -> Any:
    """Returns the untouched Keras model with weights and statistics unlike any fresh ones."""
    make = getattr(keras.applications, backbone.application)
    model = make(**{"include_top": False, "weights": None, **arguments})
    rng = np.random.default_rng(5)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.gamma.assign(rng.uniform(0.5, 1.5, norm.gamma.shape))
        norm.beta.assign(rng.uniform(-0.5, 0.5, norm.beta.shape))
        norm.momentum = 0.0
    # One pass takes over the true statistics. With made-up ones the signal dies on its way through
    # fifty layers, and the features are the same for every image.
    model(backbone.preprocessing.apply(rng.uniform(0, 255, (4, 64, 64, 3))), training=True)
    return model


def run_keras(reference: Any, backbone: Any, pixels: Any) -> Any:
    """Returns the features Keras's own preprocessing and model give for pixels 0..255."""
    module = {"ResNet50": "resnet", "ResNet50V2": "resnet_v2"}[backbone.application]
    preprocess_input = getattr(keras.applications, module).preprocess_input
    return np.asarray(reference(preprocess_input(pixels.copy())))


def is_close(a: Any, b: Any) -> bool:
    return bool(np.max(np.abs(np.asarray(a) - np.asarray(b))) <= 1e-4 * np.max(np.abs(b)))


def save_legacy(model: Any, path: Path) -> None:
    """Writes what Keras 2 wrote for `save_weights("….h5")`: the layout of the published files."""
    whole = path.with_name("whole.h5")
    model.save(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        group = source["model_weights"]
        for key in group:
            source.copy(group[key], target, key)
        for key, value in group.attrs.items():
            target.attrs[key] = value


def test_features_equal_those_of_keras_on_the_same_pixels(tmp_path: Path) -> None:
    backbone = BACKBONES["resnet50_v2"]()
    reference = make_reference(backbone)
    reference.save_weights(tmp_path / "x.weights.h5")
    model = build(backbone)
    backbone.load_weights(model, tmp_path / "x.weights.h5")
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected = run_keras(reference, backbone, pixels)
    assert is_close(model(backbone.preprocessing.apply(pixels)), expected)
    assert not is_close(model(pixels / 255), expected)
    assert not is_close(build(backbone)(backbone.preprocessing.apply(pixels)), expected)


def test_the_first_kernel_of_resnet50_is_turned_to_rgb(tmp_path: Path) -> None:
    # The negative control: the same weights, copied as they are for BGR.
    backbone = BACKBONES["resnet50"]()
    reference, model = make_reference(backbone), build(backbone)
    copy_weights(reference, model)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected = run_keras(reference, backbone, pixels)
    assert not is_close(model(backbone.preprocessing.apply(pixels)), expected)
    reference.save_weights(tmp_path / "x.weights.h5")
    backbone.load_weights(model, tmp_path / "x.weights.h5")
    assert is_close(model(backbone.preprocessing.apply(pixels)), expected)


@pytest.mark.parametrize(
    ("name", "save", "include_top"),
    [("resnet50", save_legacy, False), ("resnet50_v2", save_legacy, True)],
)
def test_every_kind_of_file_gives_the_same_weights(
    name: str, save: Callable[[Any, Path], None], include_top: bool, tmp_path: Path
) -> None:
    backbone = BACKBONES[name]()
    size = {"input_shape": (64, 64, 3)} if include_top else {}
    reference = make_reference(backbone, include_top=include_top, **size)
    save(reference, tmp_path / "x.h5")
    model = build(backbone)
    backbone.load_weights(model, tmp_path / "x.h5")
    for layer in model.layers:
        arrays = reference.get_layer(layer.name).get_weights() if layer.weights else []
        if (name, layer.name) == ("resnet50", "conv1_conv"):
            arrays[0] = arrays[0][:, :, ::-1]
        pairs = zip(layer.get_weights(), arrays, strict=True)
        assert all(np.array_equal(found, expected) for found, expected in pairs)


def other_version(folder: Path) -> Path:
    keras.applications.ResNet50V2(include_top=False, weights=None).save_weights(
        folder / "x.weights.h5"
    )
    return folder / "x.weights.h5"


def other_version_legacy(folder: Path) -> Path:
    save_legacy(keras.applications.ResNet50V2(include_top=False, weights=None), folder / "x.h5")
    return folder / "x.h5"


def no_weights_file(folder: Path) -> Path:
    (folder / "x.weights.h5").write_bytes(b"a photo, maybe")
    return folder / "x.weights.h5"


@pytest.mark.parametrize("make", [other_version, other_version_legacy, no_weights_file])
def test_a_file_that_does_not_fit_changes_nothing(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    backbone = BACKBONES["resnet50"]()
    model = build(backbone)
    before = model.get_weights()
    path = make(tmp_path)
    with pytest.raises(WeightsError, match=r"expected .*ResNet50,.* Received: ") as e:
        backbone.load_weights(model, path)
    assert str(path) in str(e.value)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_address_and_checksum_are_those_of_keras(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def get_file(fname: str, origin: str, **options: Any) -> str:
        asked.append((origin, options.get("file_hash")))
        raise FileNotFoundError(fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    backbone = BACKBONES[name]()
    make = getattr(keras.applications, backbone.application)
    with pytest.raises(FileNotFoundError):
        make(include_top=False, input_shape=(224, 224, 3))
    weights = backbone.weights["imagenet"]
    assert asked == [(weights.url, weights.md5)]


def load_photos(folder: Path, count: int) -> tuple[Any, Any]:
    """Returns `count` photos of each class folder, and their class numbers."""
    photos, classes = [], []
    for number, name in enumerate(("ants", "bees")):
        for path in sorted((folder / name).iterdir())[:count]:
            image = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
            photos.append(np.asarray(image, np.float32))
            classes.append(number)
    return np.stack(photos), np.array(classes)


def score(features: Any, classes: Any, *, shots: int) -> float:
    """Returns the accuracy of the nearest class mean of the first `shots` unit features."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    numbers = np.unique(classes)
    of_class = [np.flatnonzero(classes == number) for number in numbers]
    means = np.stack([features[rows[:shots]].mean(0) for rows in of_class])
    test = np.concatenate([rows[shots:] for rows in of_class])
    distance = np.square(features[test][:, None] - means).sum(-1)
    return float((numbers[distance.argmin(1)] == classes[test]).mean())


# Measured on these 80 test photos: .913; with the preprocessing of MobileNet .663, random weights
# .513 (chance is .5).
@pytest.mark.slow
def test_imagenet_weights_tell_ants_from_bees(shared: Path) -> None:
    backbone = BACKBONES["resnet50"]()
    pixels, classes = load_photos(shared / "data" / "hymenoptera", 80)
    model = build(backbone, 224)
    model = keras.Model(model.input, keras.layers.GlobalAveragePooling2D()(model.output))
    backbone.load_weights(model, shared / "weights" / REAL)

    def run(batch: Any) -> float:
        return score(model.predict(batch, batch_size=20, verbose=0), classes, shots=40)

    right, wrong = run(backbone.preprocessing.apply(pixels)), run(pixels / 127.5 - 1)
    assert right >= 0.86, (right, wrong)
    assert wrong <= 0.76, (right, wrong)


def test_float16_file_equals_keras_on_the_same_pixels(shared: Path) -> None:
    backbone = BACKBONES["resnet50"]()
    path = shared / "weights" / REAL
    reference = keras.applications.ResNet50(include_top=False, weights=str(path))
    model = build(backbone)
    backbone.load_weights(model, path)
    pixels, _ = load_photos(shared / "data" / "hymenoptera", 1)
    pixels = pixels[:, :64, :64]
    expected = run_keras(reference, backbone, pixels)
    assert is_close(model(backbone.preprocessing.apply(pixels)), expected)
    assert not is_close(model(backbone.preprocessing.apply(pixels[..., ::-1])), expected)
