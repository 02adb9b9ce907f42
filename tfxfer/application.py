"""A backbone out of Keras Applications: what each of them would write again.

A family states what differs: the name of the function, what its weights expect of pixels, where
its blocks end and where its weights are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer.errors import ContractError
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import (
    copy_weights,
    list_operations,
    list_parts,
    name_anonymous,
    replace_layers,
)
from tfxfer.weights_file import read_weights_file

if TYPE_CHECKING:
    import keras

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
    to rescale pixels and what is random in training becomes an `Identity`. A `Sequential` is
    opened, a `+` of two tensors becomes an `Add` layer, at which a stage can end, and a
    convolution with a group for each channel becomes a `DepthwiseConv2D`. Layers that Keras
    numbers get lasting names (`surgery.name_anonymous`).

    Attributes:
        application: name of the function in `keras.applications`.
        options: those of its arguments that make the variant.
        input_mode: mode of Keras's `preprocess_input` that the weights were trained with; it sets
            `preprocessing`, unless the class sets that itself. Weights of `caffe` are for BGR:
            their first kernel is turned to RGB while they are loaded.
        taken_out: classes of layers that become an `Identity`.
    """

    application: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    input_mode: ClassVar[Literal["tf", "torch", "caffe"] | None] = None
    taken_out: ClassVar[frozenset[str]] = frozenset(
        {"Rescaling", "Normalization", "Dropout", "StochasticDepth"}
    )

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
            if type(part).__name__ in self.taken_out:
                replacements[id(part)] = keras.layers.Identity(name=name)
            elif _is_plus(part):
                replacements[id(part)] = keras.layers.Add(name=name)
            elif _is_depthwise(part):
                replacements[id(part)] = _make_depthwise(part, name=name)
            elif name != part.name:
                replacements[id(part)] = type(part).from_config({**part.get_config(), "name": name})
        if not replacements and not any(isinstance(x, keras.Sequential) for x in operations):
            return output
        return replace_layers(output, lambda part: replacements.get(id(part)))

    def load_weights(self, model: keras.Model, path: Path) -> None:
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
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        read_weights_file(
            Path(path),
            into=source,
            make_whole=lambda **arguments: self._make(include_top=True, **arguments),
            backbone=self.name,
            network=f"{self.application}({options})" if options else self.application,
        )
        if self.input_mode == "caffe":
            _turn_to_rgb(source)
        self.adapt(source)
        names = name_anonymous(list_operations(source.output, inputs=source.input))

        def rename(layer: Any) -> str | None:
            is_out = type(layer).__name__ in self.taken_out
            return None if is_out else names.get(id(layer), layer.name)

        copy_weights(source, model, rename=rename, read=_read_arrays)

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


def _is_plus(operation: Any) -> bool:
    import keras

    is_operation = not isinstance(operation, keras.layers.Layer)
    terms = operation.input if is_operation else None
    return type(operation).__name__ == "Add" and isinstance(terms, list) and len(terms) > 1


def _is_depthwise(part: Any) -> bool:
    import keras

    return isinstance(part, keras.layers.Conv2D) and 1 < part.groups == part.filters


def _make_depthwise(convolution: Any, *, name: str) -> Any:
    """Returns the same convolution as TensorFlow runs fast on a CPU.

    It compiles convolutions with groups by XLA: 2.1 s for eight maps of 56 x 56 x 96 and a kernel
    of 7, against .018 s.
    """
    import keras

    config = convolution.get_config()
    kept = ("kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias", "dtype")
    return keras.layers.DepthwiseConv2D(
        name=name,
        depthwise_initializer=config["kernel_initializer"],
        **{key: config[key] for key in kept},
    )


def _read_arrays(layer: Any) -> list[Any]:
    """Returns the arrays of a layer as its replacement has them."""
    values = list(layer.get_weights())
    if _is_depthwise(layer):
        values[0] = values[0].swapaxes(2, 3)
    return values


def _turn_to_rgb(source: Any) -> None:
    """Reverses the input axis of the first kernel, which is exact."""
    layer = next(layer for layer in source.layers if layer.weights)
    kernel, *others = layer.get_weights()
    layer.set_weights([kernel[:, :, ::-1], *others])
