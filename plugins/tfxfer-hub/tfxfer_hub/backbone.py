"""A TensorFlow Hub module or a SavedModel as a backbone: one block, frozen or trainable."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from tfxfer.backbone import Backbone, Weights
from tfxfer.errors import ModelError, WeightsError
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.quiet import quiet_native
from tfxfer_hub.fetching import fetch_module
from tfxfer_hub.handle import Handle, parse_handle
from tfxfer_hub.inspection import ModuleFacts, check_facts, read_facts, values_file

if TYPE_CHECKING:
    import numpy as np

__all__ = ["HubBackbone"]

_LAYER = "hub"
_SOURCE = "module"
_HUB_PIXELS = (0.0, 1.0)
_OUTPUTS: dict[int, Literal["vector", "tokens", "map"]] = {2: "vector", 3: "tokens", 4: "map"}

_log = logging.getLogger(__name__)


class HubBackbone(Backbone):
    """A module that a handle names.

    Making one downloads and runs nothing: a finished run, whose graph is in its file, is loaded
    wherever its module has gone. `weights` fetches the module, `build` opens it.

    Args:
        handle: URL or folder, and options.
        name: what the user typed.
    """

    name: str
    family = "hub"
    random_weights = False
    licence = "the module's own: see its page"

    def __init__(self, handle: Handle, *, name: str) -> None:
        self.handle, self.name = handle, name
        self._folder: Path | None = None
        self._facts: ModuleFacts | None = None
        self._module: Any = None
        self._values: list[np.ndarray] = []
        self._rank = 2

    @classmethod
    def from_handle(cls, handle: str) -> Self:
        """Returns the backbone of `hub:HANDLE`; see `parse_handle`.

        Raises:
            UsageError: options that cannot be meant.
        """
        cls.import_layers()  # Keras finds the layer of a saved run only once its module is there
        return cls(parse_handle(handle), name=f"hub:{handle}")

    @classmethod
    def import_layers(cls) -> None:
        """Imports the layer that a module becomes."""
        with quiet_native():
            import tfxfer_hub.layer  # noqa: F401

    @property
    def weights(self) -> Mapping[str, Weights]:  # type: ignore[override]
        """The module's own values, which it cannot be built without."""
        return {
            _SOURCE: Weights(
                licence=self.licence, fetch=self._fetch, origin="whatever its page says"
            )
        }

    @property
    def default_image_size(self) -> int:  # type: ignore[override]
        """What the user says, or the module where it is here and takes one size, or 224."""
        return self.handle.size or self._fixed_size() or Backbone.default_image_size

    @property
    def min_image_size(self) -> int:  # type: ignore[override]
        """The module's size where it takes one."""
        smallest = self._fixed_size() or Backbone.min_image_size
        return min(smallest, self.default_image_size)

    @property
    def preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """To what the user says, or to 0..1, TensorFlow Hub's convention for images."""
        low, high = self.handle.pixels or _HUB_PIXELS
        return Preprocessing(scale=((high - low) / 255,) * 3, offset=(low,) * 3)

    @property
    def output(self) -> Literal["map", "tokens", "vector"]:  # type: ignore[override]
        """What the last `build` made; a vector, the usual, before."""
        return _OUTPUTS[self._rank]

    def build(self, inputs: Any) -> Any:
        """Returns the module's features, with its own weights.

        Shapes: inputs (batch, size, size, 3); returns (batch, channels), or what else it makes.

        Raises:
            ModelError: no function of the module maps such images to features, or Keras runs on
                another backend than TensorFlow.
            WeightsError: the module is not here and cannot be fetched.
        """
        self._check_backend()
        from tfxfer_hub.cutting import cut_graph, load_module
        from tfxfer_hub.layer import HubLayer

        folder, facts = self._open()
        size = int(inputs.shape[1])
        if facts.image_size not in (None, size):
            raise ModelError(
                f"backbone {self.name!r}: expected images of {facts.image_size} px, the only ones "
                f"the module takes. Received: image_size={size}. Leave --image-size out, or give "
                "that size."
            )
        if self._module is None:
            self._module = load_module(str(folder), handle=self.handle)
        graph, self._values = cut_graph(self._module, handle=self.handle, size=size)
        layer = HubLayer(graph.to_config(), name=_LAYER)
        layer.set_module_values(self._values)
        self._rank = 1 + len(graph.feature_shape)
        if self.handle.frozen:
            _log.warning("%s: no phase trains it: --schedule head is all it can use", self.name)
        if self.handle.pixels is None:
            _log.warning(
                "%s: its pixels are taken to be 0..1, as TensorFlow Hub has it; if it was trained "
                "on others, say so: hub:HANDLE#pixels=-1..1",
                self.name,
            )
        return layer(inputs)

    def load_weights(self, model: Any, path: Path) -> None:
        """Gives the layer of `build` the module's own values again.

        Args:
            model: `keras.Model` that holds that layer.
            path: what `weights` fetched.

        Raises:
            WeightsError: another file, which cannot be read into a module.
        """
        folder, _ = self._open()
        if Path(path).absolute() != values_file(folder).absolute():
            raise WeightsError(
                f"weights of {self.name!r}: expected the module's own. Received: "
                f"path={str(path)!r}. Leave --weights out; another module is another handle."
            )
        model.get_layer(_LAYER).set_module_values(self._values)

    def _check_backend(self) -> None:
        import keras

        if keras.config.backend() != "tensorflow":
            raise ModelError(
                f"backbone {self.name!r}: expected the TensorFlow backend, which runs hub modules. "
                f"Received: backend={keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow."
            )

    def _fetch(self) -> Path:
        self._check_backend()
        folder, facts = self._open()
        check_facts(facts, self.handle)
        return values_file(folder)

    def _open(self) -> tuple[Path, ModuleFacts]:
        if self._folder is None or self._facts is None:
            folder = fetch_module(self.handle)
            self._folder, self._facts = folder, read_facts(folder, self.handle)
        return self._folder, self._facts

    def _fixed_size(self) -> int | None:
        # A URL is not fetched only to be asked, and what is wrong is said when it is needed.
        if self._facts is None and not self.handle.is_url:
            try:
                self._open()
            except WeightsError:
                return None
        return None if self._facts is None else self._facts.image_size
