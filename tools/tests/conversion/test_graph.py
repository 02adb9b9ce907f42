from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import ModelError, UsageError
from tfxfer_edge import FrozenGraph, freeze
from tfxfer_edge.conversion.graph import describe_failure

pytestmark = pytest.mark.versions

MINUS_ONE_TO_ONE = Preprocessing.from_mean_std(mean=127.5, std=127.5)
IMAGENET = Preprocessing.from_mean_std(mean=(123.675, 116.28, 103.53), std=(58.4, 57.1, 57.4))


def differ(graph: FrozenGraph, model: Any, pixels: np.ndarray) -> float:
    """Returns the largest difference between the graph's scores and Keras's."""
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    return float(np.abs(graph.run(pixels) - expected).max())


def test_a_uniform_rescaling_leaves_the_graph(small: Any, small_graph: FrozenGraph) -> None:
    assert small_graph.input_shape == (1, 64, 64, 3)
    assert small_graph.outputs == 5
    assert small_graph.normalization == small_graph.preprocessing
    scale, zero = small_graph.input_quantization or (0, 0)
    assert (scale, zero) == pytest.approx((1 / 127.5, 127.5))
    assert small_graph.input_range == pytest.approx((-1, 1))


def test_scores_are_those_of_keras(
    small: Any, small_graph: FrozenGraph, photos: Callable[..., np.ndarray]
) -> None:
    pixels = photos(6)
    assert differ(small_graph, small, pixels) < 1e-5
    # The control: pixels a hundredth brighter.
    brighter = small(pixels.astype(np.float32) * 1.01, training=False)
    assert np.abs(small_graph.run(pixels) - np.asarray(brighter)).max() > 1e-4


def test_no_weight_is_left_outside(small: Any, small_graph: FrozenGraph) -> None:
    assert len(small_graph.function.captured_inputs) == 0
    assert len(small_graph.float_content) > 4 * small.count_params() * 0.8  # batch norm is folded


def test_a_tensor_made_outside_of_the_graph_is_frozen_too(
    photos: Callable[..., np.ndarray],
) -> None:
    pixels = keras.Input((64, 64, 3))
    norm = keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[9.0, 16.0, 25.0])
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(norm(pixels)))
    graph = freeze(model, preprocessing="in_graph")
    assert len(graph.function.captured_inputs) == 0
    assert differ(graph, model, photos(2)) < 1e-3
    assert graph.float_content


def test_per_channel_rescaling_stays(
    make_small: Callable[..., Any], photos: Callable[..., np.ndarray]
) -> None:
    model = make_small(list(IMAGENET.scale), list(IMAGENET.offset))
    graph = freeze(model, preprocessing="in_graph")
    assert graph.normalization == Preprocessing()
    assert graph.input_quantization == (1.0, 0.0)
    assert differ(graph, model, photos(2)) < 1e-5


def test_nothing_said_of_pixels_is_never_a_guess(make_small: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="in_graph"):
        freeze(make_small(None))


def test_another_word_is_refused(small: Any) -> None:
    with pytest.raises(UsageError, match="'imagenet'"):
        freeze(small, preprocessing="imagenet")  # type: ignore[arg-type]


def test_a_foreign_model_takes_what_it_is_given(
    make_small: Callable[..., Any], photos: Callable[..., np.ndarray]
) -> None:
    model, pixels = make_small(None), photos(3)
    for preprocessing in (MINUS_ONE_TO_ONE, IMAGENET):
        graph = freeze(model, preprocessing=preprocessing)
        expected = np.asarray(model(preprocessing.apply(pixels), training=False))
        np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-5)
        assert graph.preprocessing == preprocessing


def test_what_the_first_layer_does_may_be_said_and_must_be_true(small: Any) -> None:
    assert freeze(small, preprocessing=MINUS_ONE_TO_ONE).input_range == pytest.approx((-1, 1))
    with pytest.raises(ModelError, match="already maps pixels"):
        freeze(small, preprocessing=Preprocessing.from_mean_std(mean=0, std=255))


def test_a_model_of_ours_knows_its_preprocessing() -> None:
    from tfxfer import Backbone, build_model
    from tfxfer_heads import Classification

    class Tiny(Backbone):
        name = family = "tiny"
        default_image_size = 32
        preprocessing = MINUS_ONE_TO_ONE
        stages = ()

        def build(self, inputs: Any) -> Any:
            return keras.layers.Conv2D(4, 3, name="conv")(inputs)

    model = build_model(Tiny(), labels=["a", "b"], head=Classification(), weights=None)
    graph = freeze(model)
    assert graph.preprocessing == MINUS_ONE_TO_ONE
    assert graph.input_quantization is not None
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    assert differ(graph, model, pixels) < 1e-5


def test_the_batch_is_free_on_request(small: Any, photos: Callable[..., np.ndarray]) -> None:
    graph = freeze(small, preprocessing="in_graph", dynamic_batch=True)
    assert graph.input_shape == (None, 64, 64, 3)
    assert graph.run(photos(3)).shape == (3, 5)


