"""Bad input: one clear line, the right exit code, nothing half-written, and nothing lost."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfxfer import RunDirectory

Run = Callable[..., Any]
SHORT = ("--schedule", "head", "--head-epochs", 1, "--views", 1)


def write_bomb(path: Path) -> None:
    """Writes a small PNG that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
        + chunk(b"IEND", b"")
    )


def listing(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# Data that cannot be trained on. Each function spoils a copy of good images and returns DATA.


def wrong_path(data: Path) -> Path:
    return data / "no-such-folder"


def not_a_table(data: Path) -> Path:
    return data / "apple" / "00.jpg"


def only_truncated(data: Path) -> Path:
    for path in data.rglob("*.*"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    return data


def only_bombs(data: Path) -> Path:
    for path in list(data.rglob("*.*")):
        write_bomb(path.with_suffix(".png"))
        if path.suffix != ".png":
            path.unlink()
    return data


def one_class(data: Path) -> Path:
    for name in ("mango", "zebra"):
        shutil.rmtree(data / name)
    return data


def empty_folder(data: Path) -> Path:
    shutil.rmtree(data)
    data.mkdir()
    return data


def no_class_folders(data: Path) -> Path:
    return data / "apple"


def newline_in_a_folder(data: Path) -> Path:
    (data / "apple").rename(data / "app\nle")
    return data


def table(data: Path, text: str) -> Path:
    path = data / "table.csv"
    path.write_text(text)
    return path


def missing_column(data: Path) -> Path:
    return table(data, "file,label\napple/00.jpg,apple\n")


def missing_cell(data: Path) -> Path:
    return table(data, "path,label\napple/00.jpg\n")


def path_above(data: Path) -> Path:
    shutil.copy(data / "apple" / "00.jpg", data.parent / "secret.jpg")
    return table(data, "path,label\napple/00.jpg,a\n../secret.jpg,b\n")


def absolute_path(data: Path) -> Path:
    return table(data, f"path,label\n{data / 'apple' / '00.jpg'},a\n")


def link_that_leads_out(data: Path) -> Path:
    (data.parent / "secret").mkdir()
    shutil.copy(data / "apple" / "00.jpg", data.parent / "secret")
    (data / "apple" / "99.jpg").symlink_to(data.parent / "secret" / "00.jpg")
    return data


def newline_in_a_label(data: Path) -> Path:
    return table(data, 'path,label\napple/00.jpg,"a\nb"\nmango/00.jpg,c\n')


def one_image_two_labels(data: Path) -> Path:
    return table(data, "path,label\napple/00.jpg,a\napple/00.jpg,b\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (wrong_path, "nothing at that path"),
        (not_a_table, "expected a table in UTF-8"),
        (only_truncated, "corrupt"),
        (only_bombs, "bomb"),
        (one_class, "at least two"),
        (empty_folder, "expected images in class folders"),
        (no_class_folders, "lies outside of every class folder"),
        (newline_in_a_folder, "printable characters"),
        (missing_column, "columns path,label"),
        (missing_cell, "line 2: expected 2 cells"),
        (path_above, "leads out of it"),
        (absolute_path, "expected a path relative to"),
        (link_that_leads_out, "a link to"),
        (newline_in_a_label, r"'a\nb'"),
        (one_image_two_labels, "expected one row per image"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_data(
    photos: Path, train: Run, tmp_path: Path, spoil: Callable[[Path], Path], words: str
) -> None:
    shutil.copytree(photos, tmp_path / "data")
    data = spoil(tmp_path / "data")
    before = set(tmp_path.iterdir())
    started = time.monotonic()
    done = train(data, "--out", tmp_path / "run", "--json")
    assert done.code == 1, done.stderr
    assert words in done.error
    assert len(done.error.splitlines()) == 1
    assert done.document["error"]["type"] == "DataError"
    assert set(tmp_path.iterdir()) == before
    # A header is enough to refuse 60,000 x 60,000 pixels. Starting TensorFlow takes longer.
    assert time.monotonic() - started < 60


def test_bad_files_among_good_ones(photos: Path, train: Run, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photos, data)
    content = (data / "apple" / "00.jpg").read_bytes()
    (data / "apple" / "90.jpg").write_bytes(content[: len(content) // 2])
    (data / "mango" / "91.png").write_bytes(b"")
    write_bomb(data / "zebra" / "92.png")
    (data / "few").mkdir()
    shutil.copy(photos / "apple" / "01.png", data / "few" / "1.png")

    strict = train(data, "--out", run, *SHORT, "--strict", "--json")
    assert strict.code == 1
    for name in ("apple/90.jpg", "mango/91.png", "zebra/92.png"):
        assert name in strict.error
    assert not run.exists()

    done = train(data, "--out", run, *SHORT, "--json")
    assert done.code == 0, done.stderr
    skipped = {item["path"]: item["kind"] for item in done.document["data"]["skipped"]}
    assert skipped.pop("apple/90.jpg") == "corrupt"
    assert skipped.pop("mango/91.png") == "empty"
    assert skipped.pop("zebra/92.png") == "bomb"
    # The same picture under two labels: neither is right.
    assert set(skipped.values()) <= {"conflicting_label", "small_class"}
    assert done.document["labels"] == ["apple", "mango", "zebra"]
    assert "bomb: 1, 1 left out; zebra/92.png" in done.stderr


# Requests that cannot be meant


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--backbone", "double_vivd"), 1, "Did you mean 'double_vivid'?"),
        (("--backbone", "mobilnet_v9"), 1, "mobilenet_v"),
        (("--head", "multi_label"), 1, "Did you mean 'multilabel'?"),
        (("--weights", "imagenet"), 1, "expected a file, 'none', or one of: none declared"),
        (("--weights", "no-such-file.h5"), 1, "Received: weights='no-such-file.h5'"),
        (("--unfreeze-from", "block_9"), 1, "Expected one of: block_1, block_2, block_3"),
        (("--unfreeze-from", "1.5"), 2, "a fraction 0..1"),
        (("--unfreeze-from", "0.5", "--schedule", "progressive"), 2, "which it does not use"),
        (("--image-size", "12"), 1, "at least 16 px"),
        (("--image-size", "0"), 2, "--image-size"),
        (("--device", "gpu"), 1, "--device cpu"),
        (("--device", "tpu"), 2, "--device"),
        (("--budget", "10"), 2, "Did you mean 10s or 10m?"),
        (("--budget", "soon"), 2, "such as 90s, 10m or 1h"),
        (("--budget", "10m", "--epochs", "3"), 2, "and epochs"),
        (("--budget", "1s"), 2, "Give a longer --budget"),
        (("--epochs", "0"), 2, "--epochs"),
        (("--batch-size", "0"), 2, "--batch-size"),
        (("--seed", "-1"), 2, "--seed"),
        (("--cache-dir", "no-such-folder"), 2, "--cache-dir: expected a folder"),
        (("--balance", "yes"), 2, "--balance"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_requests(
    photos: Path, tfxfer: Run, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    given = {"--backbone": "double_vivid", "--weights": "none", "--out": str(tmp_path / "run")}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    done = tfxfer("train", photos, *(word for pair in given.items() for word in pair), "--json")
    assert done.code == code, done.stderr
    assert words in done.error
    assert set(done.document) == {"error"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("train", "--out", "run", "--backbone", "double_vivid"), "expected DATA"),
        (("predict", "run"), "SAMPLES"),
        (("evaluate", "run"), "DATA"),
    ],
)
def test_what_is_left_out(
    tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = tfxfer(*args)
    assert done.code == 2
    assert words in done.error
    assert list(tmp_path.iterdir()) == []


def test_slips_are_told_before_tensorflow_starts(tmp_path: Path, photos: Path) -> None:
    code = (
        "import sys\nfrom tfxfer.cli.main import run\ncode = run(sys.argv[1:])\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules\nsys.exit(code)\n"
    )
    out = str(tmp_path / "run")
    for data, backbone in ((str(photos), "double_vivd"), ("no-such-folder", "double_vivid")):
        args = ["train", data, "--backbone", backbone, "--weights", "none", "--out", out]
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("error: ")


# Places where no run can be made


def test_a_run_that_is_there(photos: Path, train: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(photos, "--out", run, *SHORT).code == 0
    (run / "notes.txt").write_text("mine")
    before = listing(run)

    done = train(photos, "--out", run, *SHORT)
    assert done.code == 1
    assert "--resume" in done.error
    assert "--overwrite" in done.error
    # Only what can be trained replaces it.
    shutil.copytree(photos / "apple", tmp_path / "single" / "apple")
    for data, options in (
        (tmp_path / "nothing", ()),
        (tmp_path / "single", ()),
        (photos, ("--unfreeze-from", "block_9")),
        (photos, ("--head", "nothing")),
        (photos, ("--image-size", "12")),
    ):
        assert train(data, "--out", run, "--overwrite", *options).code == 1
    assert train(photos, "--out", run, "--overwrite", "--budget", "1s").code == 2
    with RunDirectory(run).lock():
        done = train(photos, "--out", run, *SHORT, "--overwrite")
        assert done.code == 1
        assert "in use" in done.error
    assert listing(run) == before

    done = train(photos, "--out", run, *SHORT, "--seed", 1, "--overwrite", "--json")
    assert done.code == 0, done.stderr
    assert done.document["seed"] == 1
    after = listing(run)
    for name in ("split.csv", "history.csv", "model.keras"):
        assert after[name] != before[name]
    assert not [name for name in after if name.startswith("checkpoints/")]
    assert (run / "notes.txt").read_text() == "mine"
    assert {path.name for path in run.iterdir()} == set(before) - {
        name for name in before if "/" in name
    }


def test_a_folder_that_is_no_run(photos: Path, train: Run, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years")
    (folder / "run.json").write_text('{"other": "tool"}')
    before = listing(folder)
    for options in ((), ("--overwrite",)):
        done = train(photos, "--out", folder, *SHORT, *options)
        assert done.code == 1
        assert "which is no run" in done.error
    assert listing(folder) == before


def test_places_that_cannot_be_written(
    photos: Path, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for out, words in (
        (tmp_path / "file", "a file"),
        (tmp_path / "file" / "run", "a file"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        done = train(photos, "--out", out, *SHORT)
        assert done.code == 1
        assert words in done.error
    monkeypatch.setattr("os.access", lambda *_: False)
    done = train(photos, "--out", tmp_path / "new" / "run", *SHORT)
    assert done.code == 1
    assert "a folder that you may not write to" in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# A full disk


def check_nothing_is_half_written(run: Path) -> None:
    assert not list(run.rglob(".*.tmp*")), listing(run).keys()
    assert not list(run.rglob("*.part"))
    assert not (run / ".lock-holder").exists()
    if (run / "run.json").exists():
        assert RunDirectory.open(run).read_manifest().status in ("interrupted", "running")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell files apart")
@pytest.mark.parametrize("name", ["run", "labels", "history", "model"])
def test_a_disk_that_is_full_when_a_file_is_written(
    name: str, photos: Path, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name.startswith(f".{name}.tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(handle)

    monkeypatch.setattr("os.fsync", fsync)
    run = tmp_path / "run"
    done = train(photos, "--out", run, *SHORT, "--json")
    assert done.code == 1, done.stderr
    assert f"{name}." in done.error
    assert "Free some space" in done.error
    assert len(done.error.splitlines()) == 1
    assert done.document["error"]["type"] == "StorageError"
    check_nothing_is_half_written(run)
    assert not list(run.rglob(f"{name}.*"))


def test_a_disk_that_is_full_when_keras_saves(
    photos: Path, train: Run, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    def save(self: Any, path: Path, *_: Any, **__: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", save)
        done = train(photos, "--out", run, *SHORT)
    assert done.code == 1, done.stderr
    assert "model.keras" in done.error
    check_nothing_is_half_written(run)
    assert not (run / "model.keras").exists()
    # With space, nothing has to be trained again.
    resumed = tfxfer("train", "--resume", "--out", run)
    assert resumed.code == 0, resumed.stderr
    assert "epoch 1/" not in resumed.stderr
    assert (run / "model.keras").is_file()


def test_a_disk_that_is_full_when_activations_are_cached(
    photos: Path, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tfxfer.frontier.store._MEMORY_CAP_BYTES", 0)
    monkeypatch.setattr("os.posix_fallocate", refuse)
    cache = tmp_path / "cache"
    cache.mkdir()
    done = train(photos, "--out", tmp_path / "run", *SHORT, "--cache-dir", cache)
    assert done.code == 1, done.stderr
    assert "--cache-dir" in done.error
    assert list(cache.iterdir()) == []
    check_nothing_is_half_written(tmp_path / "run")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a disk of its own, where that is permitted."""
    mounted = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        program = shutil.which("mount")
        if program is None:
            pytest.skip("no mount here")
        done = subprocess.run(
            [program, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"mount is not permitted: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        # Lazily: arrays of a training that failed may still be mapped from there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(("free_kb", "name"), [(8, "run.json"), (36, ".npz"), (80, "model.keras")])
def test_a_disk_that_is_really_full(
    free_kb: int,
    name: str,
    photos: Path,
    train: Run,
    mount: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What is told before the training, and is not what this is about.
    monkeypatch.setattr("tfxfer.job.train.check_room", lambda _: None)
    (cache := tmp_path / "cache").mkdir()
    disk = mount("size=1m")
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while os.statvfs(disk).f_bavail * 4 > free_kb:
            file.write(bytes(4096))
            file.flush()
    done = train(photos, "--out", disk / "run", *SHORT, "--cache-dir", cache)
    assert done.code == 1, done.stderr
    assert "No space left on device" in done.error
    assert str(disk / "run") in done.error
    assert name in done.error
    check_nothing_is_half_written(disk / "run")
    assert not (disk / "run" / "model.keras").exists()


def test_a_disk_for_reading_only(photos: Path, train: Run, mount: Callable[..., Path]) -> None:
    disk = mount("size=1m,ro")
    done = train(photos, "--out", disk / "run", *SHORT)
    assert done.code == 1
    assert "a folder that you may not write to" in done.error
