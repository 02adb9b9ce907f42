from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tfxfer.images.audit import inspect_image
from tfxfer.images.bombs import describe_bomb
from tfxfer.images.decode import open_image


def png(width: int, height: int, colour: int) -> bytes:
    """A PNG of one colour, as small as deflate makes it."""
    stride = width * {0: 1, 6: 4}[colour] + 1
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(stride)) for _ in range(height)) + packer.flush()
    content = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    for kind, data in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(1, 70_000, 0), "a side above 65,535"),
        (png(70_000, 1, 0), "a side above 65,535"),
        (png(6_000, 5_000, 6), "6000x5000 pixels packed into"),
    ],
)
def test_small_files_of_many_pixels(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    fault = inspect_image(path).fault
    assert fault is not None
    assert fault[0] == "bomb"
    assert words in fault[1]


def test_many_scans(tmp_path: Path, photo: Image.Image) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    assert 5 < content.count(b"\xff\xda") < 20
    assert describe_bomb(content, photo.size, 24) is None
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    path = tmp_path / "x.jpg"
    path.write_bytes(content[:-2] + scan * 200 + b"\xff\xd9")
    fault = inspect_image(path).fault
    assert fault is not None
    assert "scans, where a photo has about 10" in fault[1]


@pytest.mark.parametrize(("width", "height"), [(4_000, 3_000), (65_535, 16)])
def test_empty_pages_and_panoramas_are_read(width: int, height: int) -> None:
    assert open_image(png(width, height, 0)).size == (width, height)


def test_a_large_photo_is_no_bomb(photo: Image.Image) -> None:
    large = photo.resize((7_000, 5_000))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=30)
    assert describe_bomb(buffer.getvalue(), large.size, 24) is None
    # One bit a pixel is an eighth of a byte.
    page = (bytes(80_000), (4_960, 7_016))
    assert describe_bomb(*page, 1) is None
    assert describe_bomb(*page, 24) is not None
