"""The ends that a model must have: inputs of known shapes, one tensor of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.sample import InputSpec
from tfxfer_edge.door import IMAGE

__all__ = ["BYTES", "ModelInput", "check_dtype", "check_ends", "check_named_ends", "image_input"]

BYTES = "uint8"


@dataclass(frozen=True)
class ModelInput:
    """One input of a file that is to be made.

    Args:
        name: in the file.
        shape: of one sample, without the batch.
        dtype: of the graph's input, before anything is quantized.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


def image_input(shape: tuple[int, int, int]) -> ModelInput:
    """Returns the only input of an image model: pixels as floats, whatever the model takes."""
    return ModelInput(IMAGE, shape)


def check_dtype(name: str, dtype: str) -> None:
    """Refuses an input of numbers that pixels do not come in.

    Raises:
        ModelError: names the type.
    """
    if dtype not in ("bfloat16", "float16", "float32", BYTES):
        raise ModelError(
            f"model {name!r}: expected an input of float32 or uint8. Received: dtype={dtype}."
        )


def check_named_ends(
    name: str, inputs: Any, outputs: Any, *, specs: Mapping[str, InputSpec], modality: str
) -> tuple[ModelInput, ...]:
    """Returns the inputs of a model whose modality says what they are, in the model's order.

    A text's length may be free in the model; the file gets that of the specs.

    Args:
        name: of the model, for messages.
        inputs: tensors.
        outputs: tensors.
        specs: what the modality says of each input, by name.
        modality: what the model reads.

    Raises:
        ModelError: other inputs than the modality's, or several outputs.
    """
    found = {item.name: tuple(item.shape)[1:] for item in inputs or []}
    fits = set(found) == set(specs) and all(
        _fits(shape, specs[key].shape) for key, shape in found.items()
    )
    if not fits:
        wanted = {key: spec.shape for key, spec in specs.items()}
        raise ModelError(
            f"model {name!r}: expected the inputs of modality {modality!r}, {wanted}. "
            f"Received: {found}."
        )
    _check_output(name, outputs)
    return tuple(ModelInput(key, specs[key].shape, specs[key].dtype) for key in found)


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size in (None, fixed) for size, fixed in pairs)


def check_ends(
    name: str, inputs: Any, outputs: Any, *, modality: str = IMAGE
) -> tuple[int, int, int]:
    """Returns height, width and channels of the only input.

    Args:
        name: of the model, for messages.
        inputs: tensors.
        outputs: tensors.
        modality: what the model reads, where it says so.

    Raises:
        ModelError: several inputs or outputs, or an input that is no image of known size.
    """
    shapes = [tuple(item.shape) for item in inputs or []]
    if modality != IMAGE or len(shapes) != 1 or len(shapes[0]) != 4:
        kind = "" if modality == IMAGE else f"modality {modality!r}, "
        shown = " and ".join(map(str, shapes)) or "none"
        raise ModelError(
            f"model {name!r}: expected one input, an image (batch, height, width, channels). "
            f"Received: {kind}{len(shapes)} inputs, of shape {shown}. "
            "Other models are converted as tfxfer trains them: from a run."
        )
    _check_output(name, outputs)
    (shape,) = shapes
    if None in shape[1:]:
        raise ModelError(
            f"model {name!r}: expected an input (batch, height, width, channels) of known size. "
            f"Received: shape={shape}. Rebuild the model with a fixed image size."
        )
    return (int(shape[1]), int(shape[2]), int(shape[3]))


def _check_output(name: str, outputs: Any) -> None:
    if len(outputs or []) != 1:
        raise ModelError(
            f"model {name!r}: expected one output. Received: {len(outputs or [])} outputs."
        )
