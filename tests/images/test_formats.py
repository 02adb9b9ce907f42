from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tfxfer.images.content import DecodeError
from tfxfer.images.decode import open_image
from tfxfer.images.formats import UNREAD_SUFFIXES, detect_unread
from tfxfer.images.modality import ImageModality
from tfxfer.sample import Sample


def iso(*brands: bytes) -> bytes:
    """The first box of an ISO base media file: the major brand, a version, the compatible ones."""
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", len(body) + 4) + body + bytes(2000)


def tiff(*tags: int, order: str = "<") -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(f"{order}HHII", tag, 3, 1, 0) for tag in tags)
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(200)


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (iso(b"heic"), "HEIC"),
        (iso(b"mif1", b"mif1", b"heic"), "HEIC"),
        (iso(b"mif1", b"mif1", b"avif"), "AVIF"),
        (iso(b"avif", b"mif1"), "AVIF"),
        (iso(b"crx ", b"isom"), "camera RAW"),
        (iso(b"qt  "), "video"),
        (iso(b"isom", b"mp42"), "video"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x4f\xff\x51" + bytes(50), "JPEG 2000"),
        (b"FUJIFILMCCD-RAW 0201", "camera RAW"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "camera RAW"),
        (tiff(254, 0xC612), "camera RAW"),
        (tiff(254, 0xC612, order=">"), "camera RAW"),
        (b"8BPS\0\1" + bytes(50), "Photoshop"),
        (b"P5\n2 2\n255\n1234", "PNM"),
        (tiff(254, 256), None),
        (b"\xff\xd8\xff\xe0" + bytes(50), None),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), None),
        (b"RIFF1234WEBPVP8 ", None),
        (b"P56 text", None),
        (b"II*\0\xff\xff\xff\xff", None),
        (b"", None),
        (b"\0\0", None),
    ],
)
def test_kinds_are_told_by_content(content: bytes, kind: str | None) -> None:
    assert detect_unread(content) == kind


def test_raw_files_that_are_tiffs_are_told_by_their_name() -> None:
    content = tiff(254, 256)
    assert detect_unread(content, ".NEF") == "camera RAW"
    assert detect_unread(content, ".tif") is None
    # No name makes a RAW file of a JPEG.
    assert detect_unread(b"\xff\xd8\xff\xe0", ".nef") is None


@pytest.mark.usefixtures("without_heif")
@pytest.mark.parametrize("name", ["phone.jpg", "phone.heic"])
def test_a_heic_photo_is_named_with_the_way_to_read_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(iso(b"heic"))
    with pytest.raises(DecodeError) as caught:
        open_image(path)
    assert caught.value.kind == "unsupported"
    assert 'HEIC, which an extra reads: pip install "tfxfer[heic]"' in str(caught.value)
    fault = ImageModality().inspect(Sample(name, path)).fault
    assert fault is not None
    assert fault[0] == "unsupported"


def test_other_photos_are_named_with_the_way_out(tmp_path: Path) -> None:
    for content, words in (
        (iso(b"avif"), "AVIF, which is not read: convert it to JPEG or PNG"),
        (iso(b"qt  "), "a video, not an image"),
    ):
        path = tmp_path / "x.jpg"
        path.write_bytes(content)
        with pytest.raises(DecodeError, match=words):
            open_image(path)
        with pytest.raises(DecodeError, match=words):
            open_image(content)


def test_a_large_photo_that_is_not_read_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.dng"
    with path.open("wb") as file:
        file.write(tiff(254, 0xC612))
        file.truncate(20 << 30)
    with pytest.raises(DecodeError, match="camera RAW"):
        open_image(path)


def test_heic_photos_are_read_where_the_extra_is_installed(
    photo: Image.Image, tmp_path: Path
) -> None:
    heif: Any = pytest.importorskip("pillow_heif")
    small = photo.resize((120, 80))
    exif = Image.Exif()
    exif[0x0112] = 6
    heif.from_pillow(small).save(tmp_path / "x.heic", quality=90)
    heif.from_pillow(small.transpose(Image.Transpose.ROTATE_90)).save(
        tmp_path / "turned.jpg", quality=90, exif=exif.tobytes()
    )
    for name in ("x.heic", "turned.jpg"):
        image = open_image(tmp_path / name)
        assert (image.mode, image.size) == ("RGB", (120, 80))
        difference = abs(sum(small.convert("L").tobytes()) - sum(image.convert("L").tobytes()))
        assert difference / (120 * 80) < 5
    assert "HEIF" not in Image.OPEN
    broken = (tmp_path / "x.heic").read_bytes()[:400]
    with pytest.raises(DecodeError) as caught:
        open_image(broken)
    assert caught.value.kind == "corrupt"


def test_every_ending_is_listed_and_none_twice() -> None:
    assert {".heic", ".dng", ".avif", ".jxl"} <= UNREAD_SUFFIXES <= ImageModality.suffixes
    assert not UNREAD_SUFFIXES & {".jpg", ".png", ".tif"}
