"""One backbone, alone and as part of a model with a small head of the kit's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.backbone import BACKBONE_END, Backbone
from tfxfer.data.arrays import Arrays
from tfxfer.errors import UsageError
from tfxfer.keras_private import flatten_layers
from tfxfer.modality import Modality
from tfxfer.registry.component import Component
from tfxfer.registry.lookup import Registry, default_registry
from tfxfer.schedule import Phase
from tfxfer.surgery import find_inputs
from tfxfer.testing.probes import BATCH_SAMPLES, ProbeData, ProbeHead
from tfxfer.testing.subject import Snapshot, Subject, ask, take_snapshot
from tfxfer.weights import DEFAULT_WEIGHTS

__all__ = ["BackboneSubject", "Training"]

_LABELS = tuple(f"output_{number}" for number in range(8))
_LEARNING_RATE = 1e-3
_GRAPH_INPUT = "network_units"


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
        size: of the input that it is tried with, in the modality's unit; None is the smallest it
            takes.

    Attributes:
        graph_inputs: names of the inputs that `build` was given for a `graph`.
    """

    kind = "backbone"

    def __init__(
        self,
        plugin: Backbone,
        *,
        component: Component | None = None,
        registry: Registry | None = None,
        weights: str | Path | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(plugin, component=component, registry=registry)
        is_random = weights in (None, "none")
        if is_random and getattr(plugin, "random_weights", True) is False:
            weights, is_random = DEFAULT_WEIGHTS, False
        self.weights = None if is_random else weights
        self._size = size
        self._graphs: dict[int, Any] = {}
        self.graph_inputs: tuple[str, ...] = ()

    @cached_property
    def modality(self) -> Modality:
        """What it reads.

        Raises:
            PluginError: nobody brings it, or it is broken.
        """
        return self._home.load_modality_of(self.plugin)

    @cached_property
    def _home(self) -> Registry:
        """Where its modality comes from: what is installed, where the registry does not list it."""
        listed = {component.name for component in self.registry.list("modality")}
        return self.registry if self.plugin.modality in listed else default_registry()

    @property
    def size(self) -> int:
        """Size of the input that checks use, in the modality's unit.

        Raises:
            UsageError: the size asked for is below what the backbone takes.
        """
        smallest = int(self.plugin.min_size)
        if self._size is None:
            return smallest
        if self._size < smallest:
            raise UsageError(
                f"backbone {self.name!r}: expected a size of at least {smallest} "
                f"{self.modality.size_unit}. Received: size={self._size}."
            )
        return self._size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that the backbone says it takes: the checks', an odd one, and its default."""
        default = int(self.plugin.default_size)
        middle = (self.size + default) // 2
        odd = middle - 1 + middle % 2  # halving rounds here
        return tuple(sorted({self.size, max(odd, self.size), max(default, self.size)}))

    def graph(self, size: int) -> Any:
        """Returns the backbone alone as a `keras.Model`, unpooled, from what `build` is given."""
        import keras

        if size not in self._graphs:
            keras.utils.set_random_seed(0)
            features = self.plugin.build(self._make_inputs(size))
            if not isinstance(features, keras.KerasTensor):
                raise TypeError(f"build returned {type(features).__name__}, not a Keras tensor")
            self._graphs[size] = keras.Model(find_inputs(features), features)
        return self._graphs[size]

    def _make_inputs(self, size: int) -> Any:
        """Returns inputs like the tensors that the modality gives `build`, with nothing before."""
        import keras

        given = self.modality.build_inputs(size, self.plugin.preprocessing)
        tensors = given if isinstance(given, dict) else {_GRAPH_INPUT: given}
        made = {
            name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
            for name, tensor in tensors.items()
        }
        self.graph_inputs = tuple(made)
        return made if isinstance(given, dict) else made[_GRAPH_INPUT]

    @cached_property
    def data(self) -> Any:
        """Twelve samples of the checks' size, with targets for the probe head."""
        targets = ProbeHead().encode([""] * ProbeData.count(), _LABELS)
        contract = self.plugin.preprocessing
        return ProbeData(targets, modality=self.modality, size=self.size, contract=contract)

    @cached_property
    def initial(self) -> Any:
        """The model of backbone and probe head, as `build_model` returns it."""
        return self.build_model(labels=_LABELS, size=self.size, weights=self.weights)

    def build_model(self, **options: Any) -> Any:
        """Returns what `tfxfer.build_model` makes of the backbone and a probe head."""
        from tfxfer.model import build_model

        return build_model(self.plugin, head=ProbeHead(), seed=0, registry=self._home, **options)

    @cached_property
    def initial_weights(self) -> Snapshot:
        """Its weights before anything was done to them."""
        return take_snapshot(self.initial)

    @cached_property
    def model(self) -> Any:
        """The same model; where weights are random, with statistics as after a training."""
        if self.weights is None and self.initial_weights:
            _warm_up_batch_norm(self.initial, self.values)
        return self.initial

    def backbone_layers(self) -> list[Any]:
        """Returns the layers of the model that are not the head's, from the input."""
        from tfxfer.stages import layers_up_to

        return layers_up_to(self.model, BACKBONE_END)

    @cached_property
    def training(self) -> Training:
        """Two phases of one epoch each, with nothing cached: every layer runs."""
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
                batch_size=BATCH_SAMPLES,
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


def _warm_up_batch_norm(model: Any, values: Arrays) -> None:
    """Gives BatchNormalization statistics as a training leaves them: of samples, no two alike.

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
    ask(model, values, training=True)
    rng = np.random.default_rng(0)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(variance.mean() * rng.uniform(0.9, 1.1, variance.shape) + 1e-6)
        layer.moving_mean.assign(0.1 * np.asarray(layer.moving_mean))
