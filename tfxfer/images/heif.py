"""HEIC photos, which the extra `tfxfer[heic]` reads with pillow-heif."""

from __future__ import annotations

import io

from PIL import Image

__all__ = ["open_heif"]


def open_heif(content: bytes) -> Image.Image | None:
    """Returns the photo, not decoded yet; None where pillow-heif is not installed.

    Pillow's registry of formats stays as it is: nothing else in the process sees the parser.
    """
    try:
        from pillow_heif import HeifImageFile
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pillow_heif":
            raise  # it is there, and something that it needs is not
        return None
    image: Image.Image = HeifImageFile(io.BytesIO(content))
    return image
