"""What is wrong between pixels and weights, where a file's scores are not those of its model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.images.decode import open_image, resize_image
from tfxfer.images.luma import take_luma
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.tflite.interpreter import TFLiteModel

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor

__all__ = [
    "EXPLAINED",
    "check_outputs",
    "diagnose_contract",
    "make_square",
    "measure_spread",
    "open_photos",
]

_FINE = 0.1  # of the scores' own variation; int8 alone makes a difference of this size
EXPLAINED = 0.3  # a hypothesis must come at least this near, and halve the difference
_LEAST = 1e-6  # of the scores' size: what floats cannot tell apart
_RANGES = {
    "0..255": Preprocessing(),
    "0..1": Preprocessing(scale=(1 / 255,) * 3),
    "-1..1": Preprocessing(scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
}
_PER_CHANNEL = {
    "ImageNet's mean and std": Preprocessing.from_mean_std(
        mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    ),
    "ImageNet's mean alone": Preprocessing.from_mean_std(mean=(123.68, 116.779, 103.939), std=1.0),
    "CLIP's mean and std": Preprocessing.from_mean_std(
        mean=(122.771, 116.746, 104.094), std=(68.501, 66.632, 70.323)
    ),
}
"""What published models do to each channel of pixels 0..255.

Source:
    torchvision's and timm's constants; Keras's `imagenet_utils` in modes `torch` and `caffe`;
    https://github.com/openai/CLIP.
