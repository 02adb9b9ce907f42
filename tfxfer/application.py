"""A backbone out of Keras Applications: what each of them would write again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tfxfer.backbone import Backbone
from tfxfer.errors import WeightsError
from tfxfer.surgery import copy_weights

__all__ = ["ApplicationBackbone"]


class ApplicationBackbone(Backbone):
    """A backbone that `keras.applications` builds, flat and without a rescale of its own.

    A subclass names it, its `preprocessing` and its `stages`; the rest is here. One that rescales
    inside, or holds Dropout, overrides `build` and takes it out with `surgery.replace_layers`.

    Attributes:
        application: name of the function in `keras.applications`.
        options: those of its arguments that make the variant.
    """

    application: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    def build(self, inputs: Any) -> Any:
        """Returns the last map of already preprocessed images, with random weights.

        Shapes: inputs (batch, size, size, 3); returns (batch, height, width, channels).
        """
        return self._make(input_tensor=inputs).output

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads a weights file of the Keras model, with or without top, into `model`.

        Args:
            model: flat `keras.Model` that holds the layers that `build` made.
            path: Keras 3 `.weights.h5` or `.keras`, or legacy `.h5`.

        Raises:
            WeightsError: the file cannot be read, or is of another architecture.
        """
        # Files know the order of layers and not our names: only the untouched model fits them.
        source = self._make()
        try:
            with warnings.catch_warnings():
                # Keras's words for layers that stay random: never good enough here.
                warnings.filterwarnings("error", message="Skipping nested container")
                self._read(Path(path), into=source)
        except (ValueError, OSError, KeyError, UserWarning) as error:
            options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
            call = f"{self.application}({options})" if options else self.application
            raise WeightsError(
                f"backbone {self.name!r} cannot read its weights: expected a .weights.h5 or legacy "
                f".h5 file of keras.applications.{call}, without top or "
                f"with 1000 classes. Received: path={str(path)!r}. "
                f"Keras says: {' '.join(str(error).split())[:300]}"
            ) from error
        self.adapt(source)
        copy_weights(source, model)

    def adapt(self, source: Any) -> None:
        """Changes loaded weights where this project feeds other pixels than Keras; nothing here.

        Args:
            source: the untouched Keras model, with the file's weights in it.
        """

    def _make(self, **arguments: Any) -> Any:
        import keras

        make = getattr(keras.applications, self.application)
        return make(**{"include_top": False, "weights": None, **self.options, **arguments})

    def _read(self, path: Path, *, into: Any) -> None:
        try:
            into.load_weights(path)
        except ValueError as error:
            # Legacy files are read by counting layers, so one with top needs a model with top; in
            # the others a top is simply left unread.
            if path.name.endswith((".weights.h5", ".keras")):
                raise
            full = self._make(include_top=True)
            try:
                full.load_weights(path)
            except ValueError:
                raise error from None
            # The top is a chain at the end; what comes before it is `into`, layer by layer.
            for receiver, layer in zip(into.layers, full.layers, strict=False):
                receiver.set_weights(layer.get_weights())
