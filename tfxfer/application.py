"""A backbone out of Keras Applications: what each of them would write again.

A family states what differs: the name of the function, what its weights expect of pixels, where
its blocks end and where its weights are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer.errors import ContractError, WeightsError
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import (
    copy_weights,
    list_operations,
    list_parts,
    name_anonymous,
    replace_layers,
)

__all__ = ["ApplicationBackbone", "imagenet_weights", "number_stages"]

# What `keras.applications.imagenet_utils.preprocess_input` does in each of its modes, on RGB; its
# caffe mode also swaps red and blue, which `load_weights` makes up for in the first kernel.
_INPUT_MODES: Mapping[str, Preprocessing] = {
    "tf": Preprocessing.from_mean_std(mean=127.5, std=127.5),
    "torch": Preprocessing.from_mean_std(
        mean=(255 * 0.485, 255 * 0.456, 255 * 0.406), std=(255 * 0.229, 255 * 0.224, 255 * 0.225)
    ),
    "caffe": Preprocessing.from_mean_std(mean=(123.68, 116.779, 103.939), std=1.0),
}
# Layers that rescale pixels, or are random in training.
_TAKEN_OUT = frozenset({"Rescaling", "Normalization", "Dropout", "StochasticDepth"})
_FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"


def imagenet_weights(
    file: str,
    *,
    licence: str,
    md5: str | None = None,
    sha256: str | None = None,
    origin: str = "ImageNet-1k",
) -> dict[str, Weights]:
    """Returns the `weights` of a network that Keras keeps one ImageNet file of.

    Args:
        file: folder and file as Keras Applications has them, or a whole address.
        licence: SPDX identifier.
        md5: of the file, where Keras declares it.
        sha256: of the file, where Keras declares that.
        origin: who trained them and on what.
    """
    url = file if "://" in file else _FILES + file
    return {"imagenet": Weights(licence=licence, url=url, md5=md5, sha256=sha256, origin=origin)}


def number_stages(
    blocks: Iterable[str], *, stem: str | None = None, top: str | None = None
) -> tuple[Stage, ...]:
    """Returns stages `stem`, `block_1`, `block_2` … and `top`.

    Args:
        blocks: name of the layer that each block ends at, in order from the input.
        stem: layer at the end of what comes before the blocks; None where the blocks come first.
        top: layer at the end of what comes behind them; None where the last block is the end.

    Example:
        >>> [stage.name for stage in number_stages(["add_a", "add_b"], stem="pool", top="relu")]
        ['stem', 'block_1', 'block_2', 'top']
    """
    return (
        *([Stage("stem", stem)] if stem is not None else []),
        *(Stage(f"block_{i}", end) for i, end in enumerate(blocks, start=1)),
        *([Stage("top", top)] if top is not None else []),
    )


class ApplicationBackbone(Backbone):
    """A backbone that `keras.applications` builds, flat and without a rescale of its own.

    A subclass names it, its `input_mode` and its `stages`; the rest is here. What Keras builds in
    to rescale pixels and what is random in training becomes an `Identity`, a `Sequential` is
    opened, a `+` of two tensors becomes an `Add` layer, at which a stage can end, and layers
    that Keras numbers get lasting names (`surgery.name_anonymous`).

    Attributes:
        application: name of the function in `keras.applications`.
        options: those of its arguments that make the variant.
        input_mode: mode of Keras's `preprocess_input` that the weights were trained with; it sets
            `preprocessing`, unless the class sets that itself. Weights of `caffe` are for BGR:
            their first kernel is turned to RGB while they are loaded.
    """

    application: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    input_mode: ClassVar[Literal["tf", "torch", "caffe"] | None] = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Derives `preprocessing` from `input_mode`.

        Raises:
            ContractError: Keras has no such mode.
        """
        super().__init_subclass__(**arguments)
        mode = vars(cls).get("input_mode")
        if mode is None:
            return
        if mode not in _INPUT_MODES:
            raise ContractError(
                f"{cls.__name__}: expected input_mode to be one of {tuple(_INPUT_MODES)}. "
                f"Received: input_mode={mode!r}."
            )
        if "preprocessing" not in vars(cls):
            cls.preprocessing = _INPUT_MODES[mode]

    def build(self, inputs: Any) -> Any:
        """Returns the last map of already preprocessed images, with random weights.

        What lies before `inputs` is kept, but may be made anew with the rest of the graph.

        Shapes: inputs (batch, size, size, 3); returns (batch, height, width, channels).
        """
        import keras

        output = self._make(input_tensor=inputs).output
        operations = list_operations(output, inputs=inputs)
        names = name_anonymous(operations)
        replacements: dict[int, Any] = {}
        for part in (part for operation in operations for part in list_parts(operation)):
            name = names.get(id(part), part.name)
            if type(part).__name__ in _TAKEN_OUT:
                replacements[id(part)] = keras.layers.Identity(name=name)
            elif _is_plus(part):
                replacements[id(part)] = keras.layers.Add(name=name)
            elif name != part.name:
                replacements[id(part)] = type(part).from_config({**part.get_config(), "name": name})
        if not replacements and not any(isinstance(x, keras.Sequential) for x in operations):
            return output
        return replace_layers(output, lambda part: replacements.get(id(part)))

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads a weights file of the Keras model, with or without top, into `model`.

        Sets every array, or none and raises.

        Args:
            model: flat `keras.Model` that holds the layers that `build` made.
            path: Keras 3 `.weights.h5` or `.keras`, or legacy `.h5`.

        Raises:
            WeightsError: the file cannot be read, has gaps, or is of another architecture.
        """
        # Files know the order of layers and not our names: only the untouched model fits them.
        source = self._make()
        self._fill(source, Path(path))
        if self.input_mode == "caffe":
            _turn_to_rgb(source)
        self.adapt(source)
        names = name_anonymous(list_operations(source.output, inputs=source.input))

        def rename(layer: Any) -> str | None:
            is_out = type(layer).__name__ in _TAKEN_OUT
            return None if is_out else names.get(id(layer), layer.name)

        copy_weights(source, model, rename=rename)

    def adapt(self, source: Any) -> None:
        """Checks or changes loaded weights before they are copied; nothing here.

        Args:
            source: the untouched Keras model, with the file's weights in it, for RGB.

        Raises:
            WeightsError: they are not weights for this backbone.
        """

    def _make(self, **arguments: Any) -> Any:
        import keras

        make = getattr(keras.applications, self.application)
        return make(**{"include_top": False, "weights": None, **self.options, **arguments})

    def _fill(self, source: Any, path: Path) -> None:
        import keras
        import numpy as np

        # A loader that skips an array leaves NaN behind, which the check below sees.
        for weight in source.weights:
            if keras.backend.is_float_dtype(weight.dtype):
                weight.assign(np.full(weight.shape, np.nan, "float32"))
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self._read(path, into=source)
            _refuse_skipped(caught)
        except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
            call = f"{self.application}({options})" if options else self.application
            raise WeightsError(
                f"backbone {self.name!r} cannot read its weights: expected a .weights.h5 or legacy "
                f".h5 file of keras.applications.{call}, with or without its top. "
                f"Received: path={str(path)!r}. "
                f"Keras says: {' '.join(str(error).split())[:300]}"
            ) from error
        for weight in source.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise WeightsError(
                    f"weights of {self.name!r}: expected finite numbers for every array. "
                    f"Received: none, NaN or infinity for {weight.path!r} in path={str(path)!r}."
                )

    def _read(self, path: Path, *, into: Any) -> None:
        try:
            into.load_weights(path)
        except ValueError as error:
            # Legacy files are read by counting layers, so one with top needs a model with top; in
            # the others a top is simply left unread.
            if path.name.endswith((".weights.h5", ".keras")):
                raise
            full = self._make(include_top=True)
            classes = _count_classes(path, full.layers[-1].name)
            if classes not in (None, full.output.shape[-1]):
                full = self._make(include_top=True, classes=classes)
            try:
                full.load_weights(path)
            except ValueError:
                raise error from None
            # The top is a chain at the end; what comes before it is `into`, layer by layer.
            layers = [layer for layer in full.layers if layer.weights]
            for receiver, layer in zip(
                (layer for layer in into.layers if layer.weights), layers, strict=False
            ):
                receiver.set_weights(layer.get_weights())


def _refuse_skipped(caught: Sequence[warnings.WarningMessage]) -> None:
    """Raises where Keras warned of layers that stay random; passes other warnings on.

    Not a filter that makes an error of it: that would leave the file open.
    """
    for item in caught:
        if str(item.message).startswith("Skipping nested container"):
            raise ValueError(str(item.message))
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)


def _is_plus(operation: Any) -> bool:
    import keras

    is_operation = not isinstance(operation, keras.layers.Layer)
    terms = operation.input if is_operation else None
    return type(operation).__name__ == "Add" and isinstance(terms, list) and len(terms) > 1


def _turn_to_rgb(source: Any) -> None:
    """Reverses the input axis of the first kernel, which is exact."""
    layer = next(layer for layer in source.layers if layer.weights)
    kernel, *others = layer.get_weights()
    layer.set_weights([kernel[:, :, ::-1], *others])


def _count_classes(path: Path, top: str) -> int | None:
    """Returns the length of the only vector, the bias, that a legacy file has in layer `top`."""
    import h5py  # type: ignore[import-untyped]

    lengths: list[int] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 1:
            lengths.append(item.shape[0])

    with h5py.File(path, "r") as file:
        layers = file.get("model_weights", file)  # a whole model keeps them there
        if top in layers:
            layers[top].visititems(note)
    return lengths[0] if len(lengths) == 1 else None
