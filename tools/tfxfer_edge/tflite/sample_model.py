"""A `.tflite` model that takes samples as their modality reads them, and answers in float32."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ModelError
from tfxfer.frontier.chunk import count_chunk_images
from tfxfer.system.arguments import check_path
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.tflite.soundness import read_sound_model

__all__ = ["SampleModel", "Tensor", "read_content"]

_INPUT_DTYPES = ("float32", "uint8", "int8", "int16", "int32", "int64")
_OUTPUT_DTYPES = ("float32", "uint8", "int8", "int16")


@dataclass(frozen=True)
class Tensor:
    """An input or the output of a model.

    Args:
        name: in the file.
        shape: with -1 where the batch size is free.
        dtype: such as `float32`, `uint8` or `int32`.
        scale: real units per step; 0 where not quantized.
        zero_point: the step that stands for 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether steps stand for real values."""
        return self.scale != 0

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Returns real values as this tensor holds them."""
        if not self.is_quantized:
            return np.asarray(values, self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, steps: np.ndarray) -> np.ndarray:
        """Returns what this tensor holds as real values, float32."""
        if not self.is_quantized:
            return np.asarray(steps, np.float32)
        return (np.asarray(steps, np.float32) - self.zero_point) * np.float32(self.scale)


class SampleModel:
    """A model of any inputs that LiteRT runs, with a fixed or a free batch size.

    Args:
        path_or_bytes: a file, or its content.
        threads: of LiteRT's kernels.
        workers: interpreters that share the samples of one call; each holds its own tensors. Some
            kernels, such as those of 16-bit activations, run on one thread only.

    Attributes:
        source: the path, for messages.
        content: the file's bytes.
        inputs: in the file's order.
        output: one row of scores per sample.

    Raises:
        ModelError: no TFLite file, a truncated one, or one that is not of this kind.
    """

    def __init__(
        self,
        path_or_bytes: str | Path | bytes | bytearray,
        *,
        threads: int = 1,
        workers: int = 1,
    ) -> None:
        self.source, self.content = read_content(path_or_bytes)
        self._interpreters: list[Any] = []
        try:
            sources, targets = self._open(threads=threads, workers=workers)
        except ModelError as error:
            raise self._named(error) from error
        if len(targets) != 1 or not self._takes(len(sources)):
            raise ModelError(
                f"model {self.source!r}: expected one input and one output. "
                f"Received: {len(sources)} and {len(targets)}."
            )
        self.inputs, self.output = sources, targets[0]
        self._check()

    def _open(self, *, threads: int, workers: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Starts what runs the file, and returns its inputs and its outputs."""
        # First: the C++ runtime would follow numbers that lead out of the file.
        read_sound_model(self.content)
        for _ in range(workers):
            self._interpreters.append(load_interpreter(self.content, threads=threads))
        sources = self._interpreters[0].get_input_details()
        targets = self._interpreters[0].get_output_details()
        self._source_indices = [detail["index"] for detail in sources]
        self._target_indices = [detail["index"] for detail in targets]
        return tuple(map(_tensor, sources)), tuple(map(_tensor, targets))

    def _takes(self, inputs: int) -> bool:
        return inputs > 0

    @property
    def outputs(self) -> int:
        """Scores per sample."""
        return int(np.prod(self.output.shape[1:]))

    @property
    def is_dynamic(self) -> bool:
        """Whether the batch size is free."""
        return self.inputs[0].shape[0] == -1

    @cached_property
    def card(self) -> ModelCard | None:
        """What the file says of itself; None where it has no metadata.

        Raises:
            ModelError: the metadata is damaged.
        """
        try:
            return self._read_card()
        except ModelError as error:
            raise self._named(error) from error

    def _read_card(self) -> ModelCard | None:
        return read_metadata(self.content)

    def score(self, samples: Arrays) -> np.ndarray:
        """Returns the scores of samples.

        Args:
            samples: arrays by the names of the inputs; one array where there is one input.

        Shapes: (samples, …) each; returns float32 (samples, outputs).

        Raises:
            ModelError: samples of other inputs or sizes.
        """
        named = samples if isinstance(samples, dict) else {self.inputs[0].name: samples}
        arrays = []
        for end in self.inputs:
            found = None if end.name not in named else np.shape(named[end.name])
            if found is None or found[1:] != end.shape[1:]:
                raise ModelError(
                    f"model {self.source!r}: expected an input {end.name!r} of shape (samples, "
                    f"{', '.join(map(str, end.shape[1:]))}). "
                    f"Received: {'none' if found is None else found}."
                )
            arrays.append(end.quantize(named[end.name]))
        return self.run(arrays)

    def run(self, inputs: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Returns the scores of what the input tensors hold.

        Args:
            inputs: an array for each input, in the file's order; of one input the array alone.

        Shapes: (samples, …) each; returns float32 (samples, outputs).
        """
        arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        count, batch = len(arrays[0]), self.inputs[0].shape[0]
        shapes = [end.shape[1:] for end in self.inputs]
        step = count_chunk_images(*shapes) if self.is_dynamic else batch
        chunks = [[values[i : i + step] for values in arrays] for i in range(0, count, step)]
        shares = [chunks[n :: len(self._interpreters)] for n in range(len(self._interpreters))]
        # Quiet around the threads: within them it would redirect one descriptor twice.
        with quiet_native(), ThreadPoolExecutor(len(shares)) as pool:
            done = list(pool.map(self._invoke_all, self._interpreters, shares))
        parts = [done[n % len(shares)][n // len(shares)] for n in range(len(chunks))]
        return np.concatenate(parts) if parts else np.zeros((0, self.outputs), np.float32)

    def _invoke_all(self, interpreter: Any, chunks: list[list[np.ndarray]]) -> list[np.ndarray]:
        return [self._invoke(interpreter, chunk) for chunk in chunks]

    def _invoke(self, interpreter: Any, chunk: list[np.ndarray]) -> np.ndarray:
        count = len(chunk[0])
        if self.is_dynamic:
            if interpreter.get_input_details()[0]["shape"][0] != count:
                for index, values in zip(self._source_indices, chunk, strict=True):
                    interpreter.resize_tensor_input(index, values.shape)
                interpreter.allocate_tensors()
        elif count < self.inputs[0].shape[0]:
            missing = self.inputs[0].shape[0] - count
            chunk = [np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for x in chunk]
        try:
            for index, values in zip(self._source_indices, chunk, strict=True):
                interpreter.set_tensor(index, np.ascontiguousarray(values))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"model {self.source!r}: expected a file LiteRT runs. Received: {first}"
            ) from error
        steps = interpreter.get_tensor(self._target_indices[0])[:count]
        return self.output.dequantize(steps).reshape(count, -1)

    def _check(self) -> None:
        output, batch = self.output.shape, self.inputs[0].shape[:1]
        if len(output) < 2 or min(output[1:]) < 1 or output[0] not in (-1, *batch):
            raise ModelError(
                f"model {self.source!r}: expected an output (batch, scores). "
                f"Received: shape={output}."
            )
        ends = [(end, _INPUT_DTYPES) for end in self.inputs]
        for end, known in (*ends, (self.output, _OUTPUT_DTYPES)):
            if end.dtype not in known:
                raise ModelError(
                    f"model {self.source!r}: expected an input and an output of {known}. "
                    f"Received: {end.name!r} is {end.dtype}."
                )

    def _named(self, error: ModelError) -> ModelError:
        return ModelError(f"model {self.source!r}: {str(error).removeprefix('model: ')}")


def read_content(path_or_bytes: str | Path | bytes | bytearray) -> tuple[str, bytes]:
    """Returns what a file is called in messages, and its bytes.

    Raises:
        ModelError: it cannot be read.
    """
    if isinstance(path_or_bytes, (bytes, bytearray)):
        return "bytes", bytes(path_or_bytes)
    path = check_path(path_or_bytes, where="model", name="path_or_bytes")
    try:
        return str(path), read_bytes(path, MOST_MODEL_BYTES)
    except (OSError, LargeFileError) as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .tflite file. "
            f"Received: {getattr(error, 'strerror', None) or error}."
        ) from error


def _tensor(detail: Any) -> Tensor:
    signature = detail.get("shape_signature")
    shape = detail["shape"] if signature is None or not len(signature) else signature
    scale, zero = detail["quantization"]
    return Tensor(
        name=str(detail["name"]),
        shape=tuple(int(size) for size in shape),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero),
    )
