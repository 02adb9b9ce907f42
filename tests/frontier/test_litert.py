from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer import ModelError
from tfxfer.frontier import litert
from tfxfer.frontier.chunk import count_chunk_images
from tfxfer.frontier.litert import (
    InterpreterPool,
    KerasRunner,
    convert_float,
    make_runner,
    prune_outputs,
)

pytestmark = pytest.mark.versions

PIXELS = np.random.default_rng(0).uniform(0, 255, (11, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def prefix(make_tiny: Callable[..., Any]) -> Any:
    """Twelve outputs, not in the order of the graph: names of ten and more sort badly."""
    import keras

    model = make_tiny()
    layers = [layer for layer in model.layers if layer.name.startswith(("stem", "block"))]
    outputs = [layer.output for layer in layers[::-1]]
    return keras.Model(model.inputs[0], outputs[:12])


@pytest.fixture(scope="module")
def pool(prefix: Any) -> Any:
    pool = InterpreterPool(convert_float(prefix, batch_size=4), batch_size=4, workers=2)
    yield pool
    pool.close()


def differ(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    assert [x.shape for x in first] == [x.shape for x in second]
    return max(float(np.abs(x - y).max()) for x, y in zip(first, second, strict=True))


def test_the_outputs_are_keras_s_in_the_model_s_order(prefix: Any, pool: Any) -> None:
    assert len(prefix.outputs) == 12
    expected = KerasRunner(prefix)(PIXELS)
    assert differ(pool(PIXELS), expected) < 1e-4
    # The same check fails where the network is another one.
    kernel = prefix.get_layer("block_3_conv").kernel
    before = np.array(kernel)
    try:
        kernel.assign(before * 1.01)
        assert differ(pool(PIXELS), KerasRunner(prefix)(PIXELS)) > 1e-4
    finally:
        kernel.assign(before)


def test_any_number_of_images_is_split_over_the_interpreters(pool: Any) -> None:
    whole = pool(PIXELS)
    for count in (1, 4, 5, 11):
        assert differ(pool(PIXELS[:count]), [x[:count] for x in whole]) < 1e-6
    assert np.array_equal(pool(PIXELS.astype(np.uint8))[0], pool(np.floor(PIXELS))[0])


def test_some_outputs_are_kept_in_another_order(prefix: Any, pool: Any) -> None:
    whole, positions = pool(PIXELS), (11, 4)
    content = prune_outputs(pool.content, positions)
    part = InterpreterPool(content, batch_size=4, workers=1)
    found = part(PIXELS)
    part.close()
    assert differ(found, [whole[position] for position in positions]) == 0
    assert not np.array_equal(found[1], whole[positions[0]])


def test_a_loop_is_kept_with_its_body() -> None:
    import keras
    import tensorflow as tf

    class Grow(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            steps = tf.cast(tf.reduce_sum(x), tf.int32)
            return tf.while_loop(lambda n, _: n < steps, lambda n, y: (n + 1, y + x), (0, x))[1]

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    inputs = keras.Input((2,))
    grown = Grow()(inputs)
    model = keras.Model(inputs, [grown, keras.layers.Rescaling(10.0)(grown)])
    content = convert_float(model, batch_size=1)
    pool = InterpreterPool(prune_outputs(content, [0]), batch_size=1, workers=1)
    (found,) = pool(np.array([[1.0, 2.0]], np.float32))
    pool.close()
    assert found.tolist() == [[4.0, 8.0]]


def test_keras_meets_batches_of_one_size(prefix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = KerasRunner(prefix)(PIXELS)
    runner, shapes = KerasRunner(prefix, batch_size=4), set()

    def predict(inputs: np.ndarray, *, batch_size: int, verbose: int) -> Any:
        shapes.update(
            {len(inputs[at : at + batch_size]) for at in range(0, len(inputs), batch_size)}
        )
        return prefix(inputs, training=False)

    monkeypatch.setattr(prefix, "predict", predict)
    for count in (1, 4, 6, 11):
        assert differ(runner(PIXELS[:count]), [x[:count] for x in expected]) < 1e-4
    assert shapes == {4}


def test_what_comes_after_the_kept_outputs_is_not_computed(prefix: Any, pool: Any) -> None:
    def count(content: bytes) -> int:
        from ai_edge_litert.interpreter import Interpreter

        return len(Interpreter(model_content=content)._get_ops_details())

    # The outputs begin with the last layer's.
    counts = [count(prune_outputs(pool.content, [position])) for position in range(12)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_weights_that_keras_does_not_know_are_converted() -> None:
    import keras
    import tensorflow as tf

    class Shift(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.held = {"by": tf.Variable(3.0)}  # Keras looks at attributes, not into them

        def call(self, x: Any) -> Any:
            return x + self.held["by"]

    inputs = keras.Input((2,))
    layer = Shift()
    model = keras.Model(inputs, layer(inputs))
    assert not model.variables
    pool = InterpreterPool(convert_float(model, batch_size=1), batch_size=1, workers=1)
    (found,) = pool(np.ones((2, 2), np.float32))
    pool.close()
    assert np.array_equal(found, np.full((2, 2), 4.0))


@pytest.mark.parametrize(("size", "images"), [(32, 8), (96, 8), (160, 4), (224, 2), (384, 1)])
def test_fewer_large_images_a_call(size: int, images: int) -> None:
    assert count_chunk_images((size, size, 3)) == images


def test_a_conversion_is_compared_before_it_is_used(prefix: Any, pool: Any) -> None:
    shapes = litert._list_shapes(prefix, None)
    assert litert._matches_keras(pool, prefix, shapes)
    kernel = prefix.get_layer("block_3_conv").kernel
    before = np.array(kernel)
    try:
        for wrong in (before * 1.01, before * np.nan):
            kernel.assign(wrong)
            assert not litert._matches_keras(pool, prefix, shapes)
    finally:
        kernel.assign(before)

    def broken(pixels: Any) -> list[np.ndarray]:
        return [x * np.nan for x in pool(pixels)]

    assert not litert._matches_keras(broken, prefix, shapes)  # type: ignore[arg-type]


def test_the_fastest_exact_runner_is_chosen(prefix: Any) -> None:
    runner = make_runner(prefix)
    assert isinstance(runner, InterpreterPool)
    runner.close()
    assert isinstance(make_runner(prefix, use_litert=False), KerasRunner)


def test_a_gpu_runs_keras_in_large_batches(prefix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    small = make_runner(prefix, use_litert=False)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    for use_litert in (True, False):
        runner = make_runner(prefix, use_litert=use_litert)
        assert isinstance(runner, KerasRunner)
        assert runner.batch_size > small.batch_size


def test_so_does_a_gpu_under_jax(prefix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    batch_sizes = []
    for gpus in ([], ["cuda:0"]):
        monkeypatch.setattr(litert, "list_gpus", lambda gpus=gpus: gpus)
        runner = make_runner(prefix)
        assert isinstance(runner, KerasRunner)
        batch_sizes.append(runner.batch_size)
    assert batch_sizes == sorted(set(batch_sizes))


def test_keras_runs_what_litert_gets_wrong(
    prefix: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(litert, "_matches_keras", lambda pool, model, shapes: False)
    with caplog.at_level(logging.WARNING):
        assert isinstance(make_runner(prefix), KerasRunner)
    assert "the LiteRT outputs differ" in caplog.text


def test_keras_runs_what_has_no_builtin(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import keras
    import tensorflow as tf

    class Digamma(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.math.digamma(x)

    inputs = keras.Input((2,))
    model = keras.Model(inputs, Digamma()(inputs), name="odd")
    with pytest.raises(ModelError, match="model 'odd': expected operations with TFLite builtins"):
        convert_float(model, batch_size=1)
    with caplog.at_level(logging.WARNING):
        runner = make_runner(model)
    assert "runs through Keras" in caplog.text
    (found,) = runner(np.ones((3, 2), np.float32))
    np.testing.assert_allclose(found, -0.5772157, rtol=1e-5)
    assert "digamma" not in capfd.readouterr().err.lower()
