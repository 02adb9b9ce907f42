"""What checks look at: one plugin, and the models made of it, each made once."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.backbone import BACKBONE_END, Backbone
from tfxfer.errors import UsageError
from tfxfer.keras_private import flatten_layers
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.schedule import Phase
from tfxfer.surgery import find_inputs
from tfxfer.testing.check import not_run
from tfxfer.testing.probes import BATCH_IMAGES, ProbeData, ProbeHead
from tfxfer.weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from tfxfer.system.process import Child

__all__ = ["BackboneSubject", "Snapshot", "Subject", "Training", "take_snapshot"]

_LABELS = tuple(f"output_{number}" for number in range(8))
_LEARNING_RATE = 1e-3
_SMALLEST_TOLERANCE, _LARGEST_TOLERANCE = 1e-3, 0.2
_LAST_DIGITS = 1e-6  # of a float32, as a share of its value
Snapshot = dict[str, np.ndarray]


def take_snapshot(model: Any) -> Snapshot:
    """Returns a copy of every weight, by path."""
    return {item.path: np.array(item) for item in model.weights}


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
    def data(self) -> Any:
        """A few images with targets, a `ProbeData`."""
        raise NotImplementedError

    @cached_property
    def model(self) -> Any:
        """The plugin as part of a model of ours."""
        raise NotImplementedError

    @property
    def pixels(self) -> np.ndarray:
        """The images, float32 (images, size, size, 3)."""
        return self.data.pixels.astype(np.float32)

    @cached_property
    def outputs(self) -> np.ndarray:
        """What the model says of each image when it is asked one at a time."""
        return np.concatenate(
            [np.asarray(self.model(image[None], training=False)) for image in self.pixels]
        )

    @cached_property
    def tolerance(self) -> float:
        """By how much two exact ways to compute the outputs may differ, in units of their scale.

        .001, or ten times what a change of the pixels in their last digits makes. Above .2 the
        check ends as not run: swish and squeeze-excite with random weights multiply rounding
        (efficientnet_b0: .23 between TensorFlow and LiteRT, where most differ by 1e-5).
        """
        noise = np.random.default_rng(0).uniform(-_LAST_DIGITS, _LAST_DIGITS, self.pixels.shape)
        shaken = (self.pixels * (1 + noise)).astype(np.float32)
        found = np.concatenate(
            [np.asarray(self.model(image[None], training=False)) for image in shaken]
        )
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


@dataclass(frozen=True)
class Training:
    """The weights at the three ends of two phases.

    Args:
        before: any training.
        head: after the phase that trains the head alone.
        fine_tuned: after the phase that trains what follows `stage`, too.
        stage: frontier of the second phase; None where nothing was frozen.
    """

    before: Snapshot
    head: Snapshot
    fine_tuned: Snapshot
    stage: str | None


class BackboneSubject(Subject):
    """One backbone.

    Args:
        plugin: the backbone.
        component: the entry point that brings it.
        registry: where components come from.
        weights: as `build_model` takes them. None, random ones, needs neither file nor network; a
            backbone that cannot have them gets its default.
        image_size: side of the images it is tried with, in pixels; None is the smallest it takes.
    """

    kind = "backbone"

    def __init__(
        self,
        plugin: Backbone,
        *,
        component: Component | None = None,
        registry: Registry | None = None,
        weights: str | Path | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__(plugin, component=component, registry=registry)
        is_random = weights in (None, "none")
        if is_random and getattr(plugin, "random_weights", True) is False:
            weights, is_random = DEFAULT_WEIGHTS, False
        self.weights = None if is_random else weights
        self._image_size = image_size
        self._graphs: dict[int, Any] = {}

    @property
    def size(self) -> int:
        """Side of the images that checks use, in pixels.

        Raises:
            UsageError: the size asked for is below what the backbone takes.
        """
        smallest = int(self.plugin.min_image_size)
        if self._image_size is None:
            return smallest
        if self._image_size < smallest:
            raise UsageError(
                f"backbone {self.name!r}: expected an image size of at least {smallest} px. "
                f"Received: image_size={self._image_size}."
            )
        return self._image_size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that the backbone says it takes: the checks', an odd one, and its default."""
        default = int(self.plugin.default_image_size)
        middle = (self.size + default) // 2
        odd = middle - 1 + middle % 2  # halving rounds here
        return tuple(sorted({self.size, max(odd, self.size), max(default, self.size)}))

    def graph(self, size: int) -> Any:
        """Returns the backbone alone as a `keras.Model`, from its own inputs, unpooled."""
        import keras

        if size not in self._graphs:
            keras.utils.set_random_seed(0)
            features = self.plugin.build(keras.Input((size, size, 3), name="network_units"))
            if not isinstance(features, keras.KerasTensor):
                raise TypeError(f"build returned {type(features).__name__}, not a Keras tensor")
            self._graphs[size] = keras.Model(find_inputs(features), features)
        return self._graphs[size]

    @cached_property
    def data(self) -> Any:
        """Twelve images of the checks' size, with targets for the probe head."""
        head = ProbeHead()
        return ProbeData(head.encode([""] * ProbeData.count(), _LABELS), size_px=self.size)

    @cached_property
    def initial(self) -> Any:
        """The model of backbone and probe head, as `build_model` returns it."""
        from tfxfer.model import build_model

        return build_model(
            self.plugin,
            labels=_LABELS,
            head=ProbeHead(),
            image_size=self.size,
            weights=self.weights,
            seed=0,
        )

    @cached_property
    def initial_weights(self) -> Snapshot:
        """Its weights before anything was done to them."""
        return take_snapshot(self.initial)

    @cached_property
    def model(self) -> Any:
        """The same model; where weights are random, with statistics as after a training."""
        if self.weights is None and self.initial_weights:
            _warm_up_batch_norm(self.initial, self.pixels)
        return self.initial

    def backbone_layers(self) -> list[Any]:
        """Returns the layers of the model that are not the head's, from the input."""
        from tfxfer.stages import layers_up_to

        return layers_up_to(self.model, BACKBONE_END)

    @cached_property
    def training(self) -> Training:
        """Two phases of one epoch each, on pixels, with nothing cached: every layer runs."""
        import keras

        from tfxfer import fit

        stage = self._fine_tune_stage()
        phases = (
            Phase("head", BACKBONE_END, 1, _LEARNING_RATE, warmup=0, decay="constant"),
            Phase("fine_tune", stage, 1, _LEARNING_RATE, warmup=0, decay="constant"),
        )
        # `fit` goes back to the best epoch; what an epoch did is seen at its end only.
        snapshots: list[Snapshot] = []
        with self.restored_model() as model:
            before = take_snapshot(model)
            watch = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: snapshots.append(take_snapshot(model))
            )
            fit(
                model,
                self.data,
                schedule=phases,
                callbacks=[watch],
                batch_size=BATCH_IMAGES,
                augment="none",
                cache=False,
                verbose=0,
            )
        head, fine_tuned = snapshots
        return Training(before, head, fine_tuned, stage)

    def _fine_tune_stage(self) -> str | None:
        """Returns the last stage behind which something of the backbone can train."""
        from tfxfer.stages import get_info, set_trainable

        owned = {id(layer) for layer in self.backbone_layers()}
        for stage in reversed(get_info(self.model).stages[:-1]):
            set_trainable(self.model, stage.name)
            layers = [layer for layer in self.model.layers if id(layer) in owned]
            if any(layer.trainable_weights for layer in layers):
                return stage.name
        return None


def _warm_up_batch_norm(model: Any, pixels: np.ndarray) -> None:
    """Gives BatchNormalization statistics as a training leaves them: of images, no two alike.

    Those that Keras starts from, 0 and 1, could be reset without anybody seeing it, and let the
    activations of a deep network with random weights vanish. One variance a layer and a tenth of
    the means: with each channel's own, random networks become so chaotic that nothing is left of
    them in int8 (correlation with float .01 to .45 for seven of ours; so, .39 to .98).
    """
    import keras

    norms = [
        layer
        for layer in flatten_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(pixels, training=True)
    rng = np.random.default_rng(0)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(variance.mean() * rng.uniform(0.9, 1.1, variance.shape) + 1e-6)
        layer.moving_mean.assign(0.1 * np.asarray(layer.moving_mean))
