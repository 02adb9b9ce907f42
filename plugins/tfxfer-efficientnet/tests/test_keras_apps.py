"""B0 to B3 and V2-B0 against the untouched Keras models, on files this module writes."""

from __future__ import annotations

import functools

import h5py
import numpy as np
import pytest

from tfxfer.errors import WeightsError
from tfxfer_efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetV2B0,
)

pytestmark = pytest.mark.versions

ALL = [EfficientNetB0, EfficientNetB1, EfficientNetB2, EfficientNetB3, EfficientNetV2B0]
BOTH = [EfficientNetB0, EfficientNetV2B0]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SIZE = 64


def application(backbone_class, **arguments):
    import keras

    return getattr(keras.applications, backbone_class.__name__)(**arguments)


def untouched(backbone_class, randomize, *, seed=1, **arguments):
    """Returns Keras's model as the published files are: random, Normalization set."""
    import keras

    keras.utils.set_random_seed(seed)
    model = application(
        backbone_class,
        **{"weights": None, "include_top": False, "input_shape": (SIZE, SIZE, 3)} | arguments,
    )
    randomize(model, seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.float32(MEAN), np.float32(STD), np.int32(0)])
    return model


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)


def legacy(model, path):
    """Writes the format of the published files, which Keras 3 reads but writes only as a model."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


def modern(model, path):
    model.save_weights(path)
    return path


WRITERS = {"legacy.h5": legacy, "modern.weights.h5": modern}


def equals(source, model, *, before) -> None:
    """Every array of `model` is `source`'s, and was another one before."""
    after = dict(zip((w.path for w in model.weights), model.get_weights(), strict=True))
    expected = {w.path: v for w, v in zip(source.weights, source.get_weights(), strict=True)}
    for (path, value), old in zip(after.items(), before, strict=True):
        np.testing.assert_array_equal(value, expected[path])
        assert not np.array_equal(value, old), path


@pytest.mark.parametrize("backbone_class", ALL)
def test_declared_source_is_the_one_keras_downloads(backbone_class, monkeypatch):
    class CalledError(Exception):
        pass

    asked = {}

    def get_file(name, origin, **arguments):
        asked.update(arguments, origin=origin)
        raise CalledError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(CalledError):
        application(backbone_class, include_top=False, weights="imagenet")
    source = backbone_class.weights["imagenet"]
    assert (source.url, source.md5) == (asked["origin"], asked["file_hash"])


@pytest.fixture(scope="module")
def sources(randomize):
    """Untouched Keras models by class, built once."""
    return functools.cache(lambda backbone_class: untouched(backbone_class, randomize))


@pytest.mark.parametrize("backbone_class", BOTH)
def test_preprocessing_is_keras_s_own_imagenet_path(
    backbone_class, sources, build, pixels, tmp_path, monkeypatch
):
    """weights="imagenet" is really run, on a file of random weights in place of the download."""
    import keras

    path = legacy(sources(backbone_class), tmp_path / "notop.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    keras_s = application(
        backbone_class, include_top=False, weights="imagenet", input_shape=(SIZE, SIZE, 3)
    )
    backbone, model = build(backbone_class)
    backbone.load_weights(model, path)

    def run(model, x):
        # Random weights shrink the signal block by block; the stem shows what came in.
        ends = [model.get_layer("stem_activation").output, model.output]
        stem, features = keras.Model(model.input, ends)(x)
        return np.asarray(stem), np.asarray(features)

    expected, expected_features = run(keras_s, pixels)
    scale = np.abs(expected).max()
    assert scale > 0.1

    def error(x) -> float:
        # The caller's layer in front of this model is x * 0.5 + 0.25.
        return np.abs(run(model, np.float32((x - 0.25) / 0.5))[0] - expected).max() / scale

    right = backbone.preprocessing.apply(pixels)
    assert error(right) < 1e-5
    # Negative controls: without the further 1/sqrt(std), without the mean, raw pixels.
    assert error((pixels / 255 - MEAN) / np.sqrt(STD)) > 1e-2
    assert error(pixels / 255 / STD) > 1e-2
    assert error(pixels) > 1e-2
    # And behind the stem the two networks are one.
    _, features = run(model, np.float32((right - 0.25) / 0.5))
    tolerance = 1e-5 * np.abs(expected_features).max()
    np.testing.assert_allclose(features, expected_features, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("backbone_class", "file", "top"),
    [
        (EfficientNetB0, "modern.weights.h5", False),
        (EfficientNetB0, "legacy.h5", True),
        *(
            pytest.param(c, f, top, marks=pytest.mark.slow)
            for c, f, top in (
                (EfficientNetB0, "modern.weights.h5", True),
                (EfficientNetB0, "legacy.h5", False),
                (EfficientNetB1, "legacy.h5", False),
                (EfficientNetB2, "legacy.h5", False),
                (EfficientNetB3, "legacy.h5", False),
                (EfficientNetV2B0, "modern.weights.h5", False),
                (EfficientNetV2B0, "modern.weights.h5", True),
                (EfficientNetV2B0, "legacy.h5", False),
                (EfficientNetV2B0, "legacy.h5", True),
            )
        ),
    ],
)
def test_round_trip(backbone_class, file, top, sources, randomize, build, tmp_path):
    source = sources(backbone_class)
    if top:
        source = untouched(backbone_class, randomize, seed=4, include_top=True, classes=7)
    backbone, model = build(backbone_class)
    before = [value + 1 for value in model.get_weights()]
    model.set_weights(before)
    backbone.load_weights(model, WRITERS[file](source, tmp_path / file))
    equals(source, model, before=before)


