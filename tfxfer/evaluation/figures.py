"""The figures of a task: metrics as functions of weights on the samples, and how they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tfxfer.errors import DataError, ModelError
from tfxfer.evaluation.tables import Matrix, Table

__all__ = ["Baseline", "Figures", "Metric", "Sums"]

Sums = dict[str, np.ndarray]
"""Metrics by name, one value per resample each."""


@dataclass(frozen=True)
class Metric:
    """How one metric is read.

    Args:
        title: what people call it.
        unit: of a difference between two models: `percent` for percentage points, of a metric with
            a fixed scale such as 0..1; `own` for the metric's own unit.
        style: how a value is written: `percent`, `decimal` with three places, or `number` with
            four significant digits.
        lower_is_better: whether less is better, as for errors.
        is_share: whether it lies between 0 and 1, where 1 is perfect, so that its interval must
            stay in there.
    """

    title: str
    unit: Literal["percent", "own"] = "percent"
    style: Literal["percent", "decimal", "number"] = "percent"
    lower_is_better: bool = False
    is_share: bool = False

    def write(self, figure: Mapping[str, float]) -> str:
        """Returns a figure with its interval in brackets.

        Example:
            >>> Metric("accuracy").write({"value": 0.941, "low": 0.92, "high": 0.957})
            '94.1 % [92.0, 95.7]'
        """
        value, low, high = (figure[key] for key in ("value", "low", "high"))
        if self.style == "percent":
            return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        places = ".3f" if self.style == "decimal" else ".4g"
        return f"{value:{places}} [{low:{places}}, {high:{places}}]"

    def read(self, figure: Mapping[str, float]) -> str:
        """Returns a figure and its interval in words.

        Example:
            >>> Metric("accuracy").read({"value": 0.941, "low": 0.92, "high": 0.957})
            '94.1 %, between 92.0 and 95.7 %'
        """
        value, low, high = (figure[key] for key in ("value", "low", "high"))
        if self.style == "percent":
            return f"{100 * value:.1f} %, between {100 * low:.1f} and {100 * high:.1f} %"
        places = ".3f" if self.style == "decimal" else ".4g"
        return f"{value:{places}}, between {low:{places}} and {high:{places}}"


@dataclass(frozen=True)
class Baseline:
    """What a metric comes to for answers that look at no sample.

    Args:
        metric: its name in the catalogue.
        value: what it comes to.
        answer: how such answers are made, in words that follow `than`.
    """

    metric: str
    value: float
    answer: str


class Figures(ABC):
    """Every metric of one set of predictions.

    A head names a subclass as its `figures`. The core measures each metric on the samples as they
    are, and on resamples of them for its interval; a resample is a row of weights that says how
    often each sample was drawn.

    Args:
        targets: as the head encodes them.
        scores: as a model puts them out.
        labels: one name per output.

    Shapes: targets and scores (samples, outputs).

    Attributes:
        catalogue: how each metric is read, by name, in the order in which people read them.
        headlines: the metric that stands for all of them; the first of these that is defined.
        ranked: metrics that `ranks` returns.
        leading: metrics that a person is told in words; the headline where there are none.
        counted: metrics that are the share of samples that are right: one more is a step of 1 / n.
        score_range: what a model's outputs must be, in words; see `in_range`.
        targets: as given, float64.
        scores: as given, float64.
        labels: as given.
        strata: samples of equal value are drawn together with replacement, (samples,); all alike
            unless a subclass says otherwise.
        notes: why a metric is missing or to be read with care.
        effective_samples: how many samples a metric is worth that is a share, where no resample
            differs, as for a perfect score: all of them unless a subclass says otherwise; 0 means
            unknown.

    Raises:
        DataError: shapes that do not match, no samples, or targets that are not the task's.
        ModelError: scores that are not finite.

    Example:
        >>> class Bias(Figures):
        ...     catalogue = {"bias": Metric("mean error", unit="own", style="number")}
        ...     headlines = ("bias",)
        ...     def sums(self, weights):
        ...         return {"bias": weights @ (self.scores - self.targets)[:, 0] / self.samples}
        >>> Bias([[1.0], [2.0]], [[1.5], [2.5]], ["value"]).sums(np.ones((1, 2)))
        {'bias': array([0.5])}
    """

    catalogue: ClassVar[Mapping[str, Metric]]
    headlines: ClassVar[tuple[str, ...]]
    ranked: ClassVar[tuple[str, ...]] = ()
    leading: ClassVar[tuple[str, ...]] = ()
    counted: ClassVar[tuple[str, ...]] = ()
    score_range: ClassVar[str] = "finite numbers"

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.targets, self.scores = _check_arrays(targets, scores, outputs=len(self.labels))
        self.strata = np.zeros(len(self.targets), int)
        self.notes: list[str] = []
        self.effective_samples = float(len(self.targets))

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.targets)

    @property
    def rank_columns(self) -> int:
        """Number of columns that `ranks` has to sort."""
        return 0

    @abstractmethod
    def sums(self, weights: np.ndarray) -> Sums:
        """Returns the metrics that are functions of sums over samples; NaN where undefined.

        Shapes: weights (resamples, samples); returns (resamples,) each.
        """

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns the metrics of a ranking, which cost a sort; the same shapes."""
        return {}

    def rights(self) -> dict[str, np.ndarray]:
        """Returns the metrics that are the share of samples that are right, as which ones are.

        Such shares have intervals in closed form: Wilson's, and Agresti and Min's for a difference.

        Shapes: bool (samples,) each.
        """
        return {}

    def interval(
        self, name: str, value: float, resampled: np.ndarray, *, seed: int
    ) -> dict[str, float] | None:
        """Returns a figure with an interval of the metric's own; None leaves it to the core.

        The core takes percentiles, and for shares Wilson's interval for the sample size that their
        variance is worth.

        Args:
            name: of the metric.
            value: on the samples as they are.
            resampled: on each resample.
            seed: of whatever the interval draws.
        """
        return None

    def parts(self) -> dict[str, Figures]:
        """Returns figures of single outputs, by their label, where each has some of its own."""
        return {}

    def details(self) -> dict[str, Any]:
        """Returns what has no interval, such as a confusion matrix, as JSON data."""
        return {}

    @classmethod
    def in_range(cls, scores: np.ndarray) -> bool:
        """Returns whether a model's outputs are what `score_range` says.

        Shapes: scores (samples, outputs).
        """
        return bool(np.isfinite(scores).all())

    @classmethod
    def baselines(cls, document: Mapping[str, Any]) -> list[Baseline]:
        """Returns what answers that look at no sample come to; none where that is not known.

        Args:
            document: what `score_predictions` returned.
        """
        return []

    @classmethod
    def unpredicted(cls, document: Mapping[str, Any]) -> list[str]:
        """Returns the labels that samples have and that were never the answer.

        Args:
            document: what `score_predictions` returned.
        """
        return []

    @classmethod
    def label_words(cls, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Returns how each label fared, in a few words, the worst first.

        Args:
            document: what `score_predictions` returned.
        """
        return []

    @classmethod
    def tables(cls, document: Mapping[str, Any]) -> list[Table]:
        """Returns what a page shows beside the figures of all samples, such as those of each label.

        The default has a row for each output that has figures of its own.

        Args:
            document: what `score_predictions` returned.
        """
        parts = document.get("per_output", ())
        names = [name for name in cls.catalogue if all(name in part for part in parts)]
        rows = tuple(
            (part["label"], *(cls.catalogue[name].write(part[name]) for name in names))
            for part in parts
        )
        columns = ("", *(cls.catalogue[name].title for name in names))
        return [Table("Each output", columns, rows)] if rows else []

    @classmethod
    def matrix(cls, document: Mapping[str, Any]) -> Matrix | None:
        """Returns which labels are taken for which; None for a task that has no such thing.

        Args:
            document: what `score_predictions` returned.
        """
        return None

    @classmethod
    def rows(cls, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Returns one row per figure of a document: its title, and its value with the interval.

        Args:
            document: what `score_predictions` returned.
        """
        rows = [
            (metric.title, metric.write(document[name]))
            for name, metric in cls.catalogue.items()
            if name in document
        ]
        for part in document.get("per_output", ()):
            rows += [
                (f"{part['label']}: {metric.title}", metric.write(part[name]))
                for name, metric in cls.catalogue.items()
                if name in part
            ]
        return rows


def _check_arrays(
    targets: np.ndarray, scores: np.ndarray, *, outputs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float64, or raises."""
    true, found = np.asarray(targets, np.float64), np.asarray(scores, np.float64)
    if true.ndim != 2 or true.shape != found.shape or true.shape[1] != outputs or not true.size:
        raise DataError(
            f"evaluation: expected targets and scores of shape (samples, {outputs}), one sample "
            f"or more. Received: targets={true.shape}, scores={found.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if bad.size:
        raise ModelError(
            f"evaluation: expected finite scores. Received: {bad.size} of {len(found)} samples "
            f"with NaN or infinity, the first is sample {bad[0]}. The training diverged, or the "
            f"conversion broke the model."
        )
    if not np.isfinite(true).all():
        raise DataError("evaluation: expected finite targets. Received: NaN or infinity.")
    return true, found
