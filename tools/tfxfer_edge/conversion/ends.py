"""The input and the output that a model must have: one image, one tensor of scores."""

from __future__ import annotations

from typing import Any

from tfxfer.errors import ModelError

__all__ = ["BYTES", "IMAGE", "check_dtype", "check_ends"]

BYTES = "uint8"
IMAGE = "image"  # the one modality whose files are made here


def check_dtype(name: str, dtype: str) -> None:
    """Refuses an input of numbers that pixels do not come in.

    Raises:
        ModelError: names the type.
    """
    if dtype not in ("bfloat16", "float16", "float32", BYTES):
        raise ModelError(
            f"model {name!r}: expected an input of float32 or uint8. Received: dtype={dtype}."
        )


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
            "tfxfer-edge converts models of one image only."
        )
    if len(outputs or []) != 1:
        raise ModelError(
            f"model {name!r}: expected one output. Received: {len(outputs or [])} outputs."
        )
    (shape,) = shapes
    if None in shape[1:]:
        raise ModelError(
            f"model {name!r}: expected an input (batch, height, width, channels) of known size. "
            f"Received: shape={shape}. Rebuild the model with a fixed image size."
        )
    return (int(shape[1]), int(shape[2]), int(shape[3]))
