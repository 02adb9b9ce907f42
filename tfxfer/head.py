"""What a plugin author subclasses to bring a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfxfer.backbone import CONTRACT_VERSION
from tfxfer.closed_form import ClosedForm
from tfxfer.errors import DataError, UsageError
from tfxfer.outputs import OutputChange, Outputs
from tfxfer.system.plain_text import join_counts

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.evaluation.figures import Baseline, Figures

__all__ = ["Head", "Monitor", "Prediction", "Tempering"]

_FEW = 50


@dataclass(frozen=True)
class Monitor:
    """The validation quantity that picks the best epoch.

    Args:
        name: key in Keras's logs, such as `val_accuracy`.
        mode: `max` or `min`.
        share: whether it is a share of the samples, such as an accuracy. A share of few is mostly
            luck: of the epochs within one standard error of the best one, the lowest
            `val_loss` decides. Fewer than 50 samples choose no epoch: the last one is kept that is
            not two standard errors worse.
    """

    name: str
    mode: Literal["max", "min"]
    share: bool = False

    def can_choose(self, samples: int) -> bool:
        """Returns whether so many validation samples tell a good epoch from a lucky one.

        Of 16 samples, one draw in seven says of a network that is right 6 times in 10 that it does
        worse than guessing.

        Example:
            >>> Monitor("val_accuracy", "max", share=True).can_choose(16)
            False
        """
        return not self.share or samples >= _FEW


@dataclass(frozen=True)
class Prediction:
    """What a head says of one sample.

    Args:
        label: the decoded answer, such as `tulip`, `ants|bees` or `3.2`.
        score: confidence of that answer, 0..1; for a number the value itself.
        scores: one number per output, keyed by label.
    """

    label: str
    score: float
    scores: dict[str, float]


@dataclass(frozen=True)
class Tempering:
    """How the confidence of a head's outputs can be changed, and its answers cannot.

    Args:
        layer: name of the layer whose outputs are the logits. They are linear in its weights, all
            of them: divided by a number, they divide the logits by it.
        link: what makes the outputs of the logits, `softmax` over all of them or `sigmoid` of each.
    """

    layer: str
    link: Literal["softmax", "sigmoid"]


class Head(ABC):
    """A task: its layers, loss and metrics, its labels, and the figures that score it.

    Importing a head's module must not import Keras or TensorFlow. Instantiated with keyword options
    only; every option has a named, sourced default.

    Attributes:
        name: what users type; equals the entry point's name.
        figures: what an evaluation measures and how people read it; one of `tfxfer.evaluation`'s
            classes, a subclass of one, or one of the head's own.
        metadata_kind: what kind of metadata an exported model gets, such as `classifier`. Any word:
            an exporter says which it knows.
        monitor: the validation quantity that picks the best epoch.
        complete_strata: whether every stratum must be in train, val and test alike. Then samples of
            strata with fewer than three are left out, and fewer than two strata are an error.
        can_balance: whether `--balance` makes sense; see `membership`.
        label_nouns: what one label is called, and several, for messages.
        example_labels: raw labels of a few samples, which `decode` gives back unchanged; the
            conformance kit trains with them.
        bad_labels: raw labels of data sets that `fit_labels` refuses; for the conformance kit.
    """

    name: ClassVar[str]
    figures: ClassVar[type[Figures]]
    metadata_kind: ClassVar[str]
    monitor: ClassVar[Monitor]
    complete_strata: ClassVar[bool] = False
    can_balance: ClassVar[bool] = True
    label_nouns: ClassVar[tuple[str, str]] = ("label", "labels")
    example_labels: ClassVar[tuple[str, ...]] = ("ant", "bee", "cat")
    bad_labels: ClassVar[tuple[tuple[str, ...], ...]] = (("ant", "ant"),)
    contract_version: ClassVar[str] = CONTRACT_VERSION

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

    def read_label(self, raw: str) -> tuple[str, ...]:
        """Returns what one raw label names, in a normal form: equal tuples are equal labels.

        The core asks before it reads a sample, to tell copies with one label from copies with two.
        The default takes the text as it is, and refuses none at all.

        Raises:
            DataError: a text that can be no label of this task.
        """
        if not raw.strip():
            raise DataError("expected a label. Received: nothing. Fill it in.")
        return (raw,)

    def extend_labels(self, labels: Sequence[str], raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the outputs' names of a model that is trained on, with those that `raw` adds.

        Those it has come first, in their order: their outputs keep the weights that they have. The
        default adds none, and takes what `encode` takes.

        Args:
            labels: of the model.
            raw: every raw label of the samples that it is trained with next.

        Raises:
            DataError: a label that cannot be told from one the model has.
        """
        self.check_labels(raw, labels)
        return tuple(labels)

    def label_layers(self) -> tuple[str, ...]:
        """Returns the names of `build`'s layers whose weights have a last axis of one per label.

        A model that gets further labels keeps the entries of those it had, and begins the others as
        `build` does. All other layers must not depend on the labels. The default knows none, and
        such a head gets no further labels.
        """
        return ()

    def describe_labels(self, raw: Sequence[str]) -> str:
        """Returns what the raw labels of a data set are in all, in a line for a person.

        The default counts them, such as `3 labels: ant 20, bee 31, cat 4`.
        """
        read = [self.read_label(text) for text in raw]
        counts = Counter(name for names in read for name in names)
        noun = self.label_nouns[0 if len(counts) == 1 else 1]
        without = sum(not names for names in read)
        rest = f"; {without:,} without any" if without else ""
        return f"{len(counts):,} {noun}: {join_counts(counts)}{rest}"

    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:  # noqa: B027
        """Looks for raw labels that a model with these outputs does not have.

        The core calls it before it reads a single sample. The default finds nothing, as `encode`
        refuses them, too.

        Raises:
            DataError: there are some.
        """

    def strata(self, raw: Sequence[str]) -> list[str]:
        """Returns the stratum of each raw label: each keeps its share in train, val and test.

        The default is one stratum for all.
        """
        return [""] * len(raw)

    @abstractmethod
    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns the targets of raw labels.

        Shapes: float32 (samples, outputs).
        """

    def adapt_targets(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Returns the targets of a user's own arrays as `encode` returns those of raw labels.

        The default only makes a column of the numbers of a single output. A head whose `encode`
        counts classes takes their numbers here, too.

        Shapes: targets (samples, …); returns float32 (samples, outputs), or what cannot be read as
            that, which the core refuses by its shape.

        Raises:
            DataError: values that no label stands for.
        """
        if targets.dtype.kind not in "biuf":
            return targets
        column = targets[:, None] if targets.ndim == 1 and len(labels) == 1 else targets
        return column.astype("float32")

    def membership(self, targets: np.ndarray) -> np.ndarray:
        """Returns which groups each sample belongs to: `--balance` lets all count the same.

        A sample may be in several groups. One in none counts as in a group of its own.

        Shapes: targets (samples, outputs), as `encode` returns them; returns 0 and 1, (samples,
            groups). The default takes the targets themselves for groups.

        Raises:
            UsageError: targets that are no groups.
        """
        if not (targets.ndim == 2 and len(targets) and ((targets == 0) | (targets == 1)).all()):
            raise UsageError(
                f"balance: expected a head with groups, targets of 0 and 1, (samples, outputs). "
                f"Received: head={self.name!r}, shape={targets.shape}. Leave --balance out."
            )
        return targets

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Returns the number of the one class that each sample is of, as an index of the labels.

        Labels that look wrong are looked for among them. None says that a sample may be in several
        classes, or in none, so that another label for it speaks against none of its own. The
        default reads rows with a single 1, and finds nothing in any other targets.

        Shapes: targets (samples, outputs), as `encode` returns them; returns int64 (samples,).
        """
        is_hot = targets.ndim == 2 and targets.shape[1] > 1 and ((targets == 0) | (targets == 1))
        if isinstance(is_hot, bool) or not (is_hot.all() and (targets.sum(axis=1) == 1).all()):
            return None
        numbers: np.ndarray = targets.argmax(axis=1)
        return numbers

    def prepare(self, targets: np.ndarray) -> None:  # noqa: B027 - a head may need nothing
        """Measures what `build` and `loss` need of the training targets.

        The core calls it once, before `build`, with the targets of the training split alone. What a
        head measures it keeps, and repeats in `options`. The default needs nothing.

        Shapes: targets (samples, outputs), as `encode` returns them.
        """

    @classmethod  # noqa: B027 - most bring none
    def import_layers(cls) -> None:
        """Imports the modules that register Keras layers of this plugin's own.

        The core calls it before it reads a model file that names one, so that Keras finds it: a
        file is never asked which module to import. The default has no such layers.
        """

    @abstractmethod
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns the outputs for pooled features.

        Ends in its activation, computed in float32.

        Shapes: features (batch, channels); returns (batch, outputs).
        """

    @abstractmethod
    def loss(self) -> Any:
        """Returns a Keras loss on `build`'s outputs and `encode`'s targets."""

    @abstractmethod
    def metrics(self) -> list[Any]:
        """Returns fresh Keras metrics; their names appear in logs and in `monitor`."""

    def adapt_outputs(self, outputs: Outputs, labels: Sequence[str]) -> OutputChange:
        """Returns what must follow the outputs of a model that the head did not build.

        The core calls it for a model file from elsewhere, before it scores a sample. Afterwards
        there must be as many outputs as labels, which the core checks. The default takes the
        outputs as they are.

        Raises:
            ModelError: outputs that `decode` cannot take, and how to mend them.
        """
        return OutputChange()

    def tempering(self) -> Tempering | None:
        """Returns how a temperature is folded into the model, so that scores mean something.

        After training the core divides the logits by one number that it fits on the validation
        split; the answers that `decode` gives must not depend on it. The default is None: nobody
        knows whether that may be done, and the model stays as it was trained.
        """
        return None

    def linear_end(self) -> str | None:
        """Returns the layer that `--target` may fit to another look, by its name.

        It is a dense layer that takes the pooled features, but for dropout, and puts out the logits
        of a softmax, of which each sample has one answer. The default is None: there is no such
        layer, and the model stays as it was trained.
        """
        return None

    def closed_form(self) -> ClosedForm | None:
        """Returns how the head's weights follow from pooled features, without an epoch.

        The default is None: they are trained.
        """
        return None

    @abstractmethod
    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns one prediction per row of scores.

        Shapes: scores (samples, outputs).
        """

    def pick_outputs(self, scores: np.ndarray) -> np.ndarray:
        """Returns which output an explanation of each answer is about, by position.

        The default takes the output with the highest score, the first of equals. A head whose
        answer is another output's doing says so here.

        Shapes: scores (samples, outputs); returns int64 (samples,).
        """
        found: np.ndarray = scores.argmax(axis=1)
        return found

    def make_figures(
        self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
    ) -> Figures:
        """Returns the figures of predictions; a head with a threshold hands it on here.

        Shapes: targets, as `encode` returns them, and scores, as `build`'s outputs are: (samples,
            outputs).
        """
        return self.figures(targets, scores, labels)

    def baselines(self, metrics: Mapping[str, Any]) -> Sequence[Baseline]:
        """Returns what answers that look at no sample come to, such as guessing.

        A result that cannot be told from one of them is warned of. The default asks the figures,
        which know none unless their class says so.

        Args:
            metrics: what `score_predictions` returned.
        """
        return self.figures.baselines(metrics)
