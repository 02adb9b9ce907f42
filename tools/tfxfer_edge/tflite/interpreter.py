"""A `.tflite` image model that takes pixels 0..255 and answers in float32."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.tflite.sample_model import SampleModel, Tensor

__all__ = ["TFLiteModel", "Tensor"]

_SIGNED_TO_UNSIGNED = 128
_DTYPES = ("float32", "uint8", "int8", "int16")


class TFLiteModel(SampleModel):
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
        input: one square image or several, RGB or grey.
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
        self._given = preprocessing
        super().__init__(path_or_bytes, threads=threads, workers=workers)

    def _takes(self, inputs: int) -> bool:
        return inputs == 1

    @property
    def input(self) -> Tensor:
        """The only input."""
        return self.inputs[0]

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.input.shape[1]

    @property
    def channels(self) -> int:
        """3, of RGB, or 1, of grey."""
        return self.input.shape[3]

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
                f"the {self.input.dtype} input. Received: none. Give --preprocessing, in "
                "Python preprocessing=."
            )
        return found

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels as the input tensor holds them, as a phone does it.

        Shapes: pixels (images, size, size, channels), 0..255; returns the same in the input's type.
        """
        pixels = np.asarray(pixels)
        size, channels = self.image_size, self.channels
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, channels):
            raise ModelError(
                f"model {self.source!r}: expected pixels (images, {size}, {size}, {channels}). "
                f"Received: shape={pixels.shape}."
            )
        if self.input.dtype in ("uint8", "int8"):
            steps = np.clip(np.rint(pixels), 0, 255)
            shift = _SIGNED_TO_UNSIGNED if self.input.dtype == "int8" else 0
            return (steps.astype(np.int16) - shift).astype(self.input.dtype)
        return self.input.quantize(self.preprocessing.apply(pixels))

    def score(self, pixels: Arrays) -> np.ndarray:
        """Returns the scores of images.

        Shapes: pixels (images, size, size, channels), 0..255; returns float32 (images, outputs).
        """
        return self.run(self.encode(np.asarray(pixels)))

    def _check(self) -> None:
        shape = self.input.shape
        if len(shape) != 4 or shape[1] < 1 or shape[1] != shape[2] or shape[3] not in (1, 3):
            raise ModelError(
                f"model {self.source!r}: expected a square image input (batch, size, size, 3), or "
                f"of grey (batch, size, size, 1). Received: shape={shape}."
            )
        super()._check()
        if self.input.dtype not in _DTYPES:
            raise ModelError(
                f"model {self.source!r}: expected an input and an output of {_DTYPES}. "
                f"Received: {self.input.name!r} is {self.input.dtype}."
            )