@pytest.fixture(scope="module")
def b0(build, sources):
    return *build(EfficientNetB0), sources(EfficientNetB0)


def refused(b0, path, match) -> None:
    backbone, model, _ = b0
    before = model.get_weights()
    with pytest.raises(WeightsError, match=match):
        backbone.load_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def with_variance(b0, variance, path):
    modern(b0[2], path)
    with h5py.File(path, "a") as file:
        assert np.allclose(file["layers/normalization/vars/1"], STD)
        file["layers/normalization/vars/1"][...] = variance
    return path


def test_variance_squared_means_the_same_network(b0, tmp_path):
    backbone, model, _ = b0
    backbone.load_weights(model, with_variance(b0, STD**2, tmp_path / "x.weights.h5"))


def test_a_file_without_imagenet_statistics_is_refused(b0, tmp_path):
    path = with_variance(b0, np.ones(3), tmp_path / "x.weights.h5")
    refused(b0, path, "Normalization with mean")


def test_the_file_of_another_variant_is_refused(b0, sources, tmp_path):
    other = sources(EfficientNetV2B0)
    refused(b0, modern(other, tmp_path / "x.weights.h5"), r"keras\.applications\.EfficientNetB0,")
    refused(b0, legacy(other, tmp_path / "x.h5"), r"keras\.applications\.EfficientNetB0,")


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 99])
def test_what_is_not_hdf5_is_refused(b0, tmp_path, content):
    (path := tmp_path / "x.weights.h5").write_bytes(content)
    refused(b0, path, r"expected a \.weights\.h5 or legacy \.h5 file")


def test_a_missing_file_is_refused(b0, tmp_path):
    refused(b0, tmp_path / "none.weights.h5", r"expected a \.weights\.h5 or legacy \.h5 file")


def test_truncated_emptied_and_nan_files_are_refused(b0, tmp_path):
    source = b0[2]
    whole = modern(source, tmp_path / "whole.weights.h5").read_bytes()
    (path := tmp_path / "cut.weights.h5").write_bytes(whole[: len(whole) // 2])
    refused(b0, path, r"expected a \.weights\.h5 or legacy \.h5 file")
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        del file["layers/conv2d_3/vars/0"]
    refused(b0, path, "expected")
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        kernel = file["layers/conv2d_3/vars/0"]
        kernel[...] = np.full(kernel.shape, np.nan)
    refused(b0, path, "finite")


def test_a_model_without_the_layers_is_refused(b0, tmp_path):
    import keras

    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    path = modern(b0[2], tmp_path / "x.weights.h5")
    with pytest.raises(WeightsError, match="stem_conv"):
        EfficientNetB0().load_weights(model, path)
