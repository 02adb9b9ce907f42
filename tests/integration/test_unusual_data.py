"""Data as cameras and people leave it, from the folder to the run and back through `predict`."""

from __future__ import annotations

import csv
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import RunDirectory

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]
SHORT = ("--head-epochs", 8, "--schedule", "head", "--views", 1, "--batch-size", 4)
TWELVE_BITS = 4095 / 255


def write_deep_png(path: Path, image: Image.Image) -> None:
    """Writes 12-bit colours into a PNG of 16 bits a channel."""
    values = (np.asarray(image) * TWELVE_BITS).round().astype(">u2")
    rows = values.reshape(len(values), -1)
    head = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    path.write_bytes(content)


@pytest.fixture(scope="module")
def deep(paint: Paint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 12-bit photos, and what lies around beside them."""
    root = tmp_path_factory.mktemp("deep")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(("\x1b[31mred", "=green", "blue")):
        (root / label).mkdir()
        for number in range(12):
            write_deep_png(root / label / f"{number:02}.png", paint(rng, channel))
    (root / "=green" / "phone.avif").write_bytes(b"\0\0\0\x14ftypavif" + bytes(64))
    (root / "blue" / "clip.mp4").write_bytes(b"x")
    (root / "Thumbs").mkdir()
    paint(rng, 0).save(root / "Thumbs" / "small.jpg")
    return root


def test_a_run_keeps_the_range_of_its_photos_and_names_what_it_left_out(
    deep: Path, train: Run, tfxfer: Run, paint: Paint, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = train(deep, "--out", out, *SHORT, "--json")
    assert done.code == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert r"3 classes: =green 12, \x1b[31mred 12, blue 12" in done.stderr
    assert "white is 4,095" in done.stderr
    assert "not read: 1 .avif, 1 .mp4, 1 folder (Thumbs/)" in done.stderr
    data = done.document["data"]
    assert data["unread"] == {".avif": 1, ".mp4": 1, "folder": 1}
    assert [item["kind"] for item in data["skipped"]] == ["unsupported"]
    assert any("white is 4,095" in note for note in data["notes"])
    assert done.document["preprocessing"]["white"] == 4095
    assert RunDirectory.open(out).read_manifest().data is not None
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["'=green/phone.avif", "Thumbs/", "blue/clip.mp4"]
    assert all(row["reason"] for row in rows)
    # It has learnt what is told apart, and takes new files as it took the old ones.
    rng = np.random.default_rng(7)
    files = []
    for channel in (0, 1, 2) * 3:
        files.append(tmp_path / f"{len(files)}.png")
        write_deep_png(files[-1], paint(rng, channel))
    wanted = [r"\x1b[31mred", "=green", "blue"] * 3
    answers = json.loads(tfxfer("predict", out, *files, "--json").stdout)
    assert [answer["label"] for answer in answers] == wanted
    own = tfxfer("evaluate", out, deep, "--json")
    assert own.document["accuracy"]["value"] == 1.0
    # Without the range they are all nearly black.
    manifest = json.loads((out / "run.json").read_text("utf-8"))
    del manifest["preprocessing"]["white"]
    (out / "run.json").write_text(json.dumps(manifest), "utf-8")
    blind = json.loads(tfxfer("predict", out, *files, "--json").stdout)
    scores = [[answer["score"] for answer in found] for found in (answers, blind)]
    assert np.abs(np.subtract(*scores)).max() > 0.1


def test_strict_stops_at_a_photo_that_is_not_read(deep: Path, train: Run, tmp_path: Path) -> None:
    done = train(deep, "--out", tmp_path / "run", *SHORT, "--strict", "--json")
    assert done.code == 1
    assert "=green/phone.avif: unsupported, AVIF" in done.error
    assert not (tmp_path / "run").exists()


def test_two_rows_of_other_labels_are_told_before_keras_starts(
    photos: Path, tmp_path: Path
) -> None:
    table = photos / "two.csv"
    table.write_text("path,label\napple/00.jpg,a\napple/00.jpg,b\nmango/00.jpg,a\n")
    code = (
        "import sys\nfrom tfxfer.cli.main import run\ncode = run(sys.argv[1:])\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules\nsys.exit(code)\n"
    )
    args = ("train", table, "--backbone", "double_vivid", "--weights", "none")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args), "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    table.unlink()
    assert done.returncode == 1, done.stderr
    assert "line 3: expected one row per image" in done.stderr


def test_a_model_in_memory_keeps_the_range_it_was_trained_with(deep: Path, weights: Path) -> None:
    import tfxfer
    from tfxfer.stages import get_info

    data = tfxfer.load_images(deep, image_size=32)
    model = tfxfer.build_model("double_vivid", labels=data.labels, weights=weights)
    assert get_info(model).preprocessing.white is None
    schedule = [tfxfer.Phase("head", stage="backbone", epochs=2, learning_rate=0.01)]
    tfxfer.fit(model, data, schedule=schedule, verbose=0)
    assert get_info(model).preprocessing.white == 4095
    assert get_info(model).preprocessing.std == (12.75,) * 3
    answers = tfxfer.predict(model, [data.test.root / path for path in data.test.paths])
    scores = [[answer["scores"][label] for label in data.labels] for answer in answers]
    expected = model.predict(data.test.read_views(range(len(data.test)))[:, 0].astype(np.float32))
    np.testing.assert_allclose(scores, expected, atol=1e-4)
