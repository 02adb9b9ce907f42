"""ApplicationBackbone on a tiny network with everything in it that Keras Applications build in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfxfer import ApplicationBackbone, ContractError, Preprocessing, WeightsError
from tfxfer.application import imagenet_weights, number_stages

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
MODES = ("tf", "torch", "caffe")


def make_tiny(
    *,
    include_top: bool,
    weights: None,
    input_tensor: Any = None,
    filters: int = 4,
    classes: int = 9,
) -> Any:
    """Returns what a function of `keras.applications` does: layers with and without names."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3)) if input_tensor is None else input_tensor
    x = layers.Conv2D(filters, 3, name="first")(inputs)
    x = layers.Rescaling(0.5)(x)
    x = keras.Sequential(
        [layers.BatchNormalization(name="down_bn"), layers.Conv2D(filters, 2, name="down_conv")],
        name="down",
    )(x)
    y = layers.Conv2D(filters, 3, padding="same", groups=filters, name="depthwise")(x)
    y = layers.Dropout(0.5)(layers.Conv2D(filters, 1)(y))
    x = x + layers.Conv2D(filters, 1)(y)
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(x)[0], x)


class Tiny(ApplicationBackbone):
    name = "tiny"
    family = "tiny"
    application = "Tiny"
    input_mode = "caffe"
    stages = number_stages(["depthwise_add"], stem="first")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.applications, "Tiny", make_tiny, raising=False)


def build(before: Callable[[Any], Any] = lambda tensor: tensor) -> Any:
    import keras

    pixels = keras.Input((16, 16, 3), name="pixels")
    return keras.Model(pixels, Tiny().build(before(pixels)))


def make_source(**arguments: Any) -> Any:
    """Returns the untouched network, its weights and statistics unlike any fresh ones."""
    source = make_tiny(**{"include_top": False, "weights": None, **arguments})
    rng = np.random.default_rng(1)
    source.set_weights([rng.uniform(0.2, 1, x.shape) for x in source.get_weights()])
    return source


def save_legacy(model: Any, path: Path) -> Path:
    model.save(path.with_name("whole.h5"))
    with h5py.File(path.with_name("whole.h5")) as source, h5py.File(path, "w") as target:
        group = source["model_weights"]
        for key in group:
            source.copy(group[key], target, key)
        target.attrs.update(group.attrs)
    return path


def save(model: Any, path: Path) -> Path:
    model.save_weights(path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_input_modes_are_those_of_keras(mode: Any) -> None:
    from keras.applications import imagenet_utils

    family = type("Family", (Tiny,), {"input_mode": mode})
    expected = imagenet_utils.preprocess_input(PIXELS.copy(), mode=mode)
    if mode == "caffe":
        expected = expected[..., ::-1]  # BGR
    np.testing.assert_allclose(family.preprocessing.apply(PIXELS), expected, rtol=1e-5, atol=2e-5)
    for other in set(MODES) - {mode}:
        wrong = type("Family", (Tiny,), {"input_mode": other}).preprocessing.apply(PIXELS)
        assert np.abs(wrong - expected).max() > 0.1


def test_an_input_mode_is_inherited_and_what_a_class_says_itself_wins() -> None:
    own = Preprocessing(scale=2.0)
    assert type("Child", (Tiny,), {}).preprocessing == Tiny.preprocessing != own
    members = {"input_mode": "tf", "preprocessing": own}
    assert type("Own", (Tiny,), members).preprocessing == own


def test_an_unknown_input_mode_is_refused() -> None:
    with pytest.raises(
        ContractError, match=r"Odd: expected input_mode .*'caffe'.*Received: .*'bgr'"
    ):
        type("Odd", (Tiny,), {"input_mode": "bgr"})


def test_the_graph_is_flat_calm_and_named_alike_in_every_build() -> None:
    import keras

    model = build()
    assert [op.name for op in model.operations] == [
        "pixels",
        "first",
        "first_rescaling",
        "down_bn",
        "down_conv",
        "depthwise",
        "depthwise_conv",
        "depthwise_dropout",
        "depthwise_conv_2",
        "depthwise_add",
    ]
    kinds = [type(op).__name__ for op in model.operations]
    assert kinds[2] == kinds[7] == "Identity"
    assert kinds[5] == "DepthwiseConv2D"
    assert all(isinstance(op, keras.layers.Layer) for op in model.operations)
    assert [op.name for op in build().operations] == [op.name for op in model.operations]


def test_layers_before_the_backbone_stay_as_they_are() -> None:
    import keras

    # Named as Keras would; with a low number it may be the name of one that was made unnamed.
    model = build(keras.layers.Rescaling(2.0, name="rescaling_987654"))
    assert [op.name for op in model.operations][:3] == ["pixels", "rescaling_987654", "first"]
    assert type(model.get_layer("rescaling_987654")).__name__ == "Rescaling"


@pytest.mark.parametrize("classes", [9, 5])
@pytest.mark.parametrize("include_top", [False, True])
@pytest.mark.parametrize(("write", "file"), [(save_legacy, "x.h5"), (save, "x.weights.h5")])
def test_every_kind_of_file_is_read(
    write: Callable[[Any, Path], Path],
    file: str,
    include_top: bool,
    classes: int,
    tmp_path: Path,
) -> None:
    source, model = make_source(include_top=include_top, classes=classes), build()
    Tiny().load_weights(model, write(source, tmp_path / file))
    kernel, *others = source.get_weights()[:-2] if include_top else source.get_weights()
    found = model.get_weights()
    assert np.array_equal(found[0], kernel[:, :, ::-1])  # for RGB
    assert not np.array_equal(found[0], kernel)
    assert len(found) == 1 + len(others) == 14
    others = [x.swapaxes(2, 3) if x.shape == (3, 3, 1, 4) else x for x in others]
    assert all(map(np.array_equal, found[1:], others))


def test_features_are_those_of_keras_s_own_network(tmp_path: Path) -> None:
    source, model = make_source(), build()
    pixels = Tiny.preprocessing.apply(PIXELS)
    expected = np.asarray(
        source(2.0 * pixels[..., ::-1])
    )  # BGR, and the rescale inside made up for
    fresh = np.asarray(model(pixels))
    Tiny().load_weights(model, save(source, tmp_path / "x.weights.h5"))
    # The first layer has a bias, which the rescale behind it halves, too.
    first = model.get_layer("first")
    kernel, bias = first.get_weights()
    first.set_weights([kernel, bias / 2])
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4)
    assert np.abs(fresh - expected).max() > 0.1 * np.abs(expected).max()


