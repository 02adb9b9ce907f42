"""A `.tflite` image model that takes pixels 0..255 and answers in float32."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.frontier.chunk import count_chunk_images
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.arguments import check_path
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.tflite.soundness import read_sound_model

__all__ = ["TFLiteModel", "Tensor"]

_SIGNED_TO_UNSIGNED = 128
_DTYPES = ("float32", "uint8", "int8", "int16")


@dataclass(frozen=True)
class Tensor:
    """The input or the output of a model.

    Args:
        name: in the file.
        shape: with -1 where the batch size is free.
        dtype: `float32`, `uint8`, `int8` or `int16`.
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


class TFLiteModel:
    """An image model that LiteRT runs, with a fixed or a free batch size.

    Args:
        path_or_bytes: a file, or its content.
        threads: of LiteRT's kernels.
        workers: interpreters that share the images of one call; each holds its own tensors. Some
            kernels, such as those of 16-bit activations, run on one thread only.
        preprocessing: what pixels go through before a float input; None takes the metadata's word.

    Attributes:
        source: the path, for messages.
        content: the file's bytes.
        input: one square RGB image or several.
        output: one row of scores per image.

    Raises:
        ModelError: no TFLite file, a truncated one, or not an image model with one input and one
            output.
    """

    def __init__(
        self,
        path_or_bytes: str | Path | bytes | bytearray,
        *,
        threads: int = 1,
        workers: int = 1,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        self.source, self.content = _read(path_or_bytes)
        self._given = preprocessing
        try:
            # First: the C++ runtime would follow numbers that lead out of the file.
            read_sound_model(self.content)
            self._interpreters = [
                load_interpreter(self.content, threads=threads) for _ in range(workers)
            ]
        except ModelError as error:
            raise self._named(error) from error
        sources = self._interpreters[0].get_input_details()
        targets = self._interpreters[0].get_output_details()
        if len(sources) != 1 or len(targets) != 1:
            raise ModelError(
                f"model {self.source!r}: expected one input and one output. "
                f"Received: {len(sources)} and {len(targets)}."
            )
        self._source_index, self._target_index = sources[0]["index"], targets[0]["index"]
        self.input, self.output = _tensor(sources[0]), _tensor(targets[0])
        self._check()

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.input.shape[1]

    @property
    def outputs(self) -> int:
        """Scores per image."""
        return int(np.prod(self.output.shape[1:]))

    @property
    def is_dynamic(self) -> bool:
        """Whether the batch size is free."""
        return self.input.shape[0] == -1

    @cached_property
    def card(self) -> ModelCard | None:
        """What the file says of itself; None where it has no metadata.

        Raises:
            ModelError: the metadata is damaged.
        """
        try:
            return read_metadata(self.content)
        except ModelError as error:
            raise self._named(error) from error

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What pixels 0..255 become at the input: as given, else quantized, else by metadata.

        Raises:
            ModelError: a float input, and nothing says what it wants.
        """
        if self._given is not None:
            return self._given
        if self.input.dtype in ("uint8", "int8"):
            # Bytes go in as they are: scale and zero point say what they stand for.
            scale = self.input.scale or 1.0
            zero = self.input.zero_point + (
                _SIGNED_TO_UNSIGNED if self.input.dtype == "int8" else 0
            )
            return Preprocessing(scale=(scale,) * 3, offset=(-scale * zero,) * 3)
        found = None if self.card is None else self.card.preprocessing
        if found is None:
            raise ModelError(
                f"model {self.source!r}: expected metadata that says what pixels go through before "
                f"the {self.input.dtype} input. Received: none. Give preprocessing=."
            )
        return found

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels as the input tensor holds them, as a phone does it.

        Shapes: pixels (images, size, size, 3), 0..255; returns the same in the input's type.
        """
        pixels = np.asarray(pixels)
        size = self.image_size
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            raise ModelError(
                f"model {self.source!r}: expected pixels (images, {size}, {size}, 3). "
                f"Received: shape={pixels.shape}."
            )
        if self.input.dtype in ("uint8", "int8"):
            steps = np.clip(np.rint(pixels), 0, 255)
            shift = _SIGNED_TO_UNSIGNED if self.input.dtype == "int8" else 0
            return (steps.astype(np.int16) - shift).astype(self.input.dtype)
        return self.input.quantize(self.preprocessing.apply(pixels))

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the scores of what `encode` returned.

        Shapes: float32 (images, outputs).
        """
        shape = self.input.shape
        step = count_chunk_images(shape[1:]) if self.is_dynamic else shape[0]
        chunks = [inputs[i : i + step] for i in range(0, len(inputs), step)]
        shares = [chunks[n :: len(self._interpreters)] for n in range(len(self._interpreters))]
        # Quiet around the threads: within them it would redirect one descriptor twice.
        with quiet_native(), ThreadPoolExecutor(len(shares)) as pool:
            done = list(pool.map(self._invoke_all, self._interpreters, shares))
        parts = [done[n % len(shares)][n // len(shares)] for n in range(len(chunks))]
        return np.concatenate(parts) if parts else np.zeros((0, self.outputs), np.float32)

    def score(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the scores of images.

        Shapes: pixels (images, size, size, 3), 0..255; returns float32 (images, outputs).
        """
        return self.run(self.encode(pixels))

    def _invoke_all(self, interpreter: Any, chunks: list[np.ndarray]) -> list[np.ndarray]:
        return [self._invoke(interpreter, chunk) for chunk in chunks]

    def _invoke(self, interpreter: Any, chunk: np.ndarray) -> np.ndarray:
        count = len(chunk)
        if self.is_dynamic:
            if interpreter.get_input_details()[0]["shape"][0] != count:
                interpreter.resize_tensor_input(self._source_index, chunk.shape)
                interpreter.allocate_tensors()
        elif count < self.input.shape[0]:
            missing = self.input.shape[0] - count
            chunk = np.concatenate([chunk, np.repeat(chunk[-1:], missing, axis=0)])
        interpreter.set_tensor(self._source_index, np.ascontiguousarray(chunk))
        try:
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"model {self.source!r}: expected a file LiteRT runs. Received: {first}"
            ) from error
        steps = interpreter.get_tensor(self._target_index)[:count]
        return self.output.dequantize(steps).reshape(count, -1)

    def _check(self) -> None:
        shape, output = self.input.shape, self.output.shape
        if len(shape) != 4 or shape[1] < 1 or shape[1] != shape[2] or shape[3] != 3:
            raise ModelError(
                f"model {self.source!r}: expected a square image input (batch, size, size, 3). "
                f"Received: shape={shape}."
            )
        if len(output) < 2 or min(output[1:]) < 1 or output[0] not in (-1, shape[0]):
            raise ModelError(
                f"model {self.source!r}: expected an output (batch, scores). "
                f"Received: shape={output}."
            )
        for end in (self.input, self.output):
            if end.dtype not in _DTYPES:
                raise ModelError(
                    f"model {self.source!r}: expected an input and an output of {_DTYPES}. "
                    f"Received: {end.name!r} is {end.dtype}."
                )

    def _named(self, error: ModelError) -> ModelError:
        return ModelError(f"model {self.source!r}: {str(error).removeprefix('model: ')}")


def _read(path_or_bytes: str | Path | bytes | bytearray) -> tuple[str, bytes]:
    if isinstance(path_or_bytes, (bytes, bytearray)):
        return "bytes", bytes(path_or_bytes)
    path = check_path(path_or_bytes, where="model", name="path_or_bytes")
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .tflite file. Received: {error.strerror or error}."
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
