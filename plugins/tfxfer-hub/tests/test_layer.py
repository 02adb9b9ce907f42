from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import build_model, fit
from tfxfer.schedule import Phase
from tfxfer_hub.pure_graph import PureGraph, UnsafeGraphError, find_impure

pytestmark = pytest.mark.versions

LABELS = ("a", "b")


def snapshot(model: Any) -> dict[str, np.ndarray]:
    return {weight.path: np.array(weight) for weight in model.get_layer("hub").weights}


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> list[str]:
    return [path for path, value in before.items() if not np.array_equal(value, after[path])]


@pytest.fixture
def pair(pixels: np.ndarray) -> Any:
    import tensorflow as tf

    targets = np.eye(2, dtype=np.float32)[np.arange(len(pixels)) % 2]
    dataset = tf.data.Dataset.from_tensor_slices((pixels, targets)).batch(3)
    return dataset, dataset


def test_frozen_it_holds_still_and_unfrozen_its_kernels_move(model: Any, pair: Any) -> None:
    import keras

    seen: list[dict[str, np.ndarray]] = [snapshot(model)]
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(snapshot(model))
    )
    phases = (
        Phase("head", "backbone", 1, 1e-2, warmup=0),
        Phase("fine_tune", None, 1, 1e-2, warmup=0, decay="constant"),
    )
    history = fit(model, pair, schedule=phases, callbacks=[watch], verbose=0)
    before, head, fine_tuned = seen
    assert moved(before, head) == []
    kernels = ["conv_bias", "conv_kernel", "dense_bias", "dense_kernel"]
    assert moved(head, fine_tuned) == [f"hub/{name}" for name in kernels]
    first, second = history.state.records
    assert (first.cached, second.cached) == (True, True)
    assert second.trainable_parameters - first.trainable_parameters == 3 * 9 * 8 + 8 + 8 * 6 + 6


def test_fine_tuning_learns(model: Any, pixels: np.ndarray) -> None:
    import keras

    classes = np.arange(len(pixels)) % 2
    targets = np.eye(2, dtype=np.float32)[classes]
    pixels = pixels * np.where(classes, 1.0, 0.2)[:, None, None, None]  # light and dark
    before = snapshot(model)
    model.get_layer("head_dense").trainable = False  # whatever is learnt, the module learns
    model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy")
    losses = [model.evaluate(pixels, targets, verbose=0)]
    model.fit(pixels, targets, epochs=60, verbose=0)
    losses.append(model.evaluate(pixels, targets, verbose=0))
    assert losses[1] < 0.5 * losses[0]
    assert len(moved(before, snapshot(model))) == 4
    for weight in model.get_layer("hub").weights:  # what was learnt is in these
        weight.assign(before[weight.path])
    assert model.evaluate(pixels, targets, verbose=0) == pytest.approx(losses[0])


def test_the_modules_penalty_is_part_of_training_only(model: Any, pixels: np.ndarray) -> None:
    layer = model.get_layer("hub")
    kernel = next(np.array(weight) for weight in layer.weights if weight.name == "conv_kernel")
    for training, trainable, expected in (
        (True, True, [0.01 * np.sum(kernel**2)]),
        (True, False, []),
        (False, True, []),
    ):
        layer.trainable = trainable
        model(pixels, training=training)
        np.testing.assert_allclose([float(loss) for loss in model.losses], expected, rtol=1e-5)


def test_a_clone_has_weights_of_its_own(model: Any, pixels: np.ndarray) -> None:
    import keras

    before = np.asarray(model(pixels))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(np.asarray(clone(pixels)), before)
    for weight in clone.get_layer("hub").weights:
        weight.assign(weight + 1)
    np.testing.assert_array_equal(np.asarray(model(pixels)), before)
    assert not np.array_equal(np.asarray(clone(pixels)), before)