def emptied(path: Path) -> Path:
    with h5py.File(save(make_source(), path), "a") as file:
        kernel = file["layers/conv2d_1/vars/0"]
        kernel[...] = np.full(kernel.shape, np.nan)
    return path


def gapped(path: Path) -> Path:
    with h5py.File(save(make_source(), path), "a") as file:
        del file["layers/conv2d_1"]
    return path


def noise(path: Path) -> Path:
    path.write_bytes(b"no HDF5 at all" * 99)
    return path


@pytest.mark.parametrize(
    ("write", "file", "match"),
    [
        (emptied, "x.weights.h5", r"weights of 'tiny': expected finite numbers"),
        (gapped, "x.weights.h5", r"expected "),
        (noise, "x.weights.h5", r"keras\.applications\.Tiny, with or without its top"),
        (noise, "x.h5", r"keras\.applications\.Tiny, with or without its top"),
        (noise, "x.bin", r"keras\.applications\.Tiny, with or without its top"),
        (lambda path: path, "x.h5", r"keras\.applications\.Tiny, with or without its top"),
        (lambda path: save(make_source(filters=5), path), "x.weights.h5", r"Keras says: "),
        (lambda path: save_legacy(make_source(filters=5), path), "x.h5", r"Keras says: "),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing_and_is_closed(
    write: Callable[[Path], Path], file: str, match: str, tmp_path: Path
) -> None:
    model, path = build(), write(tmp_path / file)
    before = model.get_weights()
    with pytest.raises(WeightsError, match=match) as caught:
        Tiny().load_weights(model, path)
    assert str(path) in str(caught.value)
    assert all(map(np.array_equal, before, model.get_weights()))
    if match == "Keras says: ":  # HDF5 keeps a file that is open from being written
        h5py.File(path, "a").close()


def test_what_a_family_need_not_write() -> None:
    assert [(stage.name, stage.end) for stage in Tiny.stages] == [
        ("stem", "first"),
        ("block_1", "depthwise_add"),
    ]
    source = imagenet_weights("vgg16/x.h5", licence="MIT", md5="0")["imagenet"]
    folder = "https://storage.googleapis.com/tensorflow/keras-applications/"
    assert (source.url, source.md5, source.licence) == (f"{folder}vgg16/x.h5", "0", "MIT")
    whole = imagenet_weights("https://example.org/x.h5", licence="MIT")["imagenet"]
    assert (whole.url, whole.md5, whole.sha256) == ("https://example.org/x.h5", None, None)
