"""Samples as small pictures inside the page."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfxfer.data.record import Record
from tfxfer.errors import DataError
from tfxfer.report.material import Material
from tfxfer.run.assets import read_run_contract

__all__ = ["SIDES_PX", "Picture", "PictureBook", "encode_picture"]

SIDES_PX: Mapping[str, int] = {"wide": 224, "narrow": 144}
"""Longer side of a picture, by how wide a gallery shows it."""

_QUALITY = 78  # of a JPEG: 5 to 12 kB each, and nothing that a person would miss


@dataclass(frozen=True)
class Picture:
    """A sample as a page shows it.

    Args:
        uri: of its pixels, in full; empty where there is no picture.
        reason: why there is none; empty where a sample has no picture in any case.
    """

    uri: str = ""
    reason: str = ""


class PictureBook:
    """Finds the pictures of a run's samples.

    Args:
        material: of the run; its origin says where the samples are.
        heats: pictures of what the model looked at, by the sample's path.
    """

    def __init__(self, material: Material, heats: Mapping[str, np.ndarray] | None = None) -> None:
        self._modality, self._root = material.modality, material.origin.root
        is_settled = material.manifest.preprocessing is not None
        self._contract = read_run_contract(material.run, self._modality) if is_settled else None
        self._heats = heats or {}
        self.find = functools.cache(self._find)

    def find_heat(self, path: str) -> Picture:
        """Returns what the model looked at; without a uri where nobody asked."""
        heat = self._heats.get(path)
        return Picture() if heat is None else Picture(encode_picture(heat))

    def _find(self, path: str, width: str = "wide") -> Picture:
        if self._modality.picture_input is None:
            return Picture()
        if self._root is None:
            return Picture(reason="the data is not known here")
        sample = Record(path, "").locate(self._root)
        if sample.path is not None and not sample.path.is_file():
            return Picture(reason="the file is not there any more")
        try:
            with self._modality.reading():
                seen = self._modality.read_picture(
                    sample, contract=self._contract, longest_px=SIDES_PX[width]
                )
        except DataError:
            return Picture(reason="cannot be read")
        return Picture(encode_picture(seen.pixels))


def encode_picture(pixels: np.ndarray) -> str:
    """Returns pixels as the address of a picture that holds it.

    Shapes: uint8 (height, width, 3).
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
