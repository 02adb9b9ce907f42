"""One number per sample, or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation import Figures, ValueFigures
from tfxfer.head import Monitor, Prediction
from tfxfer_heads.dense import DROPOUT, DenseHead, check_scores
from tfxfer_heads.multilabel import SEPARATOR

__all__ = ["DELTA", "Regression"]

# What float32 cannot hold would be infinity after `encode`.
_LARGEST = float(np.finfo(np.float32).max)

DELTA = 1.0
"""Error, in standard deviations of the training targets, from which the loss grows linearly.

A model that learned anything errs by less than the spread of the targets, so fitting is least
squares, and only a grossly wrong label meets the linear part and cannot dominate a batch.

Source:
    Girshick 2015, Fast R-CNN, eq. 3 and section 2.3: smooth L1, which is Huber's loss with delta 1,
    on targets normalised to mean 0 and variance 1. https://arxiv.org/abs/1504.08083
"""


class Regression(DenseHead):
    """A linear layer whose outputs are in the units of the labels.

    `prepare` measures mean and standard deviation of the training targets. The dense layer works
    in standardised units, where its initial weights and any usual learning rate fit; a last
    `Rescaling` layer, `head_units`, turns them into real ones; the loss measures errors in standard
    deviations. Without `prepare` mean is 0 and standard deviation 1.

    The best epoch is the one with the lowest validation loss: unlike the mean absolute error it
    weighs every output alike, whatever its unit.

    Args:
        dropout: share of features dropped while training.
        delta: error, in standard deviations, from which the loss grows linearly.
        mean: one mean per output, in the labels' units; None lets `prepare` measure it.
        std: one standard deviation per output, in the labels' units; None lets `prepare` measure.
    """

    name: ClassVar[str] = "regression"
    figures: ClassVar[type[Figures]] = ValueFigures
    metadata_kind: ClassVar[str] = "regressor"
    monitor: ClassVar[Monitor] = Monitor("val_loss", "min")
    can_balance: ClassVar[bool] = False
    example_labels: ClassVar[tuple[str, ...]] = ("1.5", "20", "-3", "7.25")
    bad_labels: ClassVar[tuple[tuple[str, ...], ...]] = (("1.5", "much"), ("1.5", "nan"))

    def __init__(
        self,
        *,
        dropout: float = DROPOUT,
        delta: float = DELTA,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(dropout=dropout)
        self.delta = float(delta)
        self._is_given = mean is not None
        self.mean = None if mean is None else tuple(float(m) for m in mean)
        self.std = None if std is None else tuple(float(s) for s in std)
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise UsageError(
                f"head {self.name!r}: expected a finite delta above 0. Received: delta={delta!r}."
            )
        valid = (self.mean is None) == (self.std is None)
        if valid and self.mean is not None and self.std is not None:
            valid = (
                len(self.mean) == len(self.std) > 0
                and all(map(math.isfinite, self.mean + self.std))
                and min(self.std) > 0
            )
        if not valid:
            raise UsageError(
                f"head {self.name!r}: expected both mean and std, as many numbers in each, every "
                f"std above 0, or neither. Received: mean={mean!r}, std={std!r}."
            )

    def options(self) -> dict[str, Any]:
        """Returns the constructor's keyword arguments, what `prepare` measured included."""
        return {
            "dropout": self.dropout,
            "delta": self.delta,
            "mean": None if self.mean is None else list(self.mean),
            "std": None if self.std is None else list(self.std),
        }

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        """Returns `value`, or `value_1`, `value_2`, … where labels hold several numbers.

        Args:
            raw: a number each, or as many numbers for each image joined by `|`.

        Raises:
            DataError: text that is not a finite number, rows of unlike length, or one value only.
        """
        rows = [self._parse(text) for text in raw]
        counts = sorted({len(row) for row in rows})
        if len(counts) != 1:
            raise DataError(
                f"head {self.name!r}: expected as many numbers for every image. "
                f"Received: {counts} numbers a label, from {len(raw)} images."
            )
        for output, column in enumerate(zip(*rows, strict=True), start=1):
            if len(set(column)) < 2:
                raise DataError(
                    f"head {self.name!r}: expected at least 2 different values of each output. "
                    f"Received: output {output} is {column[0]!r} in all {len(raw)} images."
                )
        if counts == [1]:
            return ("value",)
        return tuple(f"value_{i}" for i in range(1, counts[0] + 1))

    def read_label(self, raw: str) -> tuple[str, ...]:
        """Returns the numbers as Python writes them: `2` and `2.0` are one label.

        Raises:
            DataError: text that is not a finite number.
        """
        return tuple(map(repr, self._parse(raw)))

    def describe_labels(self, raw: Sequence[str]) -> str:
        """Returns how many numbers there are and what they span, for each output."""
        columns = zip(*(self._parse(text) for text in raw), strict=False)
        spans = [f"{_format_value(min(c))} to {_format_value(max(c))}" for c in columns]
        return f"{len(raw):,} labels: numbers from {' and from '.join(spans)}"

    def strata(self, raw: Sequence[str]) -> list[str]:
        """Returns the quantile bin of each first number, so that all parts span the same range.

        Raises:
            DataError: text that is not a finite number.
        """
        # Here and not above: the package of `split` brings all that reads data.
        from tfxfer.data.split import stratify_values

        values = np.array([self._parse(text)[0] for text in raw], np.float32)
        return [str(number) for number in stratify_values(values)]

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns the values in their own units.

        Shapes: float32 (images, outputs).

        Raises:
            DataError: text that is not as many finite numbers as there are labels.
        """
        targets = np.zeros((len(raw), len(labels)), np.float32)
        for row, text in enumerate(raw):
            values = self._parse(text)
            if len(values) != len(labels):
                raise DataError(
                    f"head {self.name!r}: expected {len(labels)} numbers joined by {SEPARATOR!r}. "
                    f"Received: label={text!r}."
                )
            targets[row] = values
        return targets

    def prepare(self, targets: np.ndarray) -> None:
        """Measures mean and standard deviation of the training targets.

        What the constructor was given stays: a run that goes on from trained weights must keep the
        units they were trained in.

        Shapes: targets (images, outputs).

        Raises:
            DataError: no images, values that are not finite, or an output that never changes.
        """
        array = np.asarray(targets, np.float64)
        if array.ndim != 2 or not array.size or not np.isfinite(array).all():
            raise DataError(
                f"head {self.name!r}: expected finite targets of shape (images, outputs). "
                f"Received: shape={array.shape}."
            )
        # Equal values can have a standard deviation of 1e-17 by rounding; their range cannot.
        constant = np.flatnonzero(np.ptp(array, axis=0) == 0)
        if constant.size:
            raise DataError(
                f"head {self.name!r}: expected training targets that differ. Received: output "
                f"{constant[0] + 1} is {array[0, constant[0]]!r} in all {len(array)} images."
            )
        if self._is_given:
            return
        self.mean = tuple(array.mean(axis=0).tolist())
        self.std = tuple(array.std(axis=0).tolist())

    def membership(self, targets: np.ndarray) -> np.ndarray:
        """Raises, as numbers are no groups.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"balance: expected a head with groups. Received: head={self.name!r}, whose targets "
            "are numbers. Leave --balance out."
        )

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns values in the labels' units.

        Shapes: features (batch, channels); returns float32 (batch, outputs).

        Raises:
            DataError: `prepare` saw another number of outputs.
        """
        import keras

        mean, std = self.mean or (0.0,) * len(labels), self.std or (1.0,) * len(labels)
        if len(mean) != len(labels):
            raise DataError(
                f"head {self.name!r}: expected {len(mean)} labels, as many outputs as `prepare` "
                f"measured. Received: labels={list(labels)!r}."
            )
        standardised = self.dense(features, labels)
        units = keras.layers.Rescaling(
            scale=list(std), offset=list(mean), dtype="float32", name="head_units"
        )
        return units(standardised)

    def loss(self) -> Any:
        """Returns Huber's loss of errors in standard deviations of the training targets."""
        from tfxfer_heads.losses import ScaledHuber

        return ScaledHuber(scale=self.std or (1.0,), delta=self.delta)

    def metrics(self) -> list[Any]:
        """Returns mean absolute and root mean squared error, in the labels' units."""
        import keras

        return [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.RootMeanSquaredError(name="rmse"),
        ]

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns the values with 4 significant digits, joined by `|`; `score` is the first.

        `scores` holds them unrounded.

        Shapes: scores (images, outputs).
        """
        array = check_scores(scores, labels, head=self.name)
        return [
            Prediction(
                label=SEPARATOR.join(_format_value(value) for value in row),
                score=float(row[0]),
                scores=dict(zip(labels, row.tolist(), strict=True)),
            )
            for row in array
        ]

    def _parse(self, text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(SEPARATOR))
        except ValueError:
            values = (math.nan,)
        if not all(abs(value) <= _LARGEST for value in values):
            raise DataError(
                f"head {self.name!r}: expected a finite number, or several joined by "
                f"{SEPARATOR!r}. Received: label={text!r}. Write 3.5, not 3,5 or 3.5 mm."
            )
        return values


def _format_value(value: float) -> str:
    # repr of the rounded number: no exponent for 12340, where .4g alone writes 1.234e+04.
    return repr(float(f"{value:.4g}") + 0.0).removesuffix(".0")
