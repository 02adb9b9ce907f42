from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.images.audit import inspect_image
from tfxfer.images.bombs import describe_bomb
from tfxfer.images.colours import flatten_to_rgb, scale_image
from tfxfer.images.decode import open_image, probe_image
from tfxfer.system.process import ask_child

from ..peak import PEAK_BYTES


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


def test_what_follows_or_lies_within_a_photo_is_no_scan_of_it() -> None:
    start = b"\xff\xda\x00\x02"
    preview = b"\xff\xe1" + (2 + 4 * 200).to_bytes(2, "big") + start * 200
    content = b"\xff\xd8" + preview + start + b"\x11\xff\xd9" + start * 200
    assert describe_bomb(content, (1_000, 1_000), 24) is None
    assert describe_bomb(content.replace(b"\xff\xd9", b""), (1_000, 1_000), 24) is not None


def scans(count: int) -> bytes:
    data = bytes(1_000_000 // count)
    return b"\xff\xd8" + (b"\xff\xda\x00\x02\x11\xff\x00\xff\xd1" + data) * count


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ((bytes(10**6), (65_535, 1), 24, {}), (bytes(10**6), (65_536, 1), 24, {})),
        ((bytes(10), (5_000, 5_000), 24, {}), (bytes(10), (5_000, 5_001), 24, {})),
        ((bytes(180_000), (6_000, 5_000), 24, {}), (bytes(179_999), (6_000, 5_000), 24, {})),
        ((scans(100), (1_000, 1_000), 24, {}), (scans(101), (1_000, 1_000), 24, {})),
        ((scans(18), (10_000, 12_000), 24, {}), (scans(19), (10_000, 12_000), 24, {})),
        (
            (bytes(10**6), (10_000, 8_000), 48, {"is_deep": True}),
            (bytes(10**6), (10_000, 8_001), 48, {"is_deep": True}),
        ),
        (
            (bytes(30 * 10**6), (10_000, 10_000), 48, {"is_deep": True}),
            (bytes(30 * 10**6 - 1), (10_000, 10_000), 48, {"is_deep": True}),
        ),
        (
            (scans(2), (10_000, 12_000), 32, {"held_bytes": 960_000_000}),
            (scans(2), (10_000, 12_000), 32, {"held_bytes": 960_000_001}),
        ),
        (
            (bytes(10**6), (6_000, 10_000), 24, {"form": "WEBP"}),
            (bytes(10**6), (6_001, 10_000), 24, {"form": "WEBP"}),
        ),
    ],
)
def test_each_limit_is_where_it_is_said_to_be(below: Any, above: Any) -> None:
    assert describe_bomb(*below[:3], **below[3]) is None
    assert describe_bomb(*above[:3], **above[3]) is not None


def test_bands_change_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (37, 29, 4), np.uint8), "RGBA")
    palette = Image.fromarray(rng.integers(0, 256, (37, 29), np.uint8), "P")
    palette.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
    palette.info["transparency"] = bytes(range(256))
    deep = rng.integers(0, 65_536, (37, 29, 4)).astype(np.uint16)
    buffer = io.BytesIO()
    write_deep_png(buffer, deep)
    whole = [np.asarray(flatten_to_rgb(x)) for x in (image, palette)]
    whole += [np.asarray(scale_image(deep, 65_535)), probe_image(buffer.getvalue()).deep]
    assert np.array_equal(whole[-1], deep)
    monkeypatch.setattr("tfxfer.images.bands.BAND_PIXELS", 100)
    parts = [np.asarray(flatten_to_rgb(x)) for x in (image, palette)]
    parts += [np.asarray(scale_image(deep, 65_535)), probe_image(buffer.getvalue()).deep]
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)


def write_deep_png(buffer: io.BytesIO, values: np.ndarray) -> None:
    """Writes RGBA with 16 bits a channel, which Pillow cannot."""
    height, width = values.shape[:2]
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    buffer.write(b"\x89PNG\r\n\x1a\n")
    head = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        buffer.write(struct.pack(">I", len(data)) + kind + data + check)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="resource")
@pytest.mark.parametrize("colour", [0, 2, 3, 6], ids=["grey", "colour", "palette", "opacity"])
def test_the_largest_photo_of_a_small_file_stays_under_2_gib(tmp_path: Path, colour: int) -> None:
    """120 megapixels whose rows hold just enough noise to be no bomb, with every copy made."""
    width, height = 10_900, 10_900
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    noise = np.random.default_rng(0).bytes(width * channels // 150)
    row = b"\0" + noise + bytes(width * channels - len(noise))
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # a quarter turn
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"eXIf", exif)]
    if colour == 3:
        chunks += [(b"PLTE", bytes(768)), (b"tRNS", bytes(range(256)))]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (*chunks, (b"IDAT", body), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    assert len(content) < 10_000_000
    path = tmp_path / "x.png"
    path.write_bytes(content)
    outcome = ask_child(PEAK, str(path), timeout_s=300)
    fault, peak_bytes = outcome.answers[0]
    assert fault is None
    assert peak_bytes < 2 << 30


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak")
@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_of_200_megapixels_stays_under_2_gib(tmp_path: Path, progressive: bool) -> None:
    """As large as any phone takes one, in one scan and in ten, and turned."""
    path = tmp_path / "x.jpg"
    asked = ask_child(LARGE, [str(path), progressive], timeout_s=300)
    assert asked.answers == [16_320 * 12_240]
    for least in (None, 224):
        outcome = ask_child(PEAK_OF_ALL, [str(path), least], timeout_s=300)
        size, peak_bytes = outcome.answers[0]
        assert size == ([6_120, 8_160] if least is None else [1_530, 2_040])
        assert peak_bytes < 2 << 30


LARGE = """
from PIL import Image
path, progressive = read_question()
noise = Image.effect_noise((1_020, 765), 60).convert("RGB")
exif = Image.Exif()
exif[0x0112] = 6
large = noise.resize((16_320, 12_240), Image.Resampling.NEAREST)
large.save(path, quality=60, progressive=progressive, exif=exif, subsampling=2)
answer(large.width * large.height)
"""

PEAK_OF_ALL = f"""
from pathlib import Path
from tfxfer.images.decode import open_image
path, least = read_question()
image = open_image(Path(path), min_side_px=least)
answer([image.size, {PEAK_BYTES}])
"""

PEAK = f"""
from pathlib import Path
from tfxfer.images.audit import inspect_image
found = inspect_image(Path(read_question()))
answer([found.fault, {PEAK_BYTES}])
"""