def test_a_saved_model_needs_neither_tfxfer_nor_the_module(
    network: Any, pixels: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "module"
    network.save(folder, save_format="tf")
    model = build_model(f"hub:{folder}", labels=LABELS)
    kernel = next(w for w in model.get_layer("hub").weights if w.name == "conv_kernel")
    kernel.assign(kernel * 1.5)  # as a training leaves it: not what the module holds
    expected = np.asarray(model(pixels))
    model.save(tmp_path / "model.keras")
    folder.rename(tmp_path / "elsewhere")
    np.save(tmp_path / "pixels.npy", pixels)
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tfxfer", "tensorflow_hub"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import keras, numpy as np
import tfxfer_hub.layer
model = keras.models.load_model({str(tmp_path / "model.keras")!r})
outputs = np.asarray(model(np.load({str(tmp_path / "pixels.npy")!r})))
np.save({str(tmp_path / "outputs.npy")!r}, outputs)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    loaded = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(loaded, expected, rtol=1e-5, atol=1e-6)
    kernel.assign(kernel / 1.5)
    assert np.abs(np.asarray(model(pixels)) - loaded).max() > 1e-3


def test_its_file_is_read_away_from_its_run(
    model: Any, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from tfxfer.inference.keras_model import read_keras_file

    expected = np.asarray(model(pixels))
    model.save(tmp_path / "elsewhere.keras")
    # As in a process that has not imported the layer.
    monkeypatch.delitem(keras.saving.get_custom_objects(), "tfxfer_hub>HubLayer")
    monkeypatch.delitem(sys.modules, "tfxfer_hub.layer")
    found = np.asarray(read_keras_file(tmp_path / "elsewhere.keras")(pixels))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_two_builds_are_alike_to_the_byte(saved: Path, built: Any) -> None:
    first, second = built, build_model(f"hub:{saved}#pixels=0..1", labels=LABELS)
    paths = [weight.path for weight in first.weights]
    assert paths == [weight.path for weight in second.weights]
    assert len(set(paths)) == len(paths)
    assert first.get_config() == second.get_config()


def test_export_is_exact_in_float_and_close_in_int8(model: Any, pixels: np.ndarray) -> None:
    import tfxfer_edge
    from tfxfer_edge.tflite.runtime import load_interpreter

    def score(content: bytes, image: np.ndarray) -> np.ndarray:
        interpreter = load_interpreter(content)
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.set_tensor(source["index"], image.astype(source["dtype"]))
        interpreter.invoke()
        scale, zero = target["quantization"]
        value = interpreter.get_tensor(target["index"]).astype(np.float32)
        return value if not scale else (value - zero) * scale

    images = pixels.round().astype(np.uint8)
    expected = np.asarray(model(images[:1].astype(np.float32)))
    exact = tfxfer_edge.convert(model, recipe="float32")
    np.testing.assert_allclose(score(exact.content, images[:1] / 255), expected, atol=1e-5)
    small = tfxfer_edge.convert(model, recipe="int8", calibration=images)
    assert small.input_dtype == "uint8"
    np.testing.assert_allclose(score(small.content, images[:1]), expected, atol=0.03)
    # Negative controls: another image, and weights that moved.
    assert np.abs(score(exact.content, images[:1] / 128) - expected).max() > 1e-4
    for weight in model.get_layer("hub").trainable_weights:
        weight.assign(weight * 2)
    assert np.abs(np.asarray(model(images[:1].astype(np.float32))) - expected).max() > 0.03


def record(function: Callable[..., Any]) -> Any:
    """Returns the GraphDef of a function of one image."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, 4, 4, 3), tf.float32)
    return tf.function(function, autograph=False).get_concrete_function(spec).graph.as_graph_def()


def write_file(image: Any) -> Any:
    import tensorflow as tf

    tf.io.write_file("never", "written")
    return image


def read_file(image: Any) -> Any:
    import tensorflow as tf

    return image + tf.io.decode_raw(tf.io.read_file("never"), tf.float32)[0]


def map_file(image: Any) -> Any:
    import tensorflow as tf

    constant = tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=(), memory_region_name="never")
    return image + constant


def run_python(image: Any) -> Any:
    import tensorflow as tf

    return tf.numpy_function(lambda x: x, [image], tf.float32)


def hide_in_a_function(image: Any) -> Any:
    import tensorflow as tf

    return tf.function(map_file)(image)


@pytest.mark.parametrize(
    "function", [write_file, read_file, map_file, run_python, hide_in_a_function]
)
def test_a_file_with_more_than_arithmetic_is_refused_in_safe_mode(
    function: Callable[..., Any], model: Any, tmp_path: Path
) -> None:
    from tfxfer_hub.layer import HubLayer

    config = model.get_layer("hub").get_config()
    HubLayer.from_config(config)  # the negative control: an honest graph is taken
    graph = PureGraph.from_config(config["graph"])
    definition = graph.graph_def
    definition.MergeFrom(record(function))
    assert find_impure(definition)
    forged = replace(graph, definition=definition.SerializeToString())
    with pytest.raises(UnsafeGraphError, match=r"compute numbers from numbers\. Received: \w+ \("):
        HubLayer.from_config({**config, "graph": forged.to_config()})


def test_the_layer_lets_no_more_pass_than_the_core_does() -> None:
    """They have lists of their own: a saved model loads without tfxfer."""
    from tfxfer import saved_model
    from tfxfer_hub import pure_graph

    assert pure_graph._WORDS <= saved_model._WORDS
    assert pure_graph._WRAPPERS <= saved_model._WRAPPERS


def test_a_graph_that_unpacks_to_gigabytes_is_refused(model: Any) -> None:
    import base64
    import zlib

    config = model.get_layer("hub").get_config()["graph"]
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(bytes(2**20)) for _ in range(257)) + bomb.flush()
    with pytest.raises(UnsafeGraphError, match="at most 256 MiB"):
        PureGraph.from_config({**config, "definition": base64.b64encode(packed).decode()})
