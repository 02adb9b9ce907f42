from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import ContractError
from tfxfer.images.audit import PEAK, inspect_image
from tfxfer.images.decode import open_image, probe_image
from tfxfer.images.depth import find_white, scale_deep
from tfxfer.images.modality import ImageModality
from tfxfer.preprocessing import Preprocessing
from tfxfer.sample import Sample

IMAGES = ImageModality()


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def grey(values: np.ndarray, form: str = "TIFF") -> bytes:
    return encode(Image.fromarray(values.astype(np.uint16)), form)


def colour_png(values: np.ndarray) -> bytes:
    """A PNG with 16 bits a channel, which Pillow does not write."""
    height, width, channels = values.shape
    rows = values.astype(">u2").reshape(height, -1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def colour_tiff(values: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF with 16 bits a channel, of either byte order."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 0), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    bits_at = 8 + 2 + 12 * len(tags) + 4
    values_at = {258: bits_at, 273: bits_at + 6}
    entries = b""
    for tag, kind, count, value in tags:
        value = values_at.get(tag, value)
        short = kind == 3 and count == 1
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        entries += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + directory + struct.pack(f"{order}3H", 16, 16, 16) + data


@pytest.mark.parametrize(
    ("peak", "white"),
    [(0, 255), (255, 255), (256, 1023), (4000, 4095), (4096, 16383), (16384, 65535)],
)
def test_white_is_a_whole_number_of_bits(peak: int, white: int) -> None:
    assert find_white(peak) == white


def test_scaling_is_exact_at_both_ends_and_beyond() -> None:
    values = np.array([0, 1, 2048, 4095, 5000, 65535], np.uint16)
    assert scale_deep(values, 4095).tolist() == [0, 0, 128, 255, 255, 255]
    every = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(scale_deep(every, 65535), (every.astype(int) + 128) // 257)


@pytest.mark.parametrize("form", ["TIFF", "PNG"])
def test_twelve_bits_keep_their_levels(form: str) -> None:
    ramp = np.linspace(0, 4095, 256)[None].repeat(4, 0)
    content = grey(ramp, form)
    wanted = np.asarray(open_image(content, white=4095))[0, :, 0].astype(int)
    assert np.abs(wanted - np.arange(256)).max() <= 1
    # Taken for 16 bits, 17 levels are left.
    assert len(np.unique(np.asarray(open_image(content)))) == 17
    probe = probe_image(content, white=None)
    assert probe.deep is not None
    assert probe.deep.max() == 4095
    assert np.array_equal(np.asarray(probe.image)[0, :, 0], wanted)


@pytest.mark.parametrize("form", ["png", "<", ">"])
def test_colours_keep_all_their_bits(form: str) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (20, 30, 3))
    content = colour_png(values) if form == "png" else colour_tiff(values, form)
    probe = probe_image(content, white=None)
    assert probe.deep is not None
    assert np.array_equal(probe.deep, values)
    wanted = scale_deep(values.astype(np.uint16), 4095)
    assert np.array_equal(np.asarray(open_image(content, white=4095)), wanted)
    assert not probe.is_cut
    # What Pillow alone has of them.
    with Image.open(io.BytesIO(content)) as image:
        assert np.asarray(image).max() <= 15


def test_opacity_is_no_brightness() -> None:
    values = np.full((8, 8, 4), 65535)
    values[..., :3] = 2000
    assert np.asarray(open_image(colour_png(values), white=4095)).max() == 125
    values[..., 3] = 0
    assert np.asarray(open_image(colour_png(values), white=4095)).min() == 255
    path_free = probe_image(colour_png(values), white=None)
    assert path_free.deep is not None


def write(tmp_path: Path, name: str, values: np.ndarray) -> Sample:
    (tmp_path / name).write_bytes(grey(values))
    return Sample(name, tmp_path / name)


def test_the_audit_learns_the_range_and_the_contract_keeps_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = [
        write(tmp_path, f"{level}.tif", level + rng.normal(0, 60, (64, 64)))
        for level in (400, 1800, 3200)
    ]
    found = [IMAGES.inspect(sample) for sample in samples]
    assert [finding.doubts for finding in found] == [(), (), ()]
    assert max(finding.facts[PEAK] for finding in found) < 4095
    fitted, (words,) = IMAGES.fit_contract(Preprocessing(), [f.facts for f in found])
    assert fitted.white == 4095
    assert "white is 4,095" in words
    plain = [IMAGES.read(s, size=16, contract=fitted)[0].mean() for s in samples]
    assert [round(level / 10) for level in plain] == [2, 11, 20]
    # Without it everything is nearly black.
    assert IMAGES.read(samples[2], size=16, contract=Preprocessing()).max() < 16
    # Settled once: other files do not change it.
    assert IMAGES.fit_contract(fitted, [f.facts for f in found]) == (fitted, ())
    again, (words,) = IMAGES.fit_contract(fitted, [{PEAK: 65535}])
    assert again == fitted
    assert "what is brighter becomes white" in words


def test_a_full_range_and_8_bits_need_no_word(tmp_path: Path) -> None:
    assert IMAGES.fit_contract(Preprocessing(), [{}, {}]) == (Preprocessing(), ())
    fitted, words = IMAGES.fit_contract(Preprocessing(), [{PEAK: 60000}, {}])
    assert (fitted.white, words) == (65535, ())
    Image.new("RGB", (20, 20), "red").save(tmp_path / "x.png")
    assert inspect_image(tmp_path / "x.png").facts == {}


def test_copies_are_told_by_all_their_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (40, 40))
    one, other = write(tmp_path, "a.tif", values), write(tmp_path, "b.tif", values ^ 1)
    same = write(tmp_path, "c.tif", values)
    identities = [IMAGES.inspect(sample).identity for sample in (one, other, same)]
    assert identities[0] == identities[2] != identities[1]


def test_white_is_stored_where_there_is_one() -> None:
    assert "white" not in Preprocessing().to_dict()
    contract = Preprocessing(white=4095)
    assert IMAGES.read_contract(contract.to_dict()) == contract
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ContractError, match="white"):
            Preprocessing(white=wrong)  # type: ignore[arg-type]
