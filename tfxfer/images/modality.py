"""The modality `image`: photos of any size become the square of RGB pixels that a network takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ContractError, DataError
from tfxfer.images.audit import inspect_image
from tfxfer.images.augment import AUGMENT_LEVELS, make_views
from tfxfer.images.decode import open_image, quiet_pillow
from tfxfer.images.duplicates import find_near_duplicates
from tfxfer.images.pixels import check_pixels
from tfxfer.modality import Findings, InputSpec, Modality, Sample
from tfxfer.preprocessing import Preprocessing
from tfxfer.progress import Progress

__all__ = ["PIXELS", "ImageModality"]

PIXELS = "pixels"
"""Name of the model's input."""

_RESCALE = "rescale_pixels"

# Photos that phones and cameras write and Pillow alone does not read.
_OTHER_PHOTOS = (".heic", ".heif", ".avif", ".dng", ".cr2", ".nef", ".arw")


class ImageModality(Modality):
    """RGB pixels 0..255, resized as the backbone's `Preprocessing` says.

    Shapes: the input `pixels` is (size, size, 3), stored as uint8.
    """

    name = "image"
    noun = "image"
    plural = "images"
    size_unit = "px"
    suffixes: ClassVar[frozenset[str]] = frozenset(
        (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
    )
    levels = AUGMENT_LEVELS
    view_options: ClassVar[Mapping[str, Any]] = {"flip": True}

    def explain_ignored(self, suffix: str) -> str:
        """Returns why a file with this suffix is no image that can be read."""
        if suffix.lower() in _OTHER_PHOTOS:
            return f"{suffix} is not read: convert it to JPEG"
        return "not an image"

    def check_contract(self, contract: Any) -> None:
        """Refuses what is no `Preprocessing`."""
        if not isinstance(contract, Preprocessing):
            raise ContractError(
                "images: expected a tfxfer.Preprocessing as preprocessing. "
                f"Received: preprocessing={contract!r}."
            )

    def read_contract(self, data: Mapping[str, Any]) -> Preprocessing:
        """Reads a stored `Preprocessing`."""
        return Preprocessing.from_dict(data)

    def inspect(self, sample: Sample) -> Findings:
        """Decodes a photo once, to its last byte."""
        if sample.path is None:
            return Findings(fault=("unreadable", "the cell of a table, not a file"))
        return inspect_image(sample.path)

    def find_copies(
        self, sketches: Sequence[np.ndarray], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Returns groups of resized and re-encoded copies of one photo."""
        return find_near_duplicates(np.stack(sketches), progress=progress)

    def list_inputs(self, size: int, contract: Preprocessing) -> dict[str, InputSpec]:
        """Returns the one input, a square of pixels."""
        return {PIXELS: InputSpec((size, size, 3), stored="uint8")}

    def check_inputs(self, inputs: Arrays, *, where: str) -> None:
        """Refuses pixels that are not 0..255."""
        check_pixels(inputs[PIXELS] if isinstance(inputs, dict) else inputs, where=where)

    def build_inputs(self, size: int, contract: Preprocessing) -> Any:
        """Returns pixels, rescaled as the contract says, by the first layer."""
        import keras

        pixels = super().build_inputs(size, contract)
        scale: Any = list(contract.scale)
        offset: Any = list(contract.offset)
        if contract.is_uniform:
            scale, offset = scale[0], offset[0]
        return keras.layers.Rescaling(scale, offset, name=_RESCALE)(pixels)

    def read(
        self,
        sample: Sample,
        *,
        size: int,
        contract: Preprocessing,
        views: Sequence[int] = (0,),
        level: str = "none",
        seed: int = 0,
        index: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> np.ndarray:
        """Returns views of one photo, decoded once.

        Shapes: uint8 (views, size, size, 3).

        Raises:
            ImageError: a file that is no readable image.
        """
        if sample.path is None:
            raise DataError(
                f"image {sample.name!r}: expected a file. Received: the cell of a table."
            )
        # A resize without antialiasing depends on pixels that a reduced JPEG no longer has.
        needed = size if contract.resize.antialias else None
        return make_views(
            open_image(sample.path, min_side_px=needed),
            size_px=size,
            resize=contract.resize,
            level=level,
            views=views,
            seed=seed,
            index=index,
            **(self.view_options if options is None else options),
        )

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Keeps Pillow from warning of every odd file."""
        return quiet_pillow()
