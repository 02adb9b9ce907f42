from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import WeightsError
from tfxfer_efficientnet import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    imagenet_top,
)
from tfxfer_efficientnet.torch_checkpoint import read_checkpoint

VARIANTS = [EfficientNetLite0, EfficientNetLite1, EfficientNetLite2]
# Arrays of the backbone: 5 of the stem, 10 of the first block, 15 of each other, 5 of the top.
ARRAYS = {"efficientnet_lite0": 245, "efficientnet_lite1": 320, "efficientnet_lite2": 320}
PARAMETERS = {
    "efficientnet_lite0": 3_413_024,
    "efficientnet_lite1": 4_189_344,
    "efficientnet_lite2": 4_869_168,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_counts_are_those_of_the_published_networks(build, variant):
    backbone, model = build(variant)
    assert len(model.weights) == ARRAYS[backbone.name]
    assert model.count_params() == PARAMETERS[backbone.name]


@pytest.fixture(scope="module")
def lite0(build, packaged):
    import keras

    backbone = EfficientNetLite0()
    inputs = keras.Input((224, 224, 3))
    model = keras.Model(inputs, backbone.build(inputs))
    for weight in model.weights:
        weight.assign(np.full(weight.shape, np.nan, "float32"))
    path = packaged(backbone)
    backbone.load_weights(model, path)
    return backbone, model, path


def test_every_array_is_set_and_is_the_file_s(lite0):
    backbone, model, path = lite0
    # load_weights replaced every NaN; and with the classifier's two arrays nothing is left over.
    assert all(np.isfinite(value).all() for value in model.get_weights())
    state = read_checkpoint(path, sha256=backbone.weights["imagenet"].sha256)
    used = [name for name in state if not name.endswith("num_batches_tracked")]
    assert len(used) == len(model.weights) + 2 == 247
    total = sum(float(np.abs(v.astype(np.float64)).sum()) for v in model.get_weights())
    in_file = sum(
        float(np.abs(state[k].astype(np.float64)).sum()) for k in used if not k.startswith("_fc.")
    )
    assert total == pytest.approx(in_file, rel=1e-12)
    kernel = model.get_layer("stem_conv").get_weights()[0]
    assert kernel[2, 1, 0, 5] == state["_conv_stem.weight"][5, 0, 2, 1]
    depthwise = model.get_layer("block_3_depthwise_conv").get_weights()[0]
    assert depthwise[0, 2, 7, 0] == state["_blocks.2._depthwise_conv.weight"][7, 0, 0, 2]


@pytest.mark.parametrize("variant", VARIANTS)
def test_declared_sha256_is_the_installed_file_s(packaged, variant):
    path = packaged(variant())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == variant.weights["imagenet"].sha256
    # The packages repeat the first eight digits in the file's name.
    assert digest.startswith(path.stem.rpartition("-")[2])


def classify(backbone, model, path: Path, photos, *, preprocess=None) -> dict[str, tuple]:
    """Returns photo → (right class in the top five, probability of the right classes)."""
    kernel, bias = imagenet_top(path)
    size = backbone.default_image_size
    images = [
        np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32)
        for image, _ in photos.values()
    ]
    features = model.predict(
        (preprocess or backbone.preprocessing.apply)(np.stack(images)), verbose=0
    )
    logits = features.mean(axis=(1, 2)) @ kernel + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    return {
        name: (
            bool(classes & set(row.argsort()[-5:].tolist())),
            float(row[list(classes)].sum()),
        )
        for (name, (_, classes)), row in zip(photos.items(), odds, strict=True)
    }


def check_photos(backbone, model, path: Path, photos) -> None:
    right = classify(backbone, model, path, photos)
    assert [name for name, (found, _) in right.items() if not found] == []
    mean = np.mean([odds for _, odds in right.values()])
    assert mean > 0.45  # 0.73, 0.53 and 0.59 for Lite0, 1 and 2
    # Negative controls: raw pixels, and RGB read as BGR. The first ruins it, the second hurts.
    raw = classify(backbone, model, path, photos, preprocess=lambda x: x)
    assert sum(found for found, _ in raw.values()) <= 2
    assert np.mean([odds for _, odds in raw.values()]) < 0.1
    swapped = classify(
        backbone,
        model,
        path,
        photos,
        preprocess=lambda x: backbone.preprocessing.apply(x[..., ::-1]),
    )
    assert np.mean([odds for _, odds in swapped.values()]) < mean


