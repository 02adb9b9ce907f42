from __future__ import annotations

import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tfxfer.data.audit import Audit, Inspection, drop_small_strata, inspect_source, refuse_problems
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality

Folders = Callable[..., Path]
Picture = Callable[..., Image.Image]


IMAGES = ImageModality()


def inspect(path: Path, **options: bool) -> Inspection:
    return inspect_source(read_source(path, IMAGES), IMAGES, **options)


def drop_small(inspection: Inspection) -> Inspection:
    return drop_small_strata(inspection, [record.label for record in inspection.records], IMAGES)


def kinds(inspection: Inspection) -> dict[str, set[str]]:
    told: dict[str, set[str]] = {}
    for problem in inspection.problems:
        told.setdefault(problem.kind, set()).add(problem.path)
    return told


def test_clean_data_has_no_problems(folders: Folders) -> None:
    inspection = inspect(folders(a=6, b=6))
    assert inspection.problems == ()
    assert len(inspection.records) == 12
    assert inspection.duplicates.tolist() == list(range(12))
    assert len(set(inspection.sha256s)) == 12
    assert inspection.to_audit("images").summary() == ["12 of 12 images are used"]


def test_files_that_cannot_be_read_are_left_out(folders: Folders) -> None:
    root = folders(a=4, b=4)
    whole = (root / "a/000.png").read_bytes()
    (root / "a/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "a/empty.jpg").write_bytes(b"")
    (root / "b/text.jpg").write_text("not an image")
    (root / "b/gone.png").symlink_to(root / "b/nowhere.png")
    body = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = struct.pack(">I", 8) + b"IDAT" + bytes(12)
    (root / "b/bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + data)
    inspection = inspect(root)
    assert kinds(inspection) == {
        "corrupt": {"a/cut.png", "b/text.jpg"},
        "empty": {"a/empty.jpg"},
        "unreadable": {"b/gone.png"},
        "bomb": {"b/bomb.png"},
    }
    assert all(problem.skipped for problem in inspection.problems)
    assert len(inspection.records) == 8
    assert inspection.files == 13
    assert len(inspection.sha256s) == len(inspection.duplicates) == 8


def test_copies_are_kept_together(folders: Folders) -> None:
    root = folders(a=4, b=4)
    shutil.copy(root / "a/001.png", root / "a/exact.png")
    with Image.open(root / "a/001.png") as image:
        image.convert("RGB").save(root / "a/other_bytes.bmp")
        image.resize((96, 80), Image.Resampling.BICUBIC).save(root / "a/twice_the_size.png")
    inspection = inspect(root)
    assert kinds(inspection) == {
        "duplicate": {"a/exact.png", "a/other_bytes.bmp"},
        "near_duplicate": {"a/twice_the_size.png"},
    }
    groups = dict(zip((r.path for r in inspection.records), inspection.duplicates, strict=True))
    copies = ("a/001.png", "a/exact.png", "a/other_bytes.bmp", "a/twice_the_size.png")
    assert len({groups[path] for path in copies}) == 1
    assert len(set(groups.values())) == 8
    assert not any(problem.skipped for problem in inspection.problems)
    alone = inspect(root, near_duplicates=False)
    assert "near_duplicate" not in kinds(alone)


def test_one_picture_with_two_labels_is_left_out(folders: Folders) -> None:
    root = folders(a=4, b=4)
    shutil.copy(root / "a/001.png", root / "b/copy.png")
    shutil.copy(root / "a/001.png", root / "b/copy2.png")
    inspection = inspect(root)
    assert kinds(inspection) == {"conflicting_label": {"a/001.png", "b/copy.png", "b/copy2.png"}}
    assert len(inspection.records) == 7
    kept = inspect(root, refuse_conflicts=False)
    assert len(kept.records) == 10
    assert not any(problem.skipped for problem in kept.problems)


def test_near_copies_with_two_labels_are_told(folders: Folders) -> None:
    root = folders(a=4, b=4)
    with Image.open(root / "a/001.png") as image:
        image.save(root / "b/copy.jpg", quality=95)
    inspection = inspect(root)
    (problem,) = inspection.problems
    assert problem.kind == "near_duplicate"
    assert "labelled 'a'" in problem.detail


def test_what_looks_wrong_is_told_and_kept(folders: Folders, picture: Picture) -> None:
    root = folders(a=4, b=4)
    Image.new("RGB", (40, 40), "red").save(root / "a/flat.png")
    picture(77, (12, 14)).save(root / "a/tiny.png")
    picture(78, (200, 39)).save(root / "a/long.png")
    picture(79).save(root / "a/lies.jpg", "PNG")
    inspection = inspect(root)
    details = {problem.path: problem.detail for problem in inspection.problems}
    assert details == {
        "a/flat.png": "one colour all over",
        "a/tiny.png": "tiny, 12x14",
        "a/long.png": "extreme shape, 200x39",
        "a/lies.jpg": "named .jpg but is PNG",
    }
    assert {problem.kind for problem in inspection.problems} == {"suspicious"}
    assert len(inspection.records) == 12


def test_other_files_are_told(folders: Folders) -> None:
    root = folders(a=4, b=4)
    (root / "a/readme.txt").write_text("x")
    (problem,) = inspect(root).problems
    assert (problem.kind, problem.path, problem.skipped) == ("ignored", "a/readme.txt", False)
    refuse_problems(inspect(root).to_audit())


def test_small_classes_are_dropped(folders: Folders) -> None:
    inspection = drop_small(inspect(folders(a=5, b=3, c=2, d=1)))
    assert {record.label for record in inspection.records} == {"a", "b"}
    assert kinds(inspection) == {"small_class": {"c", "d"}}
    assert inspection.duplicates.tolist() == list(range(8))


def test_a_class_that_is_only_tested_is_dropped(folders: Folders) -> None:
    root = folders("photos/train", a=4, b=4).parent
    folders("photos/test", a=2, b=2, c=4)
    # The same pictures in both would be leaks; here only the labels matter.
    inspection = drop_small(inspect(root, refuse_conflicts=False))
    assert kinds(inspection)["small_class"] == {"c"}


@pytest.mark.parametrize("counts", [{"a": 9}, {"a": 9, "b": 2}, {"a": 1, "b": 1}])
def test_one_class_is_no_class(folders: Folders, counts: dict[str, int]) -> None:
    with pytest.raises(DataError, match="at least two"):
        drop_small(inspect(folders(**counts)))


def test_strict_names_the_first_ten(folders: Folders) -> None:
    root = folders(a=4, b=4)
    for number in range(13):
        (root / f"a/broken{number:02}.png").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        refuse_problems(inspect(root).to_audit())
    lines = str(caught.value).splitlines()
    assert "Received: 13." in lines[0]
    assert len(lines) == 12
    assert "broken09.png: corrupt" in lines[10]
    assert "3 more" in lines[11]


def test_the_audit_is_json_and_words(folders: Folders) -> None:
    root = folders(a=4, b=4)
    (root / "a/broken.png").write_bytes(b"x")
    shutil.copy(root / "a/001.png", root / "a/exact.png")
    audit = inspect(root).to_audit("images")
    assert isinstance(audit, Audit)
    data = json.loads(json.dumps(audit.to_dict()))
    assert data["counts"] == {"corrupt": 1, "duplicate": 1}
    assert (data["files"], data["images"]) == (10, 9)
    assert data["problems"][0]["path"] == "a/broken.png"
    first, second, third = audit.summary()
    assert first == "9 of 10 images are used"
    assert second.startswith("corrupt: 1, 1 left out; a/broken.png: ")
    assert third == "duplicate: 1; a/exact.png: same as a/001.png"


def test_every_file_is_told_to_progress(folders: Folders) -> None:
    told: list[tuple[str, int, int]] = []
    source = read_source(folders(a=4, b=4), IMAGES)
    inspect_source(source, IMAGES, progress=lambda *args: told.append(args))
    assert [done for what, done, _ in told if what == "checking images"] == list(range(1, 9))


def test_an_interrupt_ends_the_pass(folders: Folders) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect_source(read_source(folders(a=40), IMAGES), IMAGES, progress=interrupt)


def test_the_threads_do_not_change_the_answer(folders: Folders) -> None:
    root = folders(a=12, b=12)
    shutil.copy(root / "a/001.png", root / "a/exact.png")
    source = read_source(root, IMAGES)
    one, four = (inspect_source(source, IMAGES, workers=workers) for workers in (1, 4))
    assert one.sha256s == four.sha256s
    assert one.problems == four.problems


def test_a_large_jpeg_is_read_to_its_end(folders: Folders, photo: Image.Image) -> None:
    root = folders(a=4, b=4)
    buffer = io.BytesIO()
    photo.resize((1500, 1000)).save(buffer, "JPEG")
    (root / "a/photo.jpg").write_bytes(buffer.getvalue())
    (root / "b/cut.jpg").write_bytes(buffer.getvalue()[:-2000])
    assert kinds(inspect(root)) == {"corrupt": {"b/cut.jpg"}}


def test_what_was_not_read_is_counted_by_kind(folders: Folders) -> None:
    root = folders(a=4, b=4)
    for name in ("a/1.mp4", "a/2.MP4", "b/notes.txt", "b/README", "b/x.avif"):
        (root / name).write_bytes(b"\0\0\0\x18ftypavif" + bytes(40))
    for name in ("Thumbs", "lost+found"):
        shutil.copytree(root / "a", root / name)
    audit = inspect(root).to_audit("images")
    assert audit.count_unread() == {
        "folder": 2, ".mp4": 2, ".avif": 1, "without ending": 1, ".txt": 1
    }  # fmt: skip
    used, unread, unsupported = audit.summary()
    assert used == "8 of 9 images are used"
    assert unread.startswith("not read: 2 .mp4, 1 .avif, 1 without ending, 1 .txt, 2 folders (")
    assert "2 folders (Thumbs/, lost+found/)" in unread
    assert unsupported.startswith("unsupported: 1, 1 left out; b/x.avif: AVIF, which is not read")
    rows = audit.list_left_out()
    assert [row["path"] for row in rows] == [
        "b/x.avif", "Thumbs/", "a/1.mp4", "a/2.MP4", "b/README", "b/notes.txt", "lost+found/"
    ]  # fmt: skip
    assert rows[2] == {"path": "a/1.mp4", "reason": "ignored: not an image"}


def test_copies_with_one_meaning_are_no_conflict(folders: Folders) -> None:
    root = folders(a=4, b=4)
    shutil.copy(root / "a/001.png", root / "b/copy.png")
    source = read_source(root, IMAGES)
    equal = inspect_source(source, IMAGES, read_label={"a": "x", "b": "x"})
    assert kinds(equal) == {"duplicate": {"b/copy.png"}}
    assert "conflicting_label" in kinds(inspect_source(source, IMAGES, read_label={"a": "x"}))


def test_names_are_harmless_where_they_are_shown(folders: Folders) -> None:
    root = folders(a=4, b=4)
    (root / "a/\x1b[31m.txt").write_text("x")
    (root / "b").rename(root / "=1+1")
    (root / "=1+1/broken.png").write_bytes(b"x")
    audit = inspect(root).to_audit("images")
    assert "\x1b" not in "".join(audit.summary())
    first, second = audit.list_left_out()
    assert first["path"] == "'=1+1/broken.png"
    assert second["path"] == r"a/\x1b[31m.txt"
    with pytest.raises(DataError) as caught:
        refuse_problems(audit)
    assert "\x1b" not in str(caught.value)
