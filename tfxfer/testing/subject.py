"""What checks look at: one plugin, and a model made of it, made once."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, list_arrays, map_arrays
from tfxfer.images.modality import ImageModality
from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.testing.check import not_applicable, not_run

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from tfxfer.system.process import Child

__all__ = ["Snapshot", "Subject", "ask", "ask_one_by_one", "list_outputs", "take_snapshot"]

_SMALLEST_TOLERANCE, _LARGEST_TOLERANCE = 1e-3, 0.2
_LAST_DIGITS = 1e-6  # of a float32, as a share of its value
Snapshot = dict[str, np.ndarray]


def take_snapshot(model: Any) -> Snapshot:
    """Returns a copy of every weight, by path."""
    return {item.path: np.array(item) for item in model.weights}


def ask(network: Any, values: Arrays, *, training: bool = False) -> Any:
    """Returns what a network says of samples.

    Args:
        network: a `keras.Model`, whose inputs are in the order of the values.
        values: by input where there are several.
        training: as Keras means it.
    """
    # Not the dict: Keras takes that in the order of its keys, and a suffix has other names.
    arrays = list_arrays(values)
    return network(arrays if len(arrays) > 1 else arrays[0], training=training)


def list_outputs(found: Any) -> list[Any]:
    """Returns what a network of several outputs says; Keras returns a single one as it is."""
    return list(found) if isinstance(found, (list, tuple)) else [found]


def ask_one_by_one(network: Any, values: Arrays, *, step: int = 1) -> np.ndarray:
    """Returns what a network says of each sample when it is asked a few at a time.

    Shapes: (samples, outputs).
    """
    rows = []
    for start in range(0, count_rows(values), step):
        part = slice(start, start + step)
        rows.append(np.asarray(ask(network, map_arrays(lambda x, at=part: x[at], values))))
    return np.concatenate(rows)


class Subject:
    """What every kit needs of a plugin.

    Args:
        plugin: the backbone, the head or the modality.
        component: the entry point that brings it; looked for among what is installed where None.
        registry: where components and commands come from; what is installed where None.

    Attributes:
        kind: `backbone`, `head` or `modality`.
        conversions: files made of the model, by recipe; several checks look at each.
        loader: the process that `reload` asks, where one was started early.
    """

    kind = ""

    def __init__(
        self,
        plugin: Any,
        *,
        component: Component | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.plugin = plugin
        self.registry = registry or default_registry()
        self.component = component or self._find_component()
        self.conversions: dict[str, Any] = {}
        self.loader: Child | None = None

    @property
    def name(self) -> str:
        """What users type."""
        return str(getattr(self.plugin, "name", type(self.plugin).__name__))

    @property
    def module(self) -> str:
        """The module that an import of the plugin imports first."""
        if self.component is not None:
            return self.component.value.partition(":")[0].strip()
        return type(self.plugin).__module__

    @property
    def distribution(self) -> Distribution | None:
        """What pip installed it with; None where nothing did."""
        if self.component is None or not self.component.distribution:
            return None
        return importlib.metadata.distribution(self.component.distribution)

    @cached_property
    def modality(self) -> Modality:
        """What the plugin's models read."""
        raise NotImplementedError

    def require_images(self) -> None:
        """Ends a check that makes sense for images only, where the model reads something else."""
        if self.modality.name != ImageModality.name:
            not_applicable(f"images only, and the model reads {self.modality.plural}")

    @cached_property
    def data(self) -> Any:
        """A few samples with targets, a `ProbeData`."""
        raise NotImplementedError

    @cached_property
    def model(self) -> Any:
        """The plugin as part of a model of ours."""
        raise NotImplementedError

    @cached_property
    def samples(self) -> Any:
        """The samples as the modality stores them; of images uint8 (images, size, size, 3)."""
        return self.data.samples

    @cached_property
    def values(self) -> Any:
        """The same in the dtypes of the model; of images float32 (images, size, size, 3)."""
        return self.data.values

    @cached_property
    def outputs(self) -> np.ndarray:
        """What the model says of each sample when it is asked one at a time."""
        return ask_one_by_one(self.model, self.values)

    @cached_property
    def tolerance(self) -> float:
        """By how much two exact ways to compute the outputs may differ, in units of their scale.

        .001, or ten times what a change of the inputs in their last digits makes; of the weights,
        where the inputs are whole numbers. Above .2 the check ends as not run: swish and
        squeeze-excite with random weights multiply rounding (efficientnet_b0: .23 between
        TensorFlow and LiteRT, where most differ by 1e-5).
        """
        rng = np.random.default_rng(0)

        def shake(values: np.ndarray) -> np.ndarray:
            if values.dtype.kind != "f":
                return values
            noise = rng.uniform(-_LAST_DIGITS, _LAST_DIGITS, values.shape)
            return (values * (1 + noise)).astype(values.dtype)

        if any(values.dtype.kind == "f" for values in list_arrays(self.values)):
            found = ask_one_by_one(self.model, map_arrays(shake, self.values))
        else:
            with self.restored_model() as model:
                model.set_weights([shake(np.asarray(x)) for x in model.get_weights()])
                found = ask_one_by_one(model, self.values)
        scale = max(float(np.abs(self.outputs).max()), 1e-6)
        off = 10 * float(np.abs(found - self.outputs).max()) / scale
        if not off <= _LARGEST_TOLERANCE:
            not_run(
                "with these weights the network multiplies rounding until equal outputs cannot be "
                "told from others: run it with real ones (weights, or --weights)"
            )
        return max(off, _SMALLEST_TOLERANCE)

    @contextlib.contextmanager
    def restored_model(self) -> Iterator[Any]:
        """Yields the model; afterwards its weights are as they were."""
        model = self.model
        before = model.get_weights()
        try:
            yield model
        finally:
            model.set_weights(before)

    def _find_component(self) -> Component | None:
        top = type(self.plugin).__module__.partition(".")[0]
        prefix = self.name.partition(":")[0]
        for component in self.registry.list():
            if component.kind == self.kind and component.name in (self.name, prefix):
                module = component.value.partition(":")[0].strip()
                if module.partition(".")[0] == top and component.status == "ok":
                    return component
        return None
