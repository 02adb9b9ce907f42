"""A frozen Keras model as a float TFLite file, and a pool of interpreters that run it.

Filling a cache is inference, and TensorFlow is not the fastest way to infer on a CPU: MobileNetV2,
pooled, 2 cores, 79 images a second with Keras and 247 with one LiteRT interpreter per core.
"""

from __future__ import annotations

import logging
import os
import queue
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from tfxfer.device import list_gpus
from tfxfer.errors import ModelError
from tfxfer.frontier.chunk import count_chunk_images
from tfxfer.system.quiet import quiet_native
from tfxfer.system.scratch import scratch_folder

__all__ = [
    "InterpreterPool",
    "KerasRunner",
    "Runner",
    "convert_float",
    "make_runner",
    "prune_outputs",
]

Runner = Callable[[np.ndarray | Sequence[np.ndarray]], list[np.ndarray]]
"""Maps the model's inputs (batch, …) to its outputs, both in the model's order."""

_TOLERANCE = 1e-3  # of the output's own scale; a good conversion differs by about 1e-5

_INPUT = "input_"  # and its number: what a converted file calls each input

_log = logging.getLogger(__name__)


def convert_float(
    model: Any, *, batch_size: int, shapes: Sequence[Sequence[int]] | None = None
) -> bytes:
    """Returns a float32 TFLite flatbuffer of a Keras model, with a fixed batch size.

    The weights are constants from the start: freezing variables afterwards takes three times as
    long as the rest, and converting an unfrozen function writes a file without its weights and
    says nothing.

    Args:
        model: functional.
        batch_size: that the file takes.
        shapes: of one sample's inputs, where the model leaves a side open; None has the model's.

    Shapes: inputs (batch_size, …) as the model's; outputs in the model's order.

    Raises:
        ModelError: an operation has no TFLite builtin.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    trained = [np.asarray(value) for value in model.trainable_variables]
    others = [np.asarray(value) for value in model.non_trainable_variables]

    def run(*inputs: Any) -> Any:
        constants = ([tf.constant(value) for value in values] for values in (trained, others))
        given = list(inputs) if len(inputs) > 1 else inputs[0]
        outputs, _ = model.stateless_call(*constants, given, training=False)
        return outputs

    specs = [
        tf.TensorSpec((batch_size, *shape), tensor.dtype, name=f"{_INPUT}{number}")
        for number, (tensor, shape) in enumerate(
            zip(model.inputs, _list_shapes(model, shapes), strict=True)
        )
    ]
    try:
        with quiet_native():
            function = tf.function(run, autograph=False).get_concrete_function(*specs)
            if function.captured_inputs:  # what a layer holds beside its Keras variables
                function = convert_variables_to_constants_v2(function)
            return bytes(
                tf.compat.v1.lite.TFLiteConverter(
                    function.graph.as_graph_def(), function.inputs, function.outputs
                ).convert()
            )
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"model {model.name!r}: expected operations with TFLite builtins. Received: {first}"
        ) from error


def prune_outputs(
    content: bytes, positions: Sequence[int], *, inputs: Sequence[int] | None = None
) -> bytes:
    """Returns a flatbuffer that computes some of another one's outputs and nothing else.

    Args:
        content: a file that `convert_float` made.
        positions: of the outputs, which come in this order.
        inputs: positions of those that these outputs are computed from; None keeps all.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]  # the others are the bodies of its loops and branches
    graph.outputs = [graph.outputs[position] for position in positions]
    needed, operators = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            operators.append(operator)
    graph.operators = operators[::-1]
    if inputs is not None:
        given = sorted(graph.inputs, key=lambda tensor: _position(str(graph.tensors[tensor].name)))
        graph.inputs = [given[position] for position in inputs]
    model.signatureDefs = []  # they name the outputs of before
    # Weights end up aligned to 4 bytes, not to the 16 of the schema: enough for float32.
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class InterpreterPool:
    """One single-threaded interpreter per core over one flatbuffer.

    Args:
        content: the flatbuffer, with a fixed batch size, which stays an attribute.
        batch_size: that size.
        workers: interpreters; None is one per core.
    """

    def __init__(self, content: bytes, *, batch_size: int, workers: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.content, self.batch_size = content, batch_size
        self.workers = workers or os.cpu_count() or 1
        # A path, so that the weights are mapped once instead of copied per interpreter.
        with scratch_folder("litert") as folder:
            file = folder / "model.tflite"
            file.write_bytes(content)
            with quiet_native():
                interpreters = [
                    Interpreter(model_path=str(file), num_threads=1) for _ in range(self.workers)
                ]
                for interpreter in interpreters:
                    interpreter.allocate_tensors()
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for interpreter in interpreters:
            self._free.put(interpreter)
        # By name: nothing promises that a file lists its inputs in the order of the function's.
        ends = sorted(interpreters[0].get_input_details(), key=lambda end: _position(end["name"]))
        self._inputs = [(end["index"], np.dtype(end["dtype"])) for end in ends]
        self._outputs = [item["index"] for item in interpreters[0].get_output_details()]
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="litert")

    def __call__(self, inputs: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs for any number of samples, split over the interpreters."""
        inputs = [inputs] if isinstance(inputs, np.ndarray) else inputs
        chunks = [
            [values[start : start + self.batch_size] for values in inputs]
            for start in range(0, len(inputs[0]), self.batch_size)
        ]
        parts = list(self._threads.map(self._run, chunks))
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _run(self, chunk: Sequence[np.ndarray]) -> list[np.ndarray]:
        interpreter, count = self._free.get(), len(chunk[0])
        try:
            for (index, dtype), values in zip(self._inputs, chunk, strict=True):
                batch = np.zeros((self.batch_size, *values.shape[1:]), dtype)
                batch[:count] = values
                interpreter.set_tensor(index, batch)
            interpreter.invoke()
            return [interpreter.get_tensor(index)[:count] for index in self._outputs]
        finally:
            self._free.put(interpreter)

    def close(self) -> None:
        """Ends the threads; the pool cannot be called after."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class KerasRunner:
    """The same call through Keras, for backends and models that LiteRT does not take."""

    workers = 1

    def __init__(self, model: Any, *, batch_size: int = 32) -> None:
        self._model, self.batch_size = model, batch_size

    def __call__(self, inputs: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs for any number of samples, computed in batches of one size.

        A smaller last batch would be compiled anew under JAX and on a GPU.
        """
        inputs = [inputs] if isinstance(inputs, np.ndarray) else inputs
        count, whole = len(inputs[0]), []
        for tensor, values in zip(self._model.inputs, inputs, strict=True):
            padding = np.zeros((-count % self.batch_size, *values.shape[1:]), tensor.dtype)
            whole.append(np.concatenate([np.asarray(values, tensor.dtype), padding]))
        outputs = self._model.predict(
            whole if len(whole) > 1 else whole[0], batch_size=self.batch_size, verbose=0
        )
        found = outputs if isinstance(outputs, Sequence) else [outputs]
        return [np.asarray(x)[:count] for x in found]

    def close(self) -> None:
        """Does nothing; there are no threads."""


def make_runner(
    model: Any,
    *,
    use_litert: bool = True,
    content: bytes | None = None,
    batch_size: int | None = None,
    shapes: Sequence[Sequence[int]] | None = None,
) -> InterpreterPool | KerasRunner:
    """Returns the fastest exact way to run a model on this machine's CPU.

    LiteRT is used when Keras runs on TensorFlow, without a GPU, and the converted file gives the
    same outputs on a probe; otherwise Keras.

    Args:
        model: functional; its weights must not change while the runner is used.
        use_litert: False always takes Keras.
        content: the model's flatbuffer; None converts it.
        batch_size: that `content` has, in samples; None is `count_chunk_images` of the inputs.
        shapes: see `convert_float`.
    """
    if _sees_gpu():
        return KerasRunner(model, batch_size=128)
    takes_litert = keras.backend.backend() == "tensorflow" and find_spec("ai_edge_litert")
    if not use_litert or not takes_litert:
        return KerasRunner(model)
    whole = _list_shapes(model, shapes)
    chunk = batch_size or count_chunk_images(*whole)
    try:
        if content is None:
            content = convert_float(model, batch_size=chunk, shapes=shapes)
        pool = InterpreterPool(content, batch_size=chunk)
    except (ModelError, ValueError, RuntimeError) as error:
        _log.warning("caching runs through Keras, which is slower: %s", error)
        return KerasRunner(model)
    try:
        if _matches_keras(pool, model, whole):
            return pool
        _log.warning("caching runs through Keras, which is slower: the LiteRT outputs differ")
    except (ValueError, RuntimeError) as error:
        _log.warning("caching runs through Keras, which is slower: %s", error)
    pool.close()
    return KerasRunner(model)


def _sees_gpu() -> bool:
    if keras.backend.backend() != "tensorflow":
        return bool(list_gpus())
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))  # without what `--device cpu` hides


def _list_shapes(model: Any, shapes: Sequence[Sequence[int]] | None) -> tuple[Sequence[int], ...]:
    """Returns the shapes of one sample's inputs: those given, or the model's own."""
    return tuple(tensor.shape[1:] for tensor in model.inputs) if shapes is None else tuple(shapes)


def _matches_keras(pool: InterpreterPool, model: Any, shapes: Sequence[Sequence[int]]) -> bool:
    rng = np.random.default_rng(0)
    # Of whole numbers, such as token ids and masks, 0 and 1 are the ones that are never too large.
    probe = [
        rng.uniform(0, 255, (2, *shape)).astype(tensor.dtype)
        if tensor.dtype.startswith("float")
        else rng.integers(0, 2, (2, *shape)).astype(tensor.dtype)
        for tensor, shape in zip(model.inputs, shapes, strict=True)
    ]
    expected = model(probe if len(probe) > 1 else probe[0], training=False)
    wanted = expected if isinstance(expected, Sequence) else [expected]
    for ours, theirs in zip(pool(probe), wanted, strict=True):
        reference = np.asarray(theirs)
        if ours.shape != reference.shape:
            return False
        # Not `>`: a NaN would pass.
        if not np.abs(ours - reference).max() <= _TOLERANCE * max(np.abs(reference).max(), 1e-6):
            return False
    return True


def _position(name: str) -> int:
    """Returns the number of an input, which a signature may prefix and a suffix follow."""
    found = re.search(rf"{_INPUT}(\d+)", name)
    return int(found[1]) if found else 0
