"""Where the images are and what they are called: class folders, split folders, or a CSV."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from tfxfer.errors import DataError

__all__ = ["IMAGE_SUFFIXES", "SPLIT_WORDS", "IgnoredFile", "Record", "Source", "read_source"]

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
)

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_CSV_COLUMNS = ("path", "label", "split", "group")
_DELIMITERS = (",", ";", "\t")
_MAX_LABEL_LENGTH = 200

# What operating systems leave in folders: not worth a line in the audit.
_LITTER = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


@dataclass(frozen=True)
class Record:
    """One labelled image, as DATA names it.

    Args:
        path: relative to the source's root, with forward slashes.
        label: as written; a head decides what it means.
        split: `train`, `val` or `test` where DATA says so.
        group: images with one group (a patient, a module, a burst) stay on one side of the split.
    """

    path: str
    label: str
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class IgnoredFile:
    """A file in DATA that is not taken for an image, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Every labelled image of DATA, sorted by path, before any has been opened."""

    root: Path
    records: tuple[Record, ...]
    kind: Literal["folders", "split_folders", "csv"]
    ignored: tuple[IgnoredFile, ...] = ()


def read_source(path: str | Path) -> Source:
    """Lists the labelled images of a folder of class folders, of split folders, or of a CSV.

    A folder with `train/` and `val/` or `test/` (also `valid`, `validation`, `training`, `testing`)
    is one of split folders; each holds class folders. In class folders, images may lie at any
    depth. A CSV has the columns `path,label[,split][,group]`, separated by comma, semicolon or tab;
    its paths are relative to its own folder.

    Raises:
        DataError: nothing there, no images, columns or labels that cannot be meant, or a path that
            leads out of the data folder.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _read_folder(path.resolve())
        if path.is_file():
            return _read_csv(path)
        exists = path.exists()
    except PermissionError as error:
        raise DataError(
            f"data {str(path)!r}: expected a folder or CSV that can be read. "
            f"Received: {error.strerror}, {error.filename!r}. Change its permissions."
        ) from error
    except OSError as error:
        raise DataError(
            f"data {str(path)[:200]!r}: expected a folder or CSV. Received: {error.strerror}."
        ) from error
    raise DataError(
        f"data {str(path)!r}: expected a folder of class folders, a folder with train/, val/ and "
        f"test/, or a CSV. Received: {'no regular file' if exists else 'nothing at that path'}."
    )


def _read_folder(root: Path) -> Source:
    folders, loose = _list_folder(root)
    splits: dict[str, Path] = {}
    for folder in folders:
        word = SPLIT_WORDS.get(folder.name.lower())
        if word in splits:
            raise DataError(
                f"data {str(root)!r}: expected one folder for {word}. "
                f"Received: {splits[word].name!r} and {folder.name!r}. Join them."
            )
        if word is not None:
            splits[word] = folder
    # `train` may also be a class, beside `bus` and `car`; with a val or test folder, or with
    # nothing beside it, it is not.
    others = [folder for folder in folders if folder not in splits.values()]
    if splits and (len(splits) > 1 or not others):
        if "train" not in splits:
            raise DataError(
                f"data {str(root)!r}: expected at least train/. "
                f"Received: {', '.join(sorted(f.name for f in folders))}. "
                "Rename the folder to learn from to 'train'."
            )
        return _read_split_folders(root, splits, others)
    ignored = [IgnoredFile(p.name, "lies outside of every class folder") for p in loose]
    records = []
    for folder in folders:
        found, not_images = _read_class_folder(root, folder, split=None)
        records += found
        ignored += not_images
    return _finish(root, records, ignored, kind="folders")


def _read_split_folders(root: Path, splits: dict[str, Path], others: list[Path]) -> Source:
    ignored = [IgnoredFile(f.name, "a folder beside train, val and test") for f in others]
    records = []
    for split, folder in sorted(splits.items()):
        classes, loose = _list_folder(folder)
        if not classes:
            raise DataError(
                f"data {str(folder)!r}: expected one folder per class. Received: "
                f"{len(loose)} images outside of every folder. Sort them into folders, or write "
                "a CSV with the columns path,label,split."
            )
        ignored += [
            IgnoredFile(p.relative_to(root).as_posix(), "lies outside of every class folder")
            for p in loose
        ]
        for class_folder in classes:
            found, not_images = _read_class_folder(root, class_folder, split=split)
            records += found
            ignored += not_images
    return _finish(root, records, ignored, kind="split_folders")


