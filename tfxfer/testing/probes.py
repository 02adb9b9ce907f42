"""What plugins are tried with: a few images, a head for backbones, a backbone for heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfxfer.backbone import Backbone, Stage
from tfxfer.evaluation import ValueFigures
from tfxfer.head import Head, Monitor, Prediction
from tfxfer.images.modality import PIXELS
from tfxfer.modality import InputSpec
from tfxfer.preprocessing import Preprocessing

__all__ = ["BATCH_IMAGES", "ProbeBackbone", "ProbeData", "ProbeHead", "ProbeSplit", "paint"]

BATCH_IMAGES = 4
_TRAIN_IMAGES, _VAL_IMAGES = 8, 4


def paint(images: int, size_px: int, *, seed: int) -> np.ndarray:
    """Returns images that differ in colour and texture: a ramp, a square and noise in each.

    Shapes: uint8 (images, size, size, 3).
    """
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-1, 1, size_px)
    pixels = np.empty((images, size_px, size_px, 3))
    for image in pixels:
        slopes = rng.uniform(-60, 60, (2, 3))
        image[...] = rng.uniform(60, 195, 3)
        image += ramp[:, None, None] * slopes[0] + ramp[None, :, None] * slopes[1]
        top, left = rng.integers(0, max(size_px // 2, 1), 2)
        side = size_px // 3 + 1
        image[top : top + side, left : left + side] += rng.uniform(-90, 90, 3)
        image += rng.normal(0, 12, image.shape)
    return np.clip(pixels.round(), 0, 255).astype(np.uint8)


class ProbeSplit:
    """Images in memory, read as those of a `SampleSplit` are."""

    def __init__(self, pixels: np.ndarray, targets: np.ndarray) -> None:
        self.pixels, self.targets = pixels, targets
        self.inputs = {PIXELS: InputSpec(pixels.shape[1:], stored=str(pixels.dtype))}

    def __len__(self) -> int:
        return len(self.pixels)

    def iter_views(
        self, *, batch_size: int, views: Sequence[int], **_: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices, pixels (n, views, size, size, 3)); every view is the image itself."""
        for start in range(0, len(self), batch_size):
            indices = np.arange(start, min(start + batch_size, len(self)))
            yield indices, self.read_views(indices, views=views)

    def read_views(self, indices: Any, *, views: Sequence[int], **_: Any) -> np.ndarray:
        """Returns pixels (n, views, size, size, 3)."""
        return np.repeat(self.pixels[np.asarray(indices)][:, None], len(views), axis=1)


class ProbeData:
    """Eight images to train on and four to validate with.

    Args:
        targets: (12, outputs), the training images' first.
        size_px: side of the square images.
    """

    def __init__(self, targets: np.ndarray, *, size_px: int) -> None:
        pixels = paint(_TRAIN_IMAGES + _VAL_IMAGES, size_px, seed=0)
        self.pixels = pixels
        self.train = ProbeSplit(pixels[:_TRAIN_IMAGES], targets[:_TRAIN_IMAGES])
        self.val = ProbeSplit(pixels[_TRAIN_IMAGES:], targets[_TRAIN_IMAGES:])

    @staticmethod
    def count() -> int:
        """Returns how many images there are, and so how many targets are needed."""
        return _TRAIN_IMAGES + _VAL_IMAGES


class ProbeHead(Head):
    """Linear outputs, which show every change of the features: a softmax would hide small ones."""

    name = "probe"
    figures = ValueFigures
    metadata_kind = "values"
    monitor = Monitor("val_loss", "min")

    def options(self) -> dict[str, Any]:
        """Returns no options."""
        return {}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the labels as they are."""
        return tuple(raw)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns reproducible numbers.

        Shapes: float32 (images, outputs).
        """
        rng = np.random.default_rng(0)
        return rng.normal(size=(len(raw), len(labels))).astype(np.float32)

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns one linear output per label."""
        from keras import layers

        return layers.Dense(len(labels), dtype="float32", name="probe_dense")(features)

    def loss(self) -> Any:
        """Returns the mean squared error."""
        from keras import losses

        return losses.MeanSquaredError()

    def metrics(self) -> list[Any]:
        """Returns no metrics."""
        return []

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns the numbers."""
        return [
            Prediction(f"{row[0]:.4g}", float(row[0]), dict(zip(labels, row.tolist(), strict=True)))
            for row in scores
        ]


class ProbeBackbone(Backbone):
    """Two small convolutions."""

    name = "probe"
    family = "probe"
    default_image_size = 32
    min_image_size = 16
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    stages = (Stage("block_1", "probe_1_relu"), Stage("block_2", "probe_2_relu"))

    def build(self, inputs: Any) -> Any:
        """Returns a map of an eighth of the image's side.

        Shapes: inputs (batch, size, size, 3); returns (batch, size / 8, size / 8, 16).
        """
        from keras import layers

        x = inputs
        for number, strides in ((1, 2), (2, 4)):
            name = f"probe_{number}"
            x = layers.Conv2D(8 * number, 3, strides=strides, padding="same", name=f"{name}_conv")(
                x
            )
            x = layers.ReLU(6.0, name=f"{name}_relu")(x)
        return x
