from __future__ import annotations

import builtins
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import build_model
from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ModelError, SetupError, UsageError, WeightsError
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.registry.lookup import get_backbone
from tfxfer.stages import get_info
from tfxfer.weights import file_sha256
from tfxfer_hub.fetching import fetch_module
from tfxfer_hub.handle import parse_handle

pytestmark = pytest.mark.versions

LABELS = ("a", "b", "c")
CONVOLUTION = "hub/conv_kernel"
SIDE_PX, FEATURES = 32, 6


def features(model: Any, image: np.ndarray) -> np.ndarray:
    return np.asarray(model.get_layer("hub")(image))


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, tfxfer_hub; from tfxfer_hub import HubBackbone; "
        "print([n for n in ('keras', 'tensorflow', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_outputs_equal_those_of_hub_keras_layer(
    saved: Path, built: Any, network: Any, pixels: np.ndarray
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources and tf_keras, at import
        import tensorflow_hub

        theirs = tensorflow_hub.KerasLayer(str(saved))(pixels / 255).numpy()
    ours = features(built, pixels / 255)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours, network(pixels / 255, training=False), rtol=1e-5, atol=1e-6)
    # In training mode the same network says something else, and the check above would see it.
    before = network.get_weights()
    moved = network(pixels / 255, training=True).numpy()
    network.set_weights(before)
    assert np.abs(moved - theirs).max() > 1e-2


def test_gradients_equal_those_of_the_network(built: Any, network: Any, pixels: Any) -> None:
    import tensorflow as tf

    layer = built.get_layer("hub")
    ours, theirs = {}, {}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(pixels / 255, training=True) ** 2)
    for weight, gradient in zip(
        layer.trainable_weights,
        tape.gradient(loss, [weight.value for weight in layer.trainable_weights]),
        strict=True,
    ):
        ours[weight.name] = gradient.numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(pixels / 255, training=False) ** 2)
    weights = network.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        theirs[weight.name.partition(":")[0].replace("/", "_")] = gradient.numpy()
    assert set(ours) == {"conv_kernel", "conv_bias", "dense_kernel", "dense_bias"}
    for name, gradient in ours.items():
        np.testing.assert_allclose(gradient, theirs[name], rtol=1e-3, atol=1e-4)
        assert np.abs(gradient).max() > 0.01  # a zero gradient would not pass as equal


def test_a_traced_tape_sees_the_weights(built: Any, pixels: Any) -> None:
    import tensorflow as tf

    layer = built.get_layer("hub")

    @tf.function
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(pixels / 255) ** 2)
        return tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    assert [float(tf.reduce_max(tf.abs(g))) > 0 for g in gradients()] == [True] * 4


def test_batch_normalization_has_no_trainable_weights(built: Any) -> None:
    layer = built.get_layer("hub")
    held = sorted(weight.name for weight in layer.non_trainable_weights)
    kinds = ("beta", "gamma", "moving_mean", "moving_variance")
    assert held == [f"{norm}_{kind}" for norm in ("norm", "vector_norm") for kind in kinds]