def test_mixed_precision_is_converted_in_float32(photos: Callable[..., np.ndarray]) -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 255, dtype="mixed_bfloat16")(pixels)
    x = keras.layers.Conv2D(4, 3, strides=4, dtype="mixed_bfloat16")(x)
    x = keras.layers.GlobalAveragePooling2D(dtype="mixed_bfloat16")(x)
    model = keras.Model(pixels, keras.layers.Dense(3, dtype="mixed_bfloat16")(x))
    graph = freeze(model, preprocessing="in_graph")
    assert {x.dtype.name for x in graph.function.inputs + graph.function.outputs} == {"float32"}
    rough = np.asarray(model(photos(2).astype(np.float32)), np.float32)
    np.testing.assert_allclose(graph.run(photos(2)), rough, atol=0.02)
    assert len(graph.float_content) > 500


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(
    make_small: Callable[..., Any], value: float
) -> None:
    model = make_small()
    kernel = model.get_layer("block_project").kernel
    values = np.array(kernel)
    values[0, 0, 0, 0] = value
    kernel.assign(values)
    with pytest.raises(ModelError, match=r"1 NaN or infinite .*block_project/kernel"):
        freeze(model, preprocessing="in_graph")


def test_several_inputs_are_refused() -> None:
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    model = keras.Model([one, two], keras.layers.Flatten()(keras.layers.Add()([one, two])))
    with pytest.raises(ModelError, match="2 inputs"):
        freeze(model, preprocessing="in_graph")


def test_an_image_size_must_be_known() -> None:
    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels))
    with pytest.raises(ModelError, match="known size"):
        freeze(model, preprocessing="in_graph")


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"no model")
    (tmp_path / "model.keras").write_bytes(b"no model")
    (tmp_path / "folder").mkdir()
    for name in ("photo.jpg", "model.keras", "folder", "nothing.keras", "nothing.h5", "nothing"):
        with pytest.raises(ModelError, match=name):
            freeze(tmp_path / name, preprocessing="in_graph")
    with pytest.raises(ModelError, match="dict"):
        freeze({}, preprocessing="in_graph")


def test_code_in_a_file_runs_only_when_trusted(tmp_path: Path) -> None:
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda image: image * 2.0, output_shape=(8, 8, 3))(pixels)
    model = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))
    path = tmp_path / "lambda.keras"
    model.save(path)
    with pytest.raises(ModelError, match=r"lambda\.keras"):
        freeze(path, preprocessing="in_graph")
    graph = freeze(path, preprocessing="in_graph", trust=True)
    assert graph.run(np.full((1, 8, 8, 3), 3.0))[0, 0] == pytest.approx(6)


def test_a_saved_model_converts_with_its_weights(
    small: Any, tmp_path: Path, photos: Callable[..., np.ndarray]
) -> None:
    folder = tmp_path / "saved"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own export
        small.export(folder, verbose=False)
    graph = freeze(folder, preprocessing="in_graph")
    assert differ(graph, small, photos(2)) < 1e-5
    assert len(graph.float_content) > small.count_params() * 4
    with pytest.raises(UsageError, match="preprocessing"):
        freeze(folder)


def test_a_legacy_file_converts(tmp_path: Path, photos: Callable[..., np.ndarray]) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    pixels = tf_keras.Input((64, 64, 3))
    x = tf_keras.layers.Conv2D(4, 3, strides=4, activation="relu")(pixels)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(pixels, tf_keras.layers.Dense(3, activation="softmax")(x))
    path = tmp_path / "legacy.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "This file format is considered legacy"
        model.save(path)
    expected = np.asarray(model(MINUS_ONE_TO_ONE.apply(photos(2)), training=False))
    for source in (model, path):
        graph = freeze(source, preprocessing=MINUS_ONE_TO_ONE)
        np.testing.assert_allclose(graph.run(photos(2)), expected, atol=1e-5)
    assert len(graph.float_content) > 500
    with pytest.raises(UsageError, match="preprocessing"):
        freeze(path)


def test_a_flex_operation_is_refused_by_name() -> None:
    import tensorflow as tf

    class Sorted(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return tf.raw_ops.Betainc(a=inputs * 0 + 1.0, b=inputs * 0 + 2.0, x=inputs)

    pixels = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(pixels)
    model = keras.Model(pixels, Sorted(name="odd_layer")(x), name="flexible")
    with pytest.raises(ModelError, match=r"Betainc \(makes '.*odd_layer") as caught:
        _ = freeze(model, preprocessing="in_graph").float_content
    assert "\n" not in str(caught.value)


def test_any_other_failure_is_one_line(small_graph: FrozenGraph) -> None:
    text = describe_failure(small_graph, RuntimeError("out of luck\nat line 3"))
    assert text.endswith("Received: out of luck")
