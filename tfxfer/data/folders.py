"""Samples in class folders, or in class folders inside train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfxfer.data.layout import Layout, Siblings, read_part_name, understand_folders
from tfxfer.data.litter import describe_litter, is_system_file, is_system_folder
from tfxfer.data.record import IgnoredFile, Record, Source, SourceKind, clean_label, make_source
from tfxfer.data.slice_table import Slices, clean_slice
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.system.plain_text import escape_controls

__all__ = ["FOLDER_COLUMN", "read_folder", "read_source_folders"]

FOLDER_COLUMN = "domain"
"""What the slice is called that says in which source's folder a sample lies."""

_OUTSIDE = "lies outside of every class folder"


def read_folder(root: Path, modality: Modality) -> Source:
    """Lists the samples of a folder; see `tfxfer.data.read_source`."""
    listing = _Listing(root, modality)
    folders, loose = listing.open(root)
    layout = understand_folders(_survey(listing, root, folders))
    if layout.splits:
        return _read_split_folders(listing, layout, loose)
    for folder in folders:
        listing.read_class_folder(folder, split=None)
    notes = [*layout.notes, *_count_loose(listing, len(loose))]
    return listing.make_source(kind="folders", understood=layout.understood, notes=notes)


def read_source_folders(root: Path, modality: Modality, *, is_sure: bool = True) -> Source:
    """Lists the samples of a folder that holds one folder a source, each with class folders.

    What a sample is of is its slice `FOLDER_COLUMN`. A source may have its own train/, val/ and
    test/.

    Args:
        root: the folder.
        modality: says which files are samples.
        is_sure: whether a user says so of this folder; else one that holds class folders alone is
            read as that.

    Raises:
        DataError: folders that hold samples themselves, or are parts; see `read_folder`.
    """
    listing = _Listing(root, modality)
    folders, loose = listing.open(root)
    siblings = _survey(listing, root, folders)
    if siblings.flat or not folders or not all(siblings.inner.values()):
        if not is_sure:
            return read_folder(root, modality)
        odd = [f.name for f in folders if f.name in siblings.flat or not siblings.inner[f.name]]
        received = f"{odd[0]!r}, which holds something else" if odd else "no folder"
        raise DataError(
            f"--domain folders: expected one folder a source in {str(root)!r}, and class folders "
            f"in each of them, such as studio/cat/1.jpg. Received: {received}. Sort the "
            f"{modality.plural}, or name a column of a table: --domain COLUMN"
        )
    parts = [folder.name for folder in folders if read_part_name(folder.name, siblings.nouns)]
    if parts:
        raise DataError(
            f"--domain folders: expected one folder a source in {str(root)!r}. Received: "
            f"{parts[0]!r}, which names a part of a split. Put train/, val/ and test/ into each "
            "source's folder, or list the "
            f"{modality.plural} in a CSV with the columns path,label,split,domain."
        )
    notes, outside = [], len(loose)
    for folder in folders:
        classes, beside = listing.open(folder)
        outside += len(beside)
        slices = ((FOLDER_COLUMN, clean_slice(folder.name)),)
        layout = understand_folders(_survey(listing, folder, classes))
        notes += [f"{folder.name}: {note}" for note in layout.notes]
        if not layout.splits:
            layout = Layout({"": folder})
        for split, part in sorted(layout.splits.items()):
            for class_folder in listing.open(part)[0] if split else classes:
                listing.read_class_folder(class_folder, split=split or None, slices=slices)
    names = ", ".join(escape_controls(folder.name) for folder in folders)
    understood = f"understood each folder in {escape_controls(root.name)}/ as a source: {names}"
    return listing.make_source(
        kind="folders", understood=understood, notes=[*notes, *_count_loose(listing, outside)]
    )


def _survey(listing: _Listing, root: Path, folders: list[Path]) -> Siblings:
    """Looks one level into each folder."""
    inner: dict[str, frozenset[str]] = {}
    flat = set()
    for folder in folders:
        listing.check_inside(folder)
        names = set()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if not is_system_folder(entry.name):
                        names.add(entry.name)
                elif listing.is_sample(entry.name):
                    flat.add(folder.name)
        inner[folder.name] = frozenset(names)
    nouns = (listing.modality.noun, listing.modality.plural)
    return Siblings(root, tuple(folders), inner, frozenset(flat), nouns)


