"""What a plugin author subclasses to bring a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfxfer.backbone import CONTRACT_VERSION

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Head", "Monitor", "Prediction"]


@dataclass(frozen=True)
class Monitor:
    """The validation quantity that picks the best epoch.

    Args:
        name: key in Keras's logs, such as `val_accuracy`.
        mode: `max` or `min`.
        share: whether it is a share of the images, such as an accuracy. A share of few images is
            mostly luck: of the epochs within one standard error of the best one, the lowest
            `val_loss` decides.
    """

    name: str
    mode: Literal["max", "min"]
    share: bool = False


@dataclass(frozen=True)
class Prediction:
    """What a head says of one image.

    Args:
        label: the decoded answer, such as `tulip`, `ants|bees` or `3.2`.
        score: confidence of that answer, 0..1; for regression the value itself.
        scores: one number per output, keyed by label.
    """

    label: str
    score: float
    scores: dict[str, float]


class Head(ABC):
    """A task's layers, loss, metrics and labels.

    Importing a head's module must not import Keras or TensorFlow. Instantiated with keyword options
    only; every option has a named, sourced default.

    Attributes:
        name: what users type; equals the entry point's name.
        task: which family of metrics scores it: `classification`, `multilabel` or `regression`.
        metadata_kind: kind of TFLite metadata of the exported model: `classifier`,
            `multilabel_classifier`, `regressor` or `features`.
        monitor: the validation quantity that picks the best epoch.
        threshold: probability above which a label counts as present; `multilabel` only.
    """

    name: ClassVar[str]
    task: ClassVar[Literal["classification", "multilabel", "regression"]]
    metadata_kind: ClassVar[str]
    monitor: ClassVar[Monitor]
    contract_version: ClassVar[str] = CONTRACT_VERSION
    threshold: float = 0.5

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Returns the constructor's keyword arguments, as JSON data, so that a run repeats them."""

    @abstractmethod
    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the outputs' names in order, from every raw label of the data set.

        Raises:
            DataError: the labels cannot be this task's (one class only, text where a number must
                be).
        """

    @abstractmethod
    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns the targets of raw labels.

        Shapes: float32 (images, outputs); one-hot, multi-hot or values.
        """

    def prepare(self, targets: np.ndarray) -> None:  # noqa: B027 - a head may need nothing
        """Measures what `build` and `loss` need of the training targets.

        The core calls it once, before `build`, with the targets of the training split alone. What a
        head measures it keeps, and repeats in `options`. The default needs nothing.

        Shapes: targets (images, outputs), as `encode` returns them.
        """

    @abstractmethod
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns the outputs for pooled features.

        Ends in its activation (softmax, sigmoid or linear), computed in float32.

        Shapes: features (batch, channels); returns (batch, outputs).
        """

    @abstractmethod
    def loss(self) -> Any:
        """Returns a Keras loss on `build`'s outputs and `encode`'s targets."""

    @abstractmethod
    def metrics(self) -> list[Any]:
        """Returns fresh Keras metrics; their names appear in logs and in `monitor`."""

    @abstractmethod
    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns one prediction per row of scores.

        Shapes: scores (images, outputs).
        """
