"""A KerasHub preset as a backbone."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer.errors import ModelError, WeightsError
from tfxfer.keras_private import flatten_layers
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import copy_weights
from tfxfer_kerashub.errors import PresetError, first_line
from tfxfer_kerashub.fetching import import_keras_hub
from tfxfer_kerashub.flattening import (
    ENTRY,
    FEATURES,
    Flat,
    attach,
    expand,
    find_stages,
    find_trunk,
)
from tfxfer_kerashub.handle import Handle, parse_handle
from tfxfer_kerashub.preset import WEIGHTS, Preset, find_weights, make_network, read_preset

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KerasHubBackbone"]

_SOURCE = "preset"
_OUTPUTS: dict[int, Literal["vector", "tokens", "map"]] = {2: "vector", 3: "tokens", 4: "map"}
# Of the features' scale. Equal operations in equal order give equal numbers, or nearly so.
_TOLERANCE = 1e-2
_HURTS_INT8 = {
    "swish": re.compile(r"silu|swish"),
    "hard-swish": re.compile(r"hard_(silu|swish)"),
    "gelu": re.compile(r"gelu"),
    "attention": re.compile(r"\w*Attention\w*|\w*attention\w*"),
    "squeeze-excite": re.compile(r"SqueezeAndExcite\w*|(.*_)?se_\w+"),
}
"""What hurts int8, by the name of an activation, of a layer's class, or of a layer."""


@dataclass(frozen=True)
class _Look:
    """What only the network itself tells."""

    stages: tuple[Stage, ...]
    rank: int
    quantization: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


