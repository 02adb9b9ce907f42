"""Samples in class folders, or in class folders inside train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tfxfer.data.record import SPLIT_WORDS, IgnoredFile, Record, Source, check_label, make_source
from tfxfer.errors import DataError
from tfxfer.modality import Modality

__all__ = ["read_folder"]

# What operating systems leave in folders: not worth a line in the audit.
_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


def read_folder(root: Path, modality: Modality) -> Source:
    """Lists the samples of a folder; see `tfxfer.data.read_source`."""
    folders, loose = _list_folder(root, modality)
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
        return _read_split_folders(root, splits, others, modality)
    ignored = [IgnoredFile(p.name, "lies outside of every class folder") for p in loose]
    records = []
    for folder in folders:
        found, not_samples = _read_class_folder(root, folder, modality, split=None)
        records += found
        ignored += not_samples
    return make_source(root, records, ignored, modality, kind="folders")


def _read_split_folders(
    root: Path, splits: dict[str, Path], others: list[Path], modality: Modality
) -> Source:
    ignored = [IgnoredFile(f.name, "a folder beside train, val and test") for f in others]
    records = []
    for split, folder in sorted(splits.items()):
        classes, loose = _list_folder(folder, modality)
        if not classes:
            raise DataError(
                f"data {str(folder)!r}: expected one folder per class. Received: "
                f"{len(loose)} {modality.plural} outside of every folder. Sort them into folders, "
                "or write a CSV with the columns path,label,split."
            )
        ignored += [
            IgnoredFile(p.relative_to(root).as_posix(), "lies outside of every class folder")
            for p in loose
        ]
        for class_folder in classes:
            found, not_samples = _read_class_folder(root, class_folder, modality, split=split)
            records += found
            ignored += not_samples
    return make_source(root, records, ignored, modality, kind="split_folders")


def _list_folder(folder: Path, modality: Modality) -> tuple[list[Path], list[Path]]:
    """Returns the visible folders, and the samples that lie beside them."""
    folders, loose = [], []
    for entry in sorted(folder.iterdir(), key=lambda p: p.name):
        if _is_system_file(entry.name):
            continue
        if entry.is_dir():
            folders.append(entry)
        elif _is_sample(entry.name, modality) and _is_text(entry.name):
            loose.append(entry)
    return folders, loose


def _read_class_folder(
    root: Path, folder: Path, modality: Modality, *, split: str | None
) -> tuple[list[Record], list[IgnoredFile]]:
    label = check_label(folder.name, where=f"folder {str(folder)!r}")
    records, ignored = [], []
    for path in _walk(root, folder):
        name = path.relative_to(root).as_posix()
        if not _is_text(name):
            ignored.append(IgnoredFile(ascii(name), "its name is not valid UTF-8"))
        elif _is_sample(path.name, modality):
            records.append(Record(name, label, split))
        else:
            ignored.append(IgnoredFile(name, modality.explain_ignored(path.suffix)))
    if not records:
        name = folder.relative_to(root).as_posix()
        ignored.append(IgnoredFile(f"{name}/", f"a folder without {modality.plural}"))
    return records, ignored


def _walk(root: Path, folder: Path) -> Iterator[Path]:
    _check_inside(root, folder)
    for where, folders, files in os.walk(folder, onerror=_raise):
        here = Path(where)
        # Linked folders are not entered (they may form a loop), but must not lead out unnoticed.
        folders[:] = sorted(name for name in folders if not _is_system_file(name))
        for name in folders:
            _check_inside(root, here / name)
        for name in sorted(files):
            if not _is_system_file(name):
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


def _is_sample(name: str, modality: Modality) -> bool:
    # Not `Path.suffix`: an ending may have two dots.
    return name.lower().endswith(tuple(modality.suffixes))


def _is_system_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