def test_a_map_is_pooled_by_the_core_and_takes_any_size(saved_map: Path) -> None:
    backbone = get_backbone(f"hub:{saved_map}")
    assert (backbone.default_image_size, backbone.min_image_size) == (224, 32)
    for size in (32, 65):
        model = build_model(backbone, labels=LABELS, image_size=size)
        side = -(-size // 2)
        assert model.get_layer("hub").output.shape == (None, side, side, 8)
    assert backbone.output == "map"
    assert model.get_layer("pool").output.shape == (None, 8)


def test_the_module_says_its_size_and_the_user_may_say_another(
    saved: Path, saved_map: Path
) -> None:
    backbone = get_backbone(f"hub:{saved}")
    assert (backbone.default_image_size, backbone.min_image_size) == (SIDE_PX, SIDE_PX)
    assert get_backbone(f"hub:{saved_map}#size=96").default_image_size == 96
    with pytest.raises(ModelError, match=r"images of 32 px.*Received: image_size=64"):
        build_model(backbone, labels=LABELS, image_size=64)


def test_pixels_are_0_to_1_unless_the_user_says_otherwise(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assumed = get_backbone(f"hub:{saved}")
    assert assumed.preprocessing.output_range == ((0.0, 1.0),) * 3
    build_model(assumed, labels=LABELS)
    assert "taken to be 0..1" in caplog.text
    caplog.clear()
    said = get_backbone(f"hub:{saved}#pixels=-1..1")
    np.testing.assert_allclose(said.preprocessing.output_range, ((-1.0, 1.0),) * 3)
    build_model(said, labels=LABELS)
    assert caplog.text == ""


def test_no_stage_is_inside(built: Any) -> None:
    assert [stage.name for stage in get_info(built).stages] == [BACKBONE_END]


def test_the_values_file_is_the_provenance(saved: Path, built: Any) -> None:
    weights = get_info(built).weights
    values = saved / "variables" / "variables.data-00000-of-00001"
    assert (weights.source, weights.sha256) == ("module", file_sha256(values))


def test_load_weights_brings_the_modules_values_back(saved: Path, pixels: np.ndarray) -> None:
    backbone = get_backbone(f"hub:{saved}")
    model = build_model(backbone, labels=LABELS)
    before = features(model, pixels)
    for weight in model.get_layer("hub").weights:
        weight.assign(weight + 1)
    assert not np.array_equal(features(model, pixels), before)
    backbone.load_weights(model, backbone.weights["module"].fetch())
    np.testing.assert_array_equal(features(model, pixels), before)


def test_other_weights_than_the_modules_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="which it cannot be built without"):
        build_model(f"hub:{saved}", labels=LABELS, weights=None)
    other = tmp_path / "other.h5"
    other.write_bytes(b"weights")
    with pytest.raises(WeightsError, match="expected the module's own"):
        build_model(f"hub:{saved}", labels=LABELS, weights=other)


def test_several_signatures_and_outputs(several: Path, pixels: np.ndarray) -> None:
    import tensorflow as tf

    image = tf.constant(pixels / 255)
    signatures = tf.saved_model.load(str(several)).signatures
    embedded = signatures["serving_default"](photo=image)
    expected = {
        "": embedded["default"],
        "#output=pooled,frozen": embedded["pooled"],
        "#signature=twice": signatures["twice"](photo=image)["doubled"],
    }
    for options, output in expected.items():
        model = build_model(f"hub:{several}{options}", labels=LABELS)
        np.testing.assert_allclose(features(model, image), output, rtol=1e-5, atol=1e-6)
        assert len(model.get_layer("hub").trainable_weights) == (options != "#output=pooled,frozen")
    assert not np.allclose(expected[""], expected["#signature=twice"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("signature=none", r"Received: signature='none'; it has: add, serving_default, twice"),
        ("signature=add", r"signature='add' of \w+, \w+\. Name another"),
        ("output=none", r"Received: output='none'; it has: "),
        ("output=pooled", r"expected weights that can be trained.*#frozen"),
    ],
)
def test_what_leads_to_no_features_is_named(several: Path, options: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(f"hub:{several}#{options}", labels=LABELS)


def test_a_tf1_module_is_refused_before_anything_is_read(tf1: Path, photos: Path) -> None:
    request = TrainRequest(data=str(photos), backbone=f"hub:{tf1}")
    with pytest.raises(ModelError, match=r"TF1 format\. Take its TF2 version.*#frozen"):
        prepare(request)


def test_a_tf1_module_can_be_used_frozen(
    tf1: Path, photos: Path, pixels: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    import tensorflow as tf

    request = TrainRequest(data=str(photos), backbone=f"hub:{tf1}#frozen", schedule="head")
    model = build_model(prepare(request).backbone, labels=LABELS)
    assert "--schedule head" in caplog.text
    assert model.get_layer("hub").trainable_weights == []
    theirs = tf.saved_model.load(str(tf1)).signatures["default"](tf.constant(pixels))["default"]
    np.testing.assert_allclose(features(model, pixels), theirs, rtol=1e-5, atol=1e-4)
    assert np.abs(theirs).max() > 1  # not the zeros that weights start from


def test_a_module_saved_frozen_is_refused(network: Any, photos: Path, tmp_path: Path) -> None:
    network.trainable = False
    try:
        network.save(tmp_path / "module", save_format="tf")
    finally:
        network.trainable = True
    with pytest.raises(ModelError, match=r"saved frozen\. Save it with trainable=True"):
        prepare(TrainRequest(data=str(photos), backbone=f"hub:{tmp_path / 'module'}"))


def test_a_module_that_is_random_at_inference_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones((3, FEATURES)))

        @tf.function(input_signature=[tf.TensorSpec((None, SIDE_PX, SIDE_PX, 3))])
        def __call__(self, image: Any) -> Any:
            pooled = tf.reduce_mean(image, axis=(1, 2))
            return tf.nn.dropout(pooled @ self.kernel, 0.5)

    tf.saved_model.save(Module(), str(tmp_path / "module"))
    with pytest.raises(ModelError, match=r"nothing random at inference.*RandomUniform"):
        build_model(f"hub:{tmp_path / 'module'}", labels=LABELS)


@pytest.mark.parametrize("kind", ["nothing", "file", "folder", "broken"])
def test_what_is_no_saved_model_is_refused_early(photos: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "module"
    if kind == "file":
        place.write_bytes(b"archive")
    elif kind != "nothing":
        place.mkdir()
        if kind == "broken":
            (place / "saved_model.pb").write_bytes(b"\xff" * 40)
    words = {
        "nothing": "nothing at",
        "file": "Unpack it",
        "folder": "a folder without it",
        "broken": "no such description",
    }
    with pytest.raises(WeightsError, match=f"SavedModel folder.*{words[kind]}"):
        prepare(TrainRequest(data=str(photos), backbone=f"hub:{place}"))


def test_a_missing_handle_is_asked_for() -> None:
    with pytest.raises(UsageError, match="hub:HANDLE"):
        get_backbone("hub")


def test_a_name_on_kaggle_becomes_an_address() -> None:
    name = "google/mobilenet-v2/tensorFlow2/100-224-feature-vector/2"
    with pytest.raises(WeightsError, match=f"hub:https://www.kaggle.com/models/{name}"):
        fetch_module(parse_handle(name))


def test_no_network_says_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    handle = parse_handle("https://localhost:1/no-module/1")
    with pytest.raises(WeightsError, match=r"could not be fetched.*hub:FOLDER.*TFHUB_CACHE_DIR"):
        fetch_module(handle)


def test_a_cached_address_needs_no_network(
    saved: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    url = "https://localhost:1/module/1"
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).symlink_to(saved)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    backbone = get_backbone(f"hub:{url}")
    assert backbone.default_image_size == 224  # nobody has asked where it is yet
    backbone = prepare(TrainRequest(data=str(photos), backbone=f"hub:{url}")).backbone
    assert backbone.default_image_size == SIDE_PX
    assert (
        build_model(backbone, labels=LABELS).name == "hub_https_localhost_1_module_1_classification"
    )


def test_without_tensorflow_hub_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "tensorflow_hub":
            raise ModuleNotFoundError("No module named 'tensorflow_hub'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SetupError, match="pip install 'tensorflow-hub"):
        fetch_module(parse_handle("https://localhost:1/module/1"))


def test_other_backends_are_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    backbone = get_backbone(f"hub:{saved}")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ModelError, match=r"backend='jax'\. Set KERAS_BACKEND=tensorflow\."):
        backbone.build(keras.Input((SIDE_PX, SIDE_PX, 3)))