def test_real_photos_get_their_imagenet_class(lite0, photos):
    backbone, model, path = lite0
    check_photos(backbone, model, path, photos)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_real_photos_get_their_imagenet_class_lite1_lite2(variant, packaged, photos):
    import keras

    backbone = variant()
    size = backbone.default_image_size
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, backbone.build(inputs))
    path = packaged(backbone)
    backbone.load_weights(model, path)
    check_photos(backbone, model, path, photos)


@pytest.mark.slow
def test_shared_photos_of_bees_and_ants_and_daisies(lite0, shared):
    """309 bee, 310 ant, 985 daisy: 60 photos of each, top five."""
    backbone, model, path = lite0
    folders = {
        "hymenoptera/bees": 309,
        "hymenoptera/ants": 310,
        "flowers5/daisy": 985,
    }
    hits = {}
    for folder, index in folders.items():
        files = sorted((shared / "data" / folder).rglob("*.jpg"))[:60]
        group = {str(f): (Image.open(f).convert("RGB"), {index}) for f in files}
        hits[folder] = np.mean(
            [found for found, _ in classify(backbone, model, path, group).values()]
        )
    assert min(hits.values()) > 0.6, hits


def test_weights_reach_a_model_that_holds_other_layers_too(build, lite0):
    import keras

    backbone, source, path = lite0
    inputs = keras.Input((64, 64, 3))
    features = keras.layers.GlobalAveragePooling2D()(backbone.build(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, name="my_head")(features))
    head = model.get_layer("my_head").get_weights()[0].copy()
    backbone.load_weights(model, path)
    np.testing.assert_array_equal(model.get_layer("my_head").get_weights()[0], head)
    for layer in source.layers:
        for got, expected in zip(
            model.get_layer(layer.name).get_weights() if layer.weights else [],
            layer.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(got, expected)


def refused(model, state, monkeypatch, match: str) -> None:
    """Loading `state` must raise and leave the model as it was."""
    before = model.get_weights()
    monkeypatch.setattr(
        "tfxfer_efficientnet.torch_checkpoint.read_checkpoint", lambda path: dict(state)
    )
    with pytest.raises(WeightsError, match=match):
        EfficientNetLite0().load_weights(model, Path("changed.pth"))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_wrong_files_are_refused_and_change_nothing(build, packaged, monkeypatch):
    _, model = build(EfficientNetLite0)
    state = read_checkpoint(packaged(EfficientNetLite0()))
    name = "_blocks.9._project_conv.weight"
    missing = {k: v for k, v in state.items() if k != name}
    refused(model, missing, monkeypatch, "_blocks.9._project_conv.weight")
    refused(
        model, {**state, "_blocks.16._bn1.weight": state["_bn0.bias"]}, monkeypatch, "left over"
    )
    refused(model, {**state, name: state[name][:-1]}, monkeypatch, "expected shapes")
    refused(model, {**state, name: state[name][0]}, monkeypatch, "expected shapes")
    refused(model, {**state, name: state[name] * np.nan}, monkeypatch, "finite")


def test_the_file_of_another_variant_is_refused(build, packaged):
    backbone, model = build(EfficientNetLite1)
    with pytest.raises(WeightsError, match="another variant"):
        backbone.load_weights(model, packaged(EfficientNetLite0()))


def test_a_model_without_the_layers_is_refused(packaged):
    import keras

    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(WeightsError, match="stem_conv"):
        EfficientNetLite0().load_weights(model, packaged(EfficientNetLite0()))


def test_imagenet_top_names_what_is_missing(monkeypatch):
    monkeypatch.setattr("tfxfer_efficientnet.torch_checkpoint.read_checkpoint", lambda path: {})
    with pytest.raises(WeightsError, match=r"_fc\.weight"):
        imagenet_top("x.pth")