def _list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the visible folders, and the images that lie beside them."""
    folders, loose = [], []
    for entry in sorted(folder.iterdir(), key=lambda p: p.name):
        if _is_litter(entry.name):
            continue
        if entry.is_dir():
            folders.append(entry)
        elif entry.suffix.lower() in IMAGE_SUFFIXES and _is_text(entry.name):
            loose.append(entry)
    return folders, loose


def _read_class_folder(
    root: Path, folder: Path, *, split: str | None
) -> tuple[list[Record], list[IgnoredFile]]:
    label = _check_label(folder.name, where=f"folder {str(folder)!r}")
    records, ignored = [], []
    for path in _walk(root, folder):
        name = path.relative_to(root).as_posix()
        if not _is_text(name):
            ignored.append(IgnoredFile(ascii(name), "its name is not valid UTF-8"))
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            records.append(Record(name, label, split))
        else:
            ignored.append(IgnoredFile(name, _describe_suffix(path.suffix)))
    if not records:
        name = folder.relative_to(root).as_posix()
        ignored.append(IgnoredFile(f"{name}/", "a folder without images"))
    return records, ignored


def _walk(root: Path, folder: Path) -> Iterator[Path]:
    _check_inside(root, folder)
    for where, folders, files in os.walk(folder, onerror=_raise):
        here = Path(where)
        # Linked folders are not entered (they may form a loop), but must not lead out unnoticed.
        folders[:] = sorted(name for name in folders if not _is_litter(name))
        for name in folders:
            _check_inside(root, here / name)
        for name in sorted(files):
            if not _is_litter(name):
                _check_inside(root, here / name)
                yield here / name


def _raise(error: OSError) -> None:
    raise error


def _check_inside(root: Path, path: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise DataError(
            f"data {str(root)!r}: expected files inside the data folder. Received: "
            f"{path.relative_to(root).as_posix()!r}, a link to {str(path.resolve())!r}. "
            "Copy what it points to into the folder."
        )


def _read_csv(path: Path) -> Source:
    # The folder is resolved, the file is not: a linked table still sits beside its images.
    root = path.parent.resolve()
    name = f"table {str(path)!r}"
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: expected a CSV in UTF-8. Received: other bytes at position {error.start}. "
            "Save it as 'CSV UTF-8', or give a folder of class folders."
        ) from error
    columns, rows = _parse_csv(text, name)
    records: dict[str, Record] = {}
    first_line: dict[str, int] = {}
    for line, cells in rows:
        where = f"{name}, line {line}"
        record = _read_row(dict(zip(columns, cells, strict=True)), root, where)
        known = records.setdefault(record.path, record)
        first_line.setdefault(record.path, line)
        if known != record:
            raise DataError(
                f"{where}: expected one row per image. Received: path={record.path!r} with "
                f"{_row_values(record)}, and {_row_values(known)} on line "
                f"{first_line[record.path]}. Remove one row."
            )
    return _finish(root, records.values(), (), kind="csv")


def _row_values(record: Record) -> str:
    values = (("label", record.label), ("split", record.split), ("group", record.group))
    return ", ".join(f"{name}={value!r}" for name, value in values if value is not None)


def _parse_csv(text: str, name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    heading = next((line for line in text.splitlines() if line.strip()), "")
    found: list[str] = []
    for delimiter in _DELIMITERS:
        found = [cell.strip().strip('"').lower() for cell in heading.split(delimiter)]
        if {"path", "label"} <= set(found):
            break
    else:
        raise DataError(
            f"{name}: expected a first line with the columns path,label[,split][,group]. "
            f"Received: {heading[:120]!r}."
        )
    if len(set(found) & set(_CSV_COLUMNS)) != sum(cell in _CSV_COLUMNS for cell in found):
        raise DataError(f"{name}: expected each column once. Received: {heading[:120]!r}.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(found):
                raise DataError(
                    f"{name}, line {reader.line_num}: expected {len(found)} cells, as in the first "
                    f"line. Received: {len(cells)}. Put quotes around cells with a {delimiter!r}."
                )
            rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"{name}, line {reader.line_num}: expected a CSV. Received: {error}."
        ) from error
    return found, rows[1:]


def _read_row(row: dict[str, str], root: Path, where: str) -> Record:
    word = row.get("split", "").strip()
    split = SPLIT_WORDS.get(word.lower())
    if word and split is None:
        raise DataError(
            f"{where}: expected split train, val, test, or nothing. Received: split={word!r}."
        )
    return Record(
        path=_check_path(row["path"].strip(), root, where),
        label=_check_label(row["label"], where=where),
        split=split,
        group=row.get("group", "").strip() or None,
    )


def _check_path(text: str, root: Path, where: str) -> str:
    if not text or "\0" in text:
        raise DataError(f"{where}: expected the path of an image. Received: path={text!r}.")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor:
        raise DataError(
            f"{where}: expected a path relative to {str(root)!r}. Received: path={text!r}. "
            "Write it relative to the folder the CSV lies in."
        )
    # A table written on Windows has backslashes; a file may also really be named so elsewhere.
    if "\\" in text and not (root / text).exists():
        text = text.replace("\\", "/")
    path = posixpath.normpath(text)
    if not (root / path).resolve().is_relative_to(root):
        raise DataError(
            f"{where}: expected a path inside {str(root)!r}. Received: path={text!r}, which leads "
            "out of it. Move the CSV to a folder above the images."
        )
    return path


def _check_label(text: str, *, where: str) -> str:
    # macOS writes folder names in another normal form than everybody else types them.
    label = unicodedata.normalize("NFC", text.strip())
    if not label:
        raise DataError(f"{where}: expected a label. Received: nothing. Fill it in.")
    if len(label) > _MAX_LABEL_LENGTH or not label.isprintable():
        raise DataError(
            f"{where}: expected a label of at most {_MAX_LABEL_LENGTH} printable characters, since "
            f"labels.txt has one per line. Received: label={label[:60]!r}, "
            f"{len(label)} characters. Rename it."
        )
    return label


def _finish(
    root: Path,
    records: Iterable[Record],
    ignored: Iterable[IgnoredFile],
    *,
    kind: Literal["folders", "split_folders", "csv"],
) -> Source:
    records, ignored = tuple(records), tuple(ignored)
    if not records:
        hint = ""
        if ignored:
            first = ignored[0]
            hint = f" The first of {len(ignored)} other files: {first.path}, {first.reason}."
        raise DataError(
            f"data {str(root)!r}: expected images in class folders, or rows in a CSV. "
            f"Received: none.{hint}"
        )
    by_path = tuple(sorted(records, key=lambda record: record.path))
    return Source(root, by_path, kind, tuple(sorted(ignored, key=lambda file: file.path)))


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe_suffix(suffix: str) -> str:
    if suffix.lower() in (".heic", ".heif", ".avif", ".dng", ".cr2", ".nef", ".arw"):
        return f"{suffix} is not read: convert it to JPEG"
    return "not an image"
