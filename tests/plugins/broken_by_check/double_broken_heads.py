"""Heads with one fault each, on top of the good double. `FAULTS` says which check finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from double_good_head import Softmax

from tfxfer import DataError, Monitor, Prediction, Tempering
from tfxfer.evaluation import Baseline, ClassFigures, Metric, Sums

FAULTS: dict[str, list[type[Softmax]]] = {}


def fault(check: str) -> Any:
    def note(double: type[Softmax]) -> type[Softmax]:
        double.name = f"double_{double.__name__.lower()}"
        FAULTS.setdefault(check, []).append(double)
        return double

    return note


class Unfitted(Softmax):
    """What is broken here stands between the features and the softmax: nobody may fit it."""

    def linear_end(self) -> str | None:
        return None


@fault("metadata")
class NoFigures(Softmax):
    figures = None  # type: ignore[assignment]


@fault("options")
class ForgetsOption(Softmax):
    def __init__(self, *, smoothing: float = 0.1, extra: int = 1) -> None:
        super().__init__(smoothing=smoothing)
        self.extra = extra

    def options(self) -> dict[str, Any]:
        return {"smoothing": self.smoothing + 0.1, "extra": self.extra}


@fault("options")
class NotJson(Softmax):
    def options(self) -> dict[str, Any]:
        return {"smoothing": np.float32(0)}


@fault("labels")
class WideTargets(Softmax):
    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return super().encode(raw, labels).astype(np.float64)


@fault("labels")
class OrderOfArrival(Softmax):
    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        super().fit_labels(raw)
        return tuple(dict.fromkeys(raw))


@fault("labels")
class ReadsLists(Softmax):
    def read_label(self, raw: str) -> tuple[str, ...]:
        return [raw]  # type: ignore[return-value]


@fault("labels")
class DescribesNothing(Softmax):
    def describe_labels(self, raw: Sequence[str]) -> str:
        return ""


@fault("label_errors")
class TakesOneClass(Softmax):
    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(set(raw)))


@fault("linear_end")
class EndsElsewhere(Softmax):
    def linear_end(self) -> str | None:
        return "scores"


@fault("further_labels")
class SortsAnew(Softmax):
    """A label that is new comes between two that have weights."""

    def extend_labels(self, labels: Sequence[str], raw: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted({*labels, *raw}, reverse=True))


@fault("further_labels")
class NamesNoLayer(Softmax):
    def label_layers(self) -> tuple[str, ...]:
        return ()


@fault("further_labels")
class NamesAnotherLayer(Softmax):
    def label_layers(self) -> tuple[str, ...]:
        return ("logits", "elsewhere")


@fault("strata")
class NumbersForStrata(Softmax):
    def strata(self, raw: Sequence[str]) -> list[str]:
        return [len(label) for label in raw]  # type: ignore[misc]


@fault("strata")
class StrataOfArrival(Softmax):
    def strata(self, raw: Sequence[str]) -> list[str]:
        return [str(list(dict.fromkeys(raw)).index(label)) for label in raw]


@fault("strata")
class OneCompleteStratum(Softmax):
    def strata(self, raw: Sequence[str]) -> list[str]:
        return [""] * len(raw)


@fault("strata")
class KnowsNoLabel(Softmax):
    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:
        raise DataError(f"head {self.name!r}: expected other labels. Received: raw={raw[:1]}.")


@fault("strata")
class HalfInAGroup(Softmax):
    def membership(self, targets: np.ndarray) -> np.ndarray:
        return targets / 2


@fault("figures")
class UpsideDown(Softmax):
    """The best accuracy is the lowest."""

    class Figures(ClassFigures):
        catalogue: ClassVar[Mapping[str, Metric]] = {
            **ClassFigures.catalogue,
            "accuracy": Metric("accuracy", lower_is_better=True),
        }

    figures = Figures


@fault("figures")
class RaisesInFigures(Softmax):
    class Figures(ClassFigures):
        def sums(self, weights: np.ndarray) -> Sums:
            return {"macro_f1": weights[:, 10**6]}

    figures = Figures


@fault("figures")
class NotInTheCatalogue(Softmax):
    class Figures(ClassFigures):
        def sums(self, weights: np.ndarray) -> Sums:
            return {**super().sums(weights), "gmean": weights[:, 0]}

    figures = Figures


@fault("figures")
class NoHeadline(Softmax):
    class Figures(ClassFigures):
        headlines = ("kappa",)

    figures = Figures


@fault("figures")
class ArraysForDetails(Softmax):
    class Figures(ClassFigures):
        def details(self) -> dict[str, Any]:
            return {"confusion": self.confusion}

    figures = Figures


@fault("figures")
class IntervalBeside(Softmax):
    class Figures(ClassFigures):
        def interval(
            self, name: str, value: float, resampled: np.ndarray, *, seed: int
        ) -> dict[str, float] | None:
            return {"value": value, "low": value + 1, "high": value + 2}

    figures = Figures


@fault("figures")
class SaysNothing(Softmax):
    class Figures(ClassFigures):
        @classmethod
        def rows(cls, document: Mapping[str, Any]) -> list[tuple[str, str]]:
            return []

    figures = Figures


@fault("figures")
class BaselineOfNoMetric(Softmax):
    class Figures(ClassFigures):
        @classmethod
        def baselines(cls, document: Mapping[str, Any]) -> list[Baseline]:
            return [Baseline("acuracy", 0.5, "guessing")]

    figures = Figures


@fault("figures")
class TakesNotANumber(Softmax):
    def make_figures(
        self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
    ) -> ClassFigures:
        return ClassFigures(targets, np.nan_to_num(scores), labels)


@fault("flat")
class Nested(Softmax):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        import keras

        inner = keras.Input(features.shape[1:])
        return keras.Model(inner, super().build(inner, labels), name="inner")(features)


@fault("model")
class OneTooMany(Softmax):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        return super().build(features, [*labels, "other"])


@fault("float32_outputs")
class HalfPrecision(Softmax):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import layers

        logits = layers.Dense(len(labels), name="logits")(features)
        return layers.Activation("softmax", name="scores")(logits)


@fault("output_range")
class Logits(Unfitted):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import layers

        return layers.Dense(len(labels), dtype="float32", name="logits")(features)


@fault("tempering")
class NoTempering(Softmax):
    def tempering(self) -> Any:
        return "logits"


@fault("tempering")
class NotTheLogits(Softmax):
    def tempering(self) -> Tempering:
        return Tempering("logits", "sigmoid")


@fault("tempering")
class OnlyWhereSure(Softmax):
    """Answers the first label unless another is likelier by half."""

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        return super().decode(scores / (1 + 0.5 * (np.arange(len(labels)) > 0)), labels)


@fault("predictions")
class AlwaysFirst(Softmax):
    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        return [
            Prediction(labels[0], item.score, item.scores)
            for item in super().decode(scores, labels)
        ]


@fault("deterministic")
class Unseeded(Unfitted):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import initializers, layers

        size = (features.shape[-1], features.shape[-1])
        kernel = initializers.Constant(np.random.default_rng().normal(size=size).tolist())
        x = layers.Dense(size[1], kernel_initializer=kernel, name="drawn")(features)
        return super().build(x, labels)


@fault("learns")
class WatchesNothing(Softmax):
    monitor = Monitor("val_f1", "max")


@fault("learns")
class SameMetrics(Softmax):
    def __init__(self, *, smoothing: float = 0.0) -> None:
        super().__init__(smoothing=smoothing)
        self._metrics: list[Any] = []

    def metrics(self) -> list[Any]:
        self._metrics = self._metrics or super().metrics()
        return self._metrics


@fault("reload")
class NeedsTfxfer(Unfitted):
    """A layer of this module, which imports tfxfer."""

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        return super().build(_own_layer()(name="own")(features), labels)


@fault("export_float")
class NoBuiltin(Unfitted):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import ops

        return super().build(ops.erfinv(0.5 * ops.tanh(features)), labels)


@fault("export_int8")
class FarFromZero(Unfitted):
    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import layers, ops

        x = ops.reshape(ops.tanh(features) + 1000.0, (-1, 1, 1, features.shape[-1]))
        x = layers.AveragePooling2D(1, name="keep_apart")(x) - 1000.0
        return super().build(layers.Flatten(name="flatten")(x), labels)


def _own_layer() -> Any:
    import keras

    class Own(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs + 1.0

    Own.__module__ = __name__
    return keras.saving.register_keras_serializable(package="double_broken")(Own)
