"""What a plugin author subclasses to bring a pretrained network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfxfer.errors import ModelError, WeightsError
from tfxfer.fine_tuning import FineTuning
from tfxfer.preprocessing import Preprocessing

if TYPE_CHECKING:
    import keras

__all__ = ["BACKBONE_END", "CONTRACT_VERSION", "Backbone", "Stage", "Weights", "check_size"]

CONTRACT_VERSION = "0.1"
"""Version of the plugin contract; grows with `tfxfer`'s minor version."""

BACKBONE_END = "backbone"
"""Name of the last frontier: the whole backbone, after pooling, frozen. Every model has it."""


@dataclass(frozen=True)
class Stage:
    """A run of whole blocks that ends at one tensor.

    Args:
        name: what users type after `--unfreeze-from` and read in the plan, such as `block_9`.
        end: name of the layer whose only output is the cut.
    """

    name: str
    end: str


@dataclass(frozen=True)
class Weights:
    """One named source of pretrained weights. One of `package`, `url` and `fetch` says where.

    Args:
        licence: SPDX identifier, or words where there is none.
        package: pip distribution that carries the file.
        member: path of the file inside that distribution, as `pip show -f` lists it.
        url: address that `keras.utils.get_file` downloads and caches.
        md5: checksum Keras verifies a download with.
        fetch: finds the file or downloads it, for sources with a cache of their own, such as
            TensorFlow Hub. It raises a `WeightsError` that says every way out.
        sha256: checksum of the file, where known; verified before anything reads it.
        origin: who trained them and on what, in a few words.
    """

    licence: str
    package: str | None = None
    member: str | None = None
    url: str | None = None
    md5: str | None = None
    fetch: Callable[[], Path] | None = None
    sha256: str | None = None
    origin: str = "ImageNet-1k"


class Backbone(ABC):
    """A pretrained network without its top.

    Subclasses set the attributes and implement `build` and, where they bring weights,
    `load_weights`. A class is instantiated without arguments. Importing its module must not import
    Keras or TensorFlow: import them inside the methods.

    Attributes:
        name: what users type; equals the entry point's name.
        family: groups variants in lists, such as `efficientnet_lite`.
        modality: name of the kind of sample it reads.
        default_image_size: side of the square input, in pixels; `default_size` of other modalities.
        min_image_size: smallest side that `build` accepts, in pixels; `min_size` of others.
        default_size: of the input, in the modality's unit; for images `default_image_size`.
        min_size: smallest that `build` accepts; for images `min_image_size`.
        max_size: largest that `build` accepts, such as what a table of positions ends at; None for
            any.
        preprocessing: what the weights expect of raw values, a contract of the modality.
        weights: named sources; the first is the default.
        stages: cuts in order from the input, each a single tensor; may be empty.
        output: `map` (height, width, channels), `tokens` (tokens, channels) or `vector`
            (channels). The core pools all three to (channels,).
        quantization: what is known to hurt int8, such as `swish` or `squeeze-excite`.
        fine_tuning: how it is best trained where its user says nothing.
        random_weights: whether `build` can start from random weights; a module that comes with
            its values cannot, and `--weights none` is refused.
        licence: SPDX identifier of the architecture's code.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    modality: ClassVar[str] = "image"
    default_image_size: ClassVar[int] = 224
    min_image_size: ClassVar[int] = 32
    max_size: ClassVar[int | None] = None
    preprocessing: ClassVar[Any] = Preprocessing()
    weights: ClassVar[Mapping[str, Weights]] = {}
    stages: ClassVar[tuple[Stage, ...]] = ()
    output: ClassVar[Literal["map", "tokens", "vector"]] = "map"
    quantization: ClassVar[tuple[str, ...]] = ()
    fine_tuning: ClassVar[FineTuning] = FineTuning()
    random_weights: ClassVar[bool] = True
    licence: ClassVar[str] = "Apache-2.0"
    contract_version: ClassVar[str] = CONTRACT_VERSION

    @property
    def default_size(self) -> int:
        """Size of the input where nobody asks for another, in the modality's unit."""
        return self.default_image_size

    @property
    def min_size(self) -> int:
        """Smallest size that `build` accepts, in the modality's unit."""
        return self.min_image_size

    @classmethod  # noqa: B027 - most bring none
    def import_layers(cls) -> None:
        """Imports the modules that register Keras layers of this plugin's own.

        The core calls it before it reads a model file that names one, so that Keras finds it: a
        file is never asked which module to import. The default has no such layers.
        """

    @abstractmethod
    def build(self, inputs: Any) -> Any:
        """Returns the features of already preprocessed inputs, with random weights.

        The graph must be flat (no nested model), deterministic (no active Dropout or stochastic
        depth) and must not rescale its input.

        Args:
            inputs: what the modality's `build_inputs` returns: a tensor of images, or a dict of
                tensors by name.

        Shapes: images (batch, size, size, 3); returns a map (batch, height, width, channels),
            tokens (batch, tokens, channels) or a vector (batch, channels).
        """

    def load_weights(self, model: keras.Model, path: Path) -> None:
        """Reads the file at `path` into the layers that `build` made.

        Args:
            model: flat `keras.Model` that holds those layers by name, and others beside them.
            path: the file; its sha256 has been checked where `weights` declares one.

        Raises:
            WeightsError: the file does not fit the network.
        """
        raise WeightsError(
            f"backbone {self.name!r} reads no weights: expected a plugin with load_weights. "
            f"Received: path={str(path)!r}."
        )


def check_size(backbone: Backbone, size: int | None, unit: str) -> int:
    """Returns the size of the input: what is asked for, or the backbone's own.

    Args:
        backbone: that takes it.
        size: what is asked for.
        unit: the modality's, for the message.

    Raises:
        ModelError: the backbone takes no input as small, or as large.
    """
    if size is None:
        return backbone.default_size
    if backbone.max_size is not None and size > backbone.max_size:
        raise ModelError(
            f"backbone {backbone.name!r}: expected a size of at most {backbone.max_size} "
            f"{unit}. Received: size={size}."
        )
    if size < backbone.min_size:
        raise ModelError(
            f"backbone {backbone.name!r}: expected a size of at least {backbone.min_size} "
            f"{unit}. Received: size={size}."
        )
    return size
