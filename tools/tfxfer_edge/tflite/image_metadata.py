"""What the metadata says of pixels: what they go through, and how a photo becomes the square."""

from __future__ import annotations

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_builder import Draft
from tfxfer_edge.tflite.metadata_parts import draft_content, draft_stats, list_limits
from tfxfer_edge.tflite.probe import Probe

__all__ = ["check_pixels_of_card", "draft_image", "find_ends"]


def draft_image(card: ModelCard, probe: Probe) -> Draft:
    """Returns the words for the only input of an image model."""
    preprocessing = card.preprocessing or Preprocessing()
    (source,) = probe.inputs
    height, width = source.shape[1:3]
    size = Draft(
        {
            schema.ImageSize.WIDTH: np.uint32(width),
            schema.ImageSize.HEIGHT: np.uint32(height),
        }
    )
    is_grey = source.shape[3] == 1
    space = schema.ColorSpace.GRAYSCALE if is_grey else schema.ColorSpace.RGB
    image = Draft({schema.Image.COLOR_SPACE: np.uint8(space), schema.Image.SIZE: size})
    # One number where one serves: MediaPipe refuses normalization per channel, even of floats.
    channels = 1 if preprocessing.is_uniform else 3
    options = Draft(
        {
            schema.Normalization.MEAN: preprocessing.mean[:channels],
            schema.Normalization.STD: preprocessing.std[:channels],
        }
    )
    normalization = Draft(
        {
            schema.ProcessUnit.KIND: np.uint8(schema.ProcessUnitKind.NORMALIZATION),
            schema.ProcessUnit.OPTIONS: options,
        }
    )
    if source.dtype in ("uint8", "int8"):
        stats = draft_stats(*((x,) for x in list_limits(source.dtype)))
    else:
        ranges = preprocessing.output_range[:channels]
        stats = draft_stats(tuple(low for low, _ in ranges), tuple(high for _, high in ranges))
    return Draft(
        {
            schema.Tensor.NAME: "image",
            schema.Tensor.DESCRIPTION: (
                f"{'Grey' if is_grey else 'RGB'} photo, {width} x {height}, resized: "
                f"{_describe_resize(card.resize)}."
            ),
            schema.Tensor.CONTENT: draft_content(schema.ContentKind.IMAGE, image),
            schema.Tensor.PROCESS_UNITS: [normalization],
            schema.Tensor.STATS: stats,
        }
    )


def check_pixels_of_card(card: ModelCard, probe: Probe) -> None:
    """Refuses a file that is no image model, or whose bytes do not stand for the preprocessing.

    Raises:
        ModelError: says which.
    """
    if len(probe.inputs) != 1:
        raise ModelError(
            f"model {card.name!r}: expected one input, an image. Received: {len(probe.inputs)}."
        )
    (source,) = probe.inputs
    preprocessing = card.preprocessing or Preprocessing()
    if source.shape[3:] == (1,) and not preprocessing.is_uniform:
        raise ModelError(
            f"model {card.name!r}: expected 3 channels, for a mean and a deviation of each. "
            "Received: an input of one channel, of grey."
        )
    scale, zero = source.quantization
    if source.dtype not in ("uint8", "int8") or scale == 0:
        return
    # Clients feed bytes: byte 0 and 255 must stand for what the preprocessing makes of them.
    shift = 128 if source.dtype == "int8" else 0
    for channel, (low, high) in enumerate(find_ends(preprocessing)):
        for pixel, value in ((0, low), (255, high)):
            found = scale * (pixel - shift - zero)
            # Half a step is what rounding the zero point costs.
            if not abs(found - value) <= 0.51 * scale:
                raise ModelError(
                    f"model {card.name!r}: expected an input whose scale and zero point make "
                    f"pixel {pixel} of channel {channel} {value:.4g}, as the preprocessing does. "
                    f"Received: scale={scale:.6g}, zero_point={zero}, which make it {found:.4g}."
                )


def find_ends(preprocessing: Preprocessing) -> list[tuple[float, float]]:
    """Returns what pixels 0 and 255 of each channel become."""
    pairs = zip(preprocessing.scale, preprocessing.offset, strict=True)
    return [(offset, 255 * scale + offset) for scale, offset in pairs]


def _describe_resize(resize: Resize) -> str:
    filtered = "antialiased" if resize.antialias else "not antialiased"
    return f"{resize.fit}, {resize.method}, {filtered}"
