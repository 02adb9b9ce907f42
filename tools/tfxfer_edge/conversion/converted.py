"""What a conversion made: a file, and what its reader must know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfxfer.preprocessing import Preprocessing
from tfxfer.system.files import atomic_write
from tfxfer_edge.conversion.ends import ModelInput
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.door import IMAGE

__all__ = ["Converted", "Engine", "Quantization"]

Engine = Literal["quantizer", "converter"]
Quantization = tuple[float, int]


@dataclass(frozen=True)
class Converted:
    """A file, and what its reader must know.

    Args:
        content: the file.
        recipe: how it was quantized.
        engine: what did it: `quantizer`, `converter`, or `keras` for ONNX.
        input_shape: (batch, height, width, channels); batch is None where it is free. Of several
            inputs that of the first, as the next three.
        input_dtype: `uint8` takes pixels as they are.
        output_dtype: of the scores.
        input_quantization: (scale, zero point); None for a float input.
        output_quantization: the same of the output.
        normalization: what pixels go through before a float input, onto whole steps where integers
            come next; for an integer input, what its scale and zero point stand for.
        preprocessing: what pixels go through in all, where that is known.
        inputs: of the graph that it was made from.
        modality: what it reads.
        kept_float: layers that a selective recipe left in float.
        notes: what a person should know, one line each.
    """

    content: bytes
    recipe: Recipe
    engine: str
    input_shape: tuple[int | None, ...]
    input_dtype: str
    output_dtype: str
    input_quantization: Quantization | None
    output_quantization: Quantization | None
    normalization: Preprocessing
    preprocessing: Preprocessing | None = None
    inputs: tuple[ModelInput, ...] = ()
    modality: str = IMAGE
    kept_float: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Of a file name."""
        return ".onnx" if self.recipe.kind == "onnx" else ".tflite"

    def save(self, path: str | Path) -> None:
        """Writes the file in one step.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.content)
