"""SavedModels as users have them, small, each made once; and images as folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIDE_PX = 32
FEATURES = 6


def import_tf_keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow's own deprecated modules
        import tf_keras
    return tf_keras


def make_network(*, side_px: int | None = SIDE_PX, map_output: bool = False) -> Any:
    """Convolution, batch norm, dropout, a penalty, and a dense layer with a batch norm of its own.

    The second batch norm is of vectors, which TensorFlow writes out in arithmetic.
    """
    tk = import_tf_keras()
    tk.utils.set_random_seed(1)
    image = tk.Input((side_px, side_px, 3))
    x = tk.layers.Conv2D(
        8, 3, strides=2, padding="same", kernel_regularizer=tk.regularizers.L2(0.01), name="conv"
    )(image)
    x = tk.layers.ReLU()(tk.layers.BatchNormalization(name="norm")(x))
    if not map_output:
        x = tk.layers.GlobalAveragePooling2D()(tk.layers.Dropout(0.5)(x))
        x = tk.layers.Dense(FEATURES, name="dense")(x)
        x = tk.layers.BatchNormalization(name="vector_norm")(x)
    model = tk.Model(image, x)
    rng = np.random.default_rng(2)
    for weight in model.weights:
        if "norm" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="session")
def network() -> Any:
    """The tf_keras model that `saved` was made of."""
    return make_network()


@pytest.fixture(scope="session")
def saved(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of tf_keras: `__call__` with a training argument, and serving_default."""
    folder = tmp_path_factory.mktemp("saved") / "module"
    network.save(folder, save_format="tf")
    return folder


@pytest.fixture(scope="session")
def built(saved: Path) -> Any:
    """A model on `saved`, for tests that leave it as it is."""
    from tfxfer import build_model

    return build_model(f"hub:{saved}#pixels=0..1", labels=("a", "b"))


@pytest.fixture
def model(built: Any) -> Any:
    """The same with weights of its own."""
    import keras

    from tfxfer.stages import attach_info, get_info

    copy = keras.models.clone_model(built)
    copy.set_weights(built.get_weights())
    attach_info(copy, get_info(built))
    return copy


@pytest.fixture(scope="session")
def saved_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module that gives a map and takes images of any size."""
    folder = tmp_path_factory.mktemp("saved_map") / "module"
    make_network(side_px=None, map_output=True).save(folder, save_format="tf")
    return folder


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with three signatures, of which two take an image, and no `__call__`."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, SIDE_PX, SIDE_PX, 3), tf.float32, name="photo")

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(3)
            self.kernel = tf.Variable(rng.normal(size=(3, FEATURES)), dtype=tf.float32, name="k")

        @tf.function(input_signature=[spec])
        def embed(self, photo: Any) -> dict[str, Any]:
            pooled = tf.reduce_mean(photo, axis=(1, 2))
            return {"pooled": pooled, "default": pooled @ self.kernel}

        @tf.function(input_signature=[spec])
        def twice(self, photo: Any) -> dict[str, Any]:
            return {"doubled": 2 * tf.reduce_mean(photo, axis=(1, 2)) @ self.kernel}

        @tf.function(input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None, 2))])
        def add(self, left: Any, right: Any) -> dict[str, Any]:
            return {"sum": left + right}

    folder = tmp_path_factory.mktemp("several") / "module"
    module = Module()
    tf.saved_model.save(
        module, str(folder), {"serving_default": module.embed, "twice": module.twice,
                              "add": module.add},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def tf1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module as TensorFlow 1 saved it, with the mark of `hub.Module`."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("tf1") / "module"
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, SIDE_PX, SIDE_PX, 3))
        kernel = v1.get_variable(
            "kernel", initializer=np.float32(np.random.default_rng(4).normal(size=(3, FEATURES)))
        )
        features = tf.reduce_mean(image, axis=(1, 2)) @ kernel
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.signature_def_utils.predict_signature_def(
            {"images": image}, {"default": features}
        )
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"default": signature}
        )
        builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return folder


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform(0, 255, (6, SIDE_PX, SIDE_PX, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes told apart by their colour, 24 images each."""
    from PIL import Image

    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(6)
    for channel, label in enumerate(("red", "green")):
        (root / label).mkdir()
        for number in range(24):
            image = rng.integers(0, 120, (48, 48, 3))
            image[..., channel] += 100
            Image.fromarray(image.astype(np.uint8)).save(root / label / f"{number:02}.png")
    return root