class KerasHubBackbone(Backbone):
    """An image backbone of KerasHub, as `kerashub:PRESET` names it.

    Making one reads the preset's configuration, a few kB, and builds its network once to see where
    it can be cut; the weights are fetched when they are asked for.

    Args:
        handle: preset and options.
        name: what the user typed.
    """

    name: str
    family = "kerashub"

    def __init__(self, handle: Handle, *, name: str) -> None:
        self.handle, self.name = handle, name

    @classmethod
    def from_handle(cls, handle: str) -> Self:
        """Returns the backbone of `kerashub:HANDLE`; see `parse_handle`.

        Raises:
            UsageError: options that cannot be meant.
            PluginImportError: keras-hub is not installed.
        """
        parsed = parse_handle(handle)
        cls.import_layers()
        return cls(parsed, name=f"kerashub:{handle}")

    @classmethod
    def import_layers(cls) -> None:
        """Imports the layers of KerasHub's, and those of ours.

        Raises:
            PluginImportError: keras-hub is not installed.
        """
        # Keras finds the layers of a saved run only once KerasHub has been imported.
        import_keras_hub()
        import tfxfer_kerashub.layers  # noqa: F401

    @property
    def weights(self) -> Mapping[str, Weights]:  # type: ignore[override]
        """The preset's own."""
        return {
            _SOURCE: Weights(
                licence="the preset's own: see its page",
                fetch=self._fetch,
                origin="whatever its page says",
            )
        }

    @property
    def default_image_size(self) -> int:  # type: ignore[override]
        """What the user says, or the preset's image converter, or its network, or 224."""
        return self._preset.image_size

    @property
    def min_image_size(self) -> int:  # type: ignore[override]
        """The preset's own size where its network makes tokens of that size alone."""
        smallest = Backbone.min_image_size
        if self._preset.fixed_size is not None and self._look.rank == 3:
            smallest = self._preset.fixed_size
        return min(smallest, self.default_image_size)

    @property
    def preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """What the preset's image converter does, or what the user says of pixels."""
        return self._preset.preprocessing

    @property
    def stages(self) -> tuple[Stage, ...]:  # type: ignore[override]
        """Ends of blocks at which the graph is one tensor wide."""
        return self._look.stages

    @property
    def output(self) -> Literal["map", "tokens", "vector"]:  # type: ignore[override]
        """By the rank of the network's output."""
        return _OUTPUTS[self._look.rank]

    @property
    def quantization(self) -> tuple[str, ...]:  # type: ignore[override]
        """Activations and layers of the network that are known to hurt int8."""
        return self._look.quantization

    def build(self, inputs: Any) -> Any:
        """Returns the features of already preprocessed images, with random weights.

        Shapes: inputs (batch, size, size, 3); returns a map (batch, height, width, channels),
            tokens (batch, tokens, channels) or a vector (batch, channels).

        Raises:
            ModelError: the network takes no images of this size.
        """
        size = int(inputs.shape[1])
        network = make_network(self._preset, size)
        if tuple(tuple(w.shape) for w in network.weights) != self._look.shapes:
            raise ModelError(
                f"backbone {self.name!r}: expected images of {self._preset.fixed_size} px, which "
                f"its position embeddings are made for. Received: image_size={size}. "
                "Leave --image-size out, or give that size."
            )
        try:
            return attach(expand(network, name=self.name), inputs, name=self.name)
        except (ValueError, TypeError) as error:  # Keras, of shapes that do not fit one another
            raise ModelError(
                f"backbone {self.name!r}: expected an image size that its network takes. "
                f"Received: image_size={size}: {first_line(error)}"
            ) from error

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads a preset's weights file into the layers that `build` made.

        Args:
            model: flat `keras.Model` that holds those layers.
            path: `model.weights.h5` of the preset.

        Raises:
            WeightsError: the file cannot be read, or is of another network.
            ModelError: the flat graph does not compute what KerasHub's network does.
        """
        import numpy as np

        network = make_network(self._preset, int(model.inputs[0].shape[1]))
        # What the file lacks would stay random, and Keras does not always say so.
        network.set_weights([np.full(w.shape, np.nan, w.dtype) for w in network.weights])
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Skipping")
                network.load_weights(path)
            lacking = [w.path for w in network.weights if np.isnan(np.asarray(w)).any()]
            if lacking:
                raise ValueError(f"no numbers for {', '.join(lacking[:3])}, {len(lacking)} in all")
        # Of a damaged file h5py, zipfile and Keras each raise what they like.
        except Exception as error:
            raise WeightsError(
                f"backbone {self.name!r} cannot read its weights: expected {WEIGHTS} of a "
                f"{self._preset.network.__name__} with this preset's configuration. "
                f"Received: path={str(path)!r}. Keras says: {first_line(error)}"
            ) from error
        trunk = find_trunk(network, name=self.name)
        images = self._draw_images(like=model)
        expected = trunk(images, training=False)
        copy_weights(expand(network, name=self.name).graph, model)
        self._check_equal(model, images, expected)

    @cached_property
    def _preset(self) -> Preset:
        return read_preset(self.handle)

    @cached_property
    def _look(self) -> _Look:
        preset = self._preset
        network = make_network(preset, preset.fixed_size or preset.image_size)
        shapes = tuple(tuple(w.shape) for w in network.weights)
        flat = expand(network, name=self.name)
        return _Look(
            stages=find_stages(flat),
            rank=len(flat.graph.outputs[0].shape),
            quantization=_find_hurdles(flat),
            shapes=shapes,
        )

    def _fetch(self) -> Path:
        try:
            return find_weights(self.handle)
        except FileNotFoundError:
            raise WeightsError(
                f"weights of {self.name!r}: expected {WEIGHTS} in the preset. Received: a preset "
                "without it, or in several parts. Save it whole with save_to_preset, give a file "
                "with --weights PATH, or ask for random weights with --weights none."
            ) from None
        except PresetError as error:
            raise WeightsError(str(error)) from error

    def _draw_images(self, like: Any) -> np.ndarray:
        import numpy as np

        size = like.inputs[0].shape[1]
        low, high = np.transpose(self.preprocessing.output_range)
        noise = np.random.default_rng(0).uniform(low, high, (1, size, size, 3))
        return noise.astype(np.float32)

    def _check_equal(self, model: Any, images: np.ndarray, expected: Any) -> None:
        import keras
        import numpy as np

        ours = keras.Model(model.get_layer(ENTRY).output, model.get_layer(FEATURES).output)
        off = np.abs(np.asarray(ours(images, training=False)) - expected).max()
        scale = np.abs(expected).max()
        if not off <= _TOLERANCE * scale:
            raise ModelError(
                f"backbone {self.name!r}: expected a flat graph that computes what KerasHub's "
                f"{self._preset.network.__name__} does. Received: features that differ by "
                f"{off / scale:.2g} of their scale. Take another preset."
            )


def _find_hurdles(flat: Flat) -> tuple[str, ...]:
    found = set()
    for layer in flatten_layers(flat.graph, include_self=False):
        activation = getattr(getattr(layer, "activation", None), "__name__", "")
        marks = (activation, type(layer).__name__, layer.name)
        found |= {
            word
            for word, mark in _HURTS_INT8.items()
            if any(map(mark.fullmatch, filter(None, marks)))
        }
    return tuple(sorted(found))