"""
_KNOWN = {**_RANGES, **_PER_CHANNEL}
_RESIZES = tuple(
    Resize(fit=fit, method=method, antialias=antialias)
    for fit in ("stretch", "crop", "pad")
    for method, antialias in (
        ("bilinear", True),
        ("bilinear", False),
        ("nearest", False),
        ("bicubic", True),
        ("area", True),
    )
)


def diagnose_contract(
    predictor: Predictor, model: TFLiteModel, images: Sequence[str | Path]
) -> str | None:
    """Names what is wrong between pixels and weights, by a closed list of hypotheses.

    Each hypothesis is another input tensor: 0..1 for -1..1 and the reverse, no rescale, a double
    one, mean and std of each channel as published models have them, or in the order of BGR, blue
    first, another resize. One is named when it brings the file's scores back to Keras's.

    Args:
        predictor: the Keras model.
        model: the file.
        images: some photos, which should differ.

    Returns:
        One line, or None: the scores agree, or no hypothesis explains why they do not.
    """
    check_outputs(predictor, model)
    photos = list(open_photos(images))
    trained = [make_square(x, predictor.size, predictor.contract) for x in photos]
    keras = predictor.score(np.stack(trained))
    spread = measure_spread(keras)
    stated = predictor.contract.resize if model.card is None else model.card.resize
    seen = replace(predictor.contract, resize=stated)
    pixels = np.stack([make_square(x, model.image_size, seen) for x in photos])

    # Of outputs that are all alike, by their own size: those in metres are all below any number.
    least = max(spread, _LEAST * float(np.abs(keras).mean()), np.finfo(np.float32).tiny)

    def distance(inputs: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            off = float(np.abs(model.run(inputs) - keras).mean() / least)
        return off if np.isfinite(off) else float("inf")

    found = distance(model.encode(pixels))
    if found <= _FINE:
        return None
    best, line = min(EXPLAINED, found / 2), None
    for what, inputs in _hypotheses(model, pixels, photos, seen):
        off = distance(inputs)
        if off < best:
            best, line = off, what
    return line


def _hypotheses(
    model: TFLiteModel, pixels: np.ndarray, photos: Sequence[Any], seen: Preprocessing
) -> Iterator[tuple[str, np.ndarray]]:
    said = _describe_range(model.preprocessing)
    for name, wanted in _KNOWN.items():
        if name == said or (model.channels == 1 and name in _PER_CHANNEL):
            continue
        if name == "0..255":
            line = f"double rescale: the file makes pixels {said}, and the graph rescales them too"
        elif said == "0..255":
            line = f"no rescale: pixels reach the model as 0..255, it was trained on {name}"
        else:
            line = f"{said} for {name}: the file makes pixels {said}, the model wants {name}"
        yield line, model.input.quantize(wanted.apply(pixels))
    if not model.input.is_quantized and said == "0..255":
        for name in ("0..1", "-1..1"):
            twice = _RANGES[name]
            # What the first rescale turns into plain pixels leaves the second one to act.
            undone = (pixels - np.float32(twice.offset[0])) / np.float32(twice.scale[0])
            yield f"double rescale: the graph rescales pixels to {name} twice", undone
    if model.channels == 3:
        reversed_pixels = np.ascontiguousarray(pixels[..., ::-1])
        yield "BGR for RGB: the model wants blue first", model.encode(reversed_pixels)
    stated_for = model.preprocessing
    if not stated_for.is_uniform:
        swapped = replace(stated_for, scale=stated_for.scale[::-1], offset=stated_for.offset[::-1])
        yield (
            f"mean and std in the order of BGR: the file makes pixels {said}, with blue's for red",
            model.input.quantize(swapped.apply(pixels)),
        )
    for name, wanted in _PER_CHANNEL.items() if model.channels == 3 else ():
        yield (
            f"BGR for RGB: the model wants blue first, and {name} for {said}",
            model.input.quantize(wanted.apply(pixels)[..., ::-1]),
        )
    for resize in _RESIZES:
        if resize != seen.resize:
            other = replace(seen, resize=resize)
            squares = np.stack([make_square(x, model.image_size, other) for x in photos])
            yield (
                f"another resize: the file says {_describe_resize(seen.resize)}, "
                f"the model wants {_describe_resize(resize)}",
                model.encode(squares),
            )


def _describe_range(preprocessing: Preprocessing) -> str:
    for name, known in _KNOWN.items():
        # A quantized input may be half a step off.
        if np.allclose(preprocessing.output_range, known.output_range, rtol=0.005, atol=0.005):
            return name
    pairs = sorted({f"{low:.3g}..{high:.3g}" for low, high in preprocessing.output_range})
    return ", ".join(pairs)


def _describe_resize(resize: Resize) -> str:
    filtered = "" if resize.antialias else " without antialiasing"
    return f"{resize.fit}, {resize.method}{filtered}"


def measure_spread(scores: np.ndarray) -> float:
    """Returns how much scores differ from photo to photo, mean over all."""
    centre = scores.mean(axis=0) if len(scores) > 1 else 0.0
    return float(np.abs(scores - centre).mean())


def open_photos(images: Sequence[str | Path]) -> Iterator[Any]:
    """Returns photos one after the other, upright and RGB."""
    # At full size, as a phone has them: a JPEG decoded at a fraction is resized already.
    return (open_image(Path(file)) for file in images)


def make_square(photo: Any, size: int, contract: Preprocessing) -> np.ndarray:
    """Returns a photo as a model sees it, before any rescaling.

    Shapes: uint8 (size, size, 3), of grey (size, size, 1).
    """
    square = resize_image(photo, size, contract.resize)
    return take_luma(square) if contract.grey else square


def check_outputs(predictor: Predictor, model: TFLiteModel) -> None:
    """Refuses a file that is not of the model: other outputs, labels or sizes.

    Raises:
        ModelError: says which.
    """
    if not isinstance(predictor.contract, Preprocessing):
        raise ModelError(
            f"model {model.source!r}: expected to be compared with a model of images. "
            f"Received: {predictor.source!r} of modality {predictor.modality.name!r}."
        )
    if predictor.contract.channels != model.channels:
        raise ModelError(
            f"model {model.source!r}: expected {predictor.contract.channels} channels, as "
            f"{predictor.source!r} has. Received: {model.channels}."
        )
    if len(predictor.labels) != model.outputs or predictor.size != model.image_size:
        raise ModelError(
            f"model {model.source!r}: expected {len(predictor.labels)} outputs of images of "
            f"{predictor.size} px, as {predictor.source!r} has. "
            f"Received: {model.outputs} of {model.image_size} px."
        )
    labels = () if model.card is None else model.card.labels
    if labels and labels != tuple(predictor.labels):
        raise ModelError(
            f"model {model.source!r}: expected the labels of {predictor.source!r} in their order. "
            f"Received: {list(labels[:5])} for {list(predictor.labels[:5])}."
        )
