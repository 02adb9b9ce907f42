"""The modality `image`: photos of any size become the square of pixels that a network takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ContractError, DataError
from tfxfer.images.amplitudes import WINDOWS, give_amplitudes, measure_amplitudes
from tfxfer.images.audit import PEAK, inspect_image
from tfxfer.images.augment import AUGMENT_LEVELS, make_views
from tfxfer.images.decode import find_seen, open_image
from tfxfer.images.depth import FULL_WHITE, find_white
from tfxfer.images.duplicates import find_near_duplicates
from tfxfer.images.formats import READ_SUFFIXES, UNREAD_SUFFIXES
from tfxfer.images.luma import take_luma
from tfxfer.images.pixels import check_pixels
from tfxfer.images.quiet import quiet_pillow
from tfxfer.modality import Modality
from tfxfer.picture import Picture
from tfxfer.preprocessing import Preprocessing
from tfxfer.progress import Progress
from tfxfer.sample import Findings, InputSpec, Sample
from tfxfer.system.arguments import describe_value

__all__ = ["PIXELS", "ImageModality"]

PIXELS = "pixels"
"""Name of the model's input."""

_RESCALE = "rescale_pixels"


class ImageModality(Modality):
    """RGB pixels 0..255, resized as the backbone's `Preprocessing` says.

    A contract with `grey` takes how bright they are instead.

    Shapes: the input `pixels` is (size, size, 3), of grey (size, size, 1), stored as uint8.
    """

    name = "image"
    noun = "image"
    plural = "images"
    size_unit = "px"
    # Also what is not read: such a photo is told with its reason, and not passed over.
    suffixes: ClassVar[frozenset[str]] = READ_SUFFIXES | UNREAD_SUFFIXES
    levels = AUGMENT_LEVELS
    view_options: ClassVar[Mapping[str, Any]] = {"flip": True}
    picture_input = PIXELS
    has_looks = True
    # At 224 px; docs/domain_gap.md has the sets, the backbones and the command.
    landmarks = (
        ("natural photos", 0.02, 0.09),
        ("cartoons", 0.16, 0.27),
        ("photos of steel defects", 0.29, 0.39),
        ("noise", 0.66, 1.1),
    )

    def list_smaller_sizes(self, size: int) -> tuple[int, ...]:
        """Returns multiples of 32, which networks halve five times, down to half of the side."""
        least = max(96, size // 2)
        return tuple(range((size - 1) // 32 * 32, least - 1, -32))

    def check_contract(self, contract: Any) -> None:
        """Refuses what is no `Preprocessing`."""
        if not isinstance(contract, Preprocessing):
            raise ContractError(
                "images: expected a tfxfer.Preprocessing as preprocessing. "
                f"Received: preprocessing={describe_value(contract)}."
            )

    def read_contract(
        self, data: Mapping[str, Any], *, assets: Path | None = None
    ) -> Preprocessing:
        """Reads a stored `Preprocessing`."""
        return Preprocessing.from_dict(data)

    def inspect(self, sample: Sample) -> Findings:
        """Decodes a photo once, to its last byte."""
        if sample.path is None:
            return Findings(fault=("unreadable", "the cell of a table, not a file"))
        return inspect_image(sample.path)

    def fit_contract(
        self, contract: Preprocessing, facts: Sequence[Mapping[str, Any]]
    ) -> tuple[Preprocessing, tuple[str, ...]]:
        """Settles what is white in files with more than 8 bits a channel, where there are any."""
        peaks = [fact[PEAK] for fact in facts if PEAK in fact]
        if not peaks:
            return contract, ()
        peak = max(peaks)
        if contract.white is not None:
            # A pixel or two may be hot; a whole number of bits more is another sensor.
            if find_white(peak) <= contract.white:
                return contract, ()
            words = f"images have values up to {peak:,}; white is {contract.white:,}, as the model "
            return contract, (f"{words}was trained with, and what is brighter becomes white",)
        fitted = replace(contract, white=find_white(peak))
        if fitted.white == FULL_WHITE:
            return fitted, ()
        words = (
            f"{len(peaks):,} images have 16 bits a channel and values up to {peak:,}: white is "
            f"{fitted.white:,}, for these and for every image that the model will see"
        )
        return fitted, (words,)

    def find_copies(
        self, sketches: Sequence[np.ndarray], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Returns groups of resized and re-encoded copies of one photo."""
        return find_near_duplicates(np.stack(sketches), progress=progress)

    def list_inputs(self, size: int, contract: Preprocessing) -> dict[str, InputSpec]:
        """Returns the one input, a square of pixels."""
        return {PIXELS: InputSpec((size, size, contract.channels), stored="uint8")}

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

        Shapes: uint8 (views, size, size, 3), of grey (views, size, size, 1).

        Raises:
            ImageError: a file that is no readable image.
        """
        if sample.path is None:
            raise DataError(
                f"image {sample.name!r}: expected a file. Received: the cell of a table."
            )
        # A resize without antialiasing depends on pixels that a reduced JPEG no longer has.
        needed = size if contract.resize.antialias else None
        found = make_views(
            open_image(
                sample.path,
                min_side_px=needed,
                white=FULL_WHITE if contract.white is None else contract.white,
            ),
            size_px=size,
            resize=contract.resize,
            level=level,
            views=views,
            seed=seed,
            index=index,
            **(self.view_options if options is None else options),
        )
        return take_luma(found) if contract.grey else found

    def measure_looks(self, inputs: Arrays) -> np.ndarray:
        """Returns the amplitudes of low frequencies: colours, light and coarse contrast."""
        return measure_amplitudes(inputs[PIXELS] if isinstance(inputs, dict) else inputs)

    def give_look(self, inputs: Arrays, look: np.ndarray, *, rng: np.random.Generator) -> Arrays:
        """Returns pixels with another photo's amplitudes, in one of three windows."""
        assert isinstance(inputs, np.ndarray)
        found = give_amplitudes(inputs, look, window=float(rng.choice(WINDOWS)))
        return np.rint(found).clip(0, 255).astype(np.uint8)

    def read_picture(
        self, sample: Sample, *, longest_px: int, contract: Preprocessing | None = None
    ) -> Picture:
        """Returns a photo upright, in its own aspect ratio, with what `read` takes of it.

        Raises:
            ImageError: a file that is no readable image.
        """
        if sample.path is None:
            raise DataError(
                f"image {sample.name!r}: expected a file. Received: the cell of a table."
            )
        settled = contract or Preprocessing()
        white = FULL_WHITE if settled.white is None else settled.white
        image = open_image(sample.path, white=white)
        width, height = image.size
        seen = find_seen(width, height, settled.resize)
        image.thumbnail((longest_px, longest_px))
        return Picture(np.array(image), (width, height), seen)

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Keeps Pillow from warning of every odd file."""
        return quiet_pillow()
