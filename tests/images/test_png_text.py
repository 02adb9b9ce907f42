from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tfxfer.images.content import DecodeError
from tfxfer.images.decode import open_image
from tfxfer.images.png_text import strip_text

LONG = "x" * 2_000_000


def encode(image: Image.Image, *, icc: bytes | None = None, text: str = "", **kinds: bool) -> bytes:
    note = PngImagePlugin.PngInfo()
    if text and kinds.get("international"):
        note.add_itxt("comment", text, zip=True)
    elif text:
        note.add_text("comment", text, zip=True)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(buffer, "PNG", pnginfo=note, icc_profile=icc, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("case", ["text", "international", "profile"])
def test_large_texts_and_profiles_are_no_damage(photo: Image.Image, case: str) -> None:
    small = photo.resize((60, 40))
    content = (
        encode(small, icc=bytes(2_000_000))
        if case == "profile"
        else encode(small, text=LONG, international=case == "international")
    )
    # Pillow alone refuses it.
    with pytest.raises(ValueError, match="too large"), Image.open(io.BytesIO(content)) as image:
        image.load()
    turned = small.transpose(Image.Transpose.ROTATE_180)
    assert np.array_equal(np.asarray(open_image(content)), np.asarray(turned))


def test_a_damaged_file_stays_damaged(photo: Image.Image) -> None:
    content = encode(photo.resize((60, 40)), text=LONG)
    with pytest.raises(DecodeError) as caught:
        open_image(content[:-2000])
    assert caught.value.kind == "corrupt"


def test_only_text_goes(photo: Image.Image) -> None:
    small = photo.resize((60, 40))
    content = encode(small, text="short", icc=b"profile")
    stripped = strip_text(content)
    assert stripped is not None
    with Image.open(io.BytesIO(stripped)) as image:
        assert image.info.keys().isdisjoint(("comment", "icc_profile"))
        assert image.getexif()[0x0112] == 3
        assert np.array_equal(np.asarray(image), np.asarray(small))
    assert strip_text(stripped) is None
    assert strip_text(b"no PNG") is None