def _read_split_folders(listing: _Listing, layout: Layout, loose: list[Path]) -> Source:
    modality = listing.modality
    listing.ignored += [
        IgnoredFile(f"{f.name}/", "a folder beside train, val and test") for f in layout.others
    ]
    outside = len(loose)
    for split, folder in sorted(layout.splits.items()):
        classes, beside = listing.open(folder)
        if not classes:
            raise DataError(
                f"data {str(folder)!r}: expected one folder per class. Received: "
                f"{len(beside)} {modality.plural} outside of every folder. Sort them into folders, "
                "or write a CSV with the columns path,label,split."
            )
        outside += len(beside)
        for class_folder in classes:
            listing.read_class_folder(class_folder, split=split)
    notes = _count_loose(listing, outside)
    return listing.make_source(kind="split_folders", understood=layout.understood, notes=notes)


def _count_loose(listing: _Listing, count: int) -> list[str]:
    if not count:
        return []
    words = f"{count:,} {listing.modality.plural} lie beside the class folders and have no label"
    return [f"{words}: they are not used"]


@dataclass
class _Listing:
    """What has been found in DATA so far."""

    root: Path
    modality: Modality
    records: list[Record] = field(default_factory=list)
    ignored: list[IgnoredFile] = field(default_factory=list)

    def make_source(self, *, kind: SourceKind, understood: str, notes: Sequence[str]) -> Source:
        """Returns all of it."""
        return make_source(
            self.root,
            self.records,
            self.ignored,
            self.modality,
            kind=kind,
            understood=understood,
            notes=notes,
        )

    def open(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Returns the visible folders, and the samples that lie beside them; notes the rest."""
        folders, loose = [], []
        for entry in sorted(folder.iterdir(), key=lambda path: path.name):
            if entry.is_dir():
                if is_system_folder(entry.name):
                    self.ignore_litter(entry)
                else:
                    folders.append(entry)
            elif self.is_sample(entry.name) and _is_text(entry.name):
                loose.append(entry)
                self.ignored.append(IgnoredFile(self.name(entry), _OUTSIDE))
            else:
                self.ignore_file(entry)
        return folders, loose

    def read_class_folder(self, folder: Path, *, split: str | None, slices: Slices = ()) -> None:
        """Takes every sample below a folder, whose name is their label."""
        label = clean_label(folder.name, where=f"folder {str(folder)!r}")
        before = len(self.records)
        for path in self._walk(folder):
            if self.is_sample(path.name) and _is_text(self.name(path)):
                self.records.append(Record(self.name(path), label, split, slices=slices))
            else:
                self.ignore_file(path)
        if len(self.records) == before:
            words = f"a folder without {self.modality.plural}"
            self.ignored.append(IgnoredFile(f"{self.name(folder)}/", words))

    def ignore_file(self, path: Path) -> None:
        """Notes a file that is no sample, unless a system put it there."""
        name = self.name(path)
        if not _is_text(name):
            self.ignored.append(IgnoredFile(ascii(name), "its name is not valid UTF-8"))
        elif self._has_ending(path.name) and is_system_file(path.name):
            self.ignored.append(IgnoredFile(name, "a hidden file"))
        elif not is_system_file(path.name):
            self.ignored.append(IgnoredFile(name, self.modality.explain_ignored(path.suffix)))

    def ignore_litter(self, folder: Path) -> None:
        """Notes a folder that a system made, where it holds samples."""
        words = describe_litter(folder, self.modality.suffixes, self.modality.plural)
        if words is not None:
            self.ignored.append(IgnoredFile(f"{self.name(folder)}/", words))

    def is_sample(self, name: str) -> bool:
        """Returns whether a file of this name is a sample."""
        return self._has_ending(name) and not is_system_file(name)

    def name(self, path: Path) -> str:
        """Returns a path as the user sees it: relative to DATA."""
        return path.relative_to(self.root).as_posix()

    def check_inside(self, path: Path) -> None:
        """Refuses a link that leads out of DATA."""
        if path.is_symlink() and not path.resolve().is_relative_to(self.root):
            raise DataError(
                f"data {str(self.root)!r}: expected files inside the data folder. Received: "
                f"{self.name(path)!r}, a link to {str(path.resolve())!r}. "
                "Copy what it points to into the folder."
            )

    def _has_ending(self, name: str) -> bool:
        # Not `Path.suffix`: an ending may have two dots.
        return name.lower().endswith(tuple(self.modality.suffixes))

    def _walk(self, folder: Path) -> Iterator[Path]:
        self.check_inside(folder)
        for where, folders, files in os.walk(folder, onerror=_raise):
            here = Path(where)
            for name in sorted(filter(is_system_folder, folders)):
                self.ignore_litter(here / name)
            # Linked folders are not entered (they may form a loop), but must not lead out
            # unnoticed.
            folders[:] = sorted(name for name in folders if not is_system_folder(name))
            for name in folders:
                self.check_inside(here / name)
            for name in sorted(files):
                self.check_inside(here / name)
                yield here / name


def _raise(error: OSError) -> None:
    raise error


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
