"""What plugins are tried with: a few samples, a head for backbones, a backbone for heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfxfer.backbone import Backbone, Stage
from tfxfer.data.arrays import Arrays, count_rows, map_arrays
from tfxfer.evaluation import ValueFigures
from tfxfer.head import Head, Monitor, Prediction
from tfxfer.images.luma import take_luma
from tfxfer.images.modality import ImageModality
from tfxfer.modality import Modality
from tfxfer.preprocessing import Preprocessing
from tfxfer.sample import InputSpec

__all__ = [
    "BATCH_SAMPLES",
    "ProbeBackbone",
    "ProbeData",
    "ProbeHead",
    "ProbeSplit",
    "draw_values",
    "paint",
]

BATCH_SAMPLES = 4
_TRAIN_SAMPLES, _VAL_SAMPLES = 8, 4


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


def draw_values(spec: InputSpec, samples: int, *, seed: int) -> np.ndarray:
    """Returns values of an input of which nothing is known but its shape and its dtype.

    Floats are standard normal. Whole numbers are 0 and 1, which every vocabulary and every mask
    has, and begin with 1: a mask that leaves nothing means nothing.

    Shapes: (samples, …), as the modality stores them.
    """
    rng = np.random.default_rng(seed)
    shape = (samples, *spec.shape)
    if np.dtype(spec.stored).kind == "f":
        return rng.normal(size=shape).astype(spec.stored)
    values = rng.integers(0, 2, shape)
    if spec.shape:
        values[:, 0] = 1
    return values.astype(spec.stored)


class ProbeSplit:
    """Samples in memory, read as those of a `SampleSplit` are.

    Args:
        samples: by input where there are several, as the modality stores them.
        targets: (samples, outputs).
        inputs: what the model takes, by name.
    """

    def __init__(
        self, samples: Arrays, targets: np.ndarray, inputs: Mapping[str, InputSpec]
    ) -> None:
        self.samples, self.targets, self.inputs = samples, targets, inputs

    def __len__(self) -> int:
        return count_rows(self.samples)

    def iter_views(
        self, *, batch_size: int, views: Sequence[int], **_: Any
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yields (indices, samples (n, views, …)); every view is the sample itself."""
        for start in range(0, len(self), batch_size):
            indices = np.arange(start, min(start + batch_size, len(self)))
            yield indices, self.read_views(indices, views=views)

    def read_views(self, indices: Any, *, views: Sequence[int], **_: Any) -> Arrays:
        """Returns samples (n, views, …)."""
        chosen = np.asarray(indices)
        return map_arrays(
            lambda values: np.repeat(values[chosen][:, None], len(views), axis=1), self.samples
        )


class ProbeData:
    """Eight samples to train on and four to validate with.

    Args:
        targets: (12, outputs), the training samples' first.
        modality: whose samples they are: images are painted, others drawn.
        size: of an input, in its unit.
        contract: a backbone's `preprocessing`.

    Attributes:
        samples: all twelve, as the modality stores them.
    """

    def __init__(
        self, targets: np.ndarray, *, modality: Modality, size: int, contract: Any
    ) -> None:
        self.inputs = modality.list_inputs(size, contract)
        if modality.name == ImageModality.name:
            painted = paint(self.count(), size, seed=0)
            is_grey = next(iter(self.inputs.values())).shape[-1] == 1
            self.samples: Arrays = take_luma(painted) if is_grey else painted
        else:
            drawn = {
                name: draw_values(spec, self.count(), seed=number)
                for number, (name, spec) in enumerate(self.inputs.items())
            }
            self.samples = drawn if len(drawn) > 1 else next(iter(drawn.values()))
        self.train = self._take(slice(None, _TRAIN_SAMPLES), targets)
        self.val = self._take(slice(_TRAIN_SAMPLES, None), targets)

    @staticmethod
    def count() -> int:
        """Returns how many samples there are, and so how many targets are needed."""
        return _TRAIN_SAMPLES + _VAL_SAMPLES

    @property
    def values(self) -> Arrays:
        """All twelve in the dtypes that the model takes."""
        dtypes: Any = {name: np.dtype(spec.dtype) for name, spec in self.inputs.items()}
        if not isinstance(self.samples, dict):
            (dtypes,) = dtypes.values()
        return map_arrays(lambda values, dtype: values.astype(dtype), self.samples, dtypes)

    def _take(self, part: slice, targets: np.ndarray) -> ProbeSplit:
        samples = map_arrays(lambda values: values[part], self.samples)
        return ProbeSplit(samples, targets[part], self.inputs)


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

        Shapes: float32 (samples, outputs).
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
