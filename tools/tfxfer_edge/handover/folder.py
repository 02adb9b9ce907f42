"""The folder of an export: checked before the work, moved to its place whole after it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import RunError, StorageError
from tfxfer.system.files import (
    atomic_write,
    check_writable,
    describe_storage_error,
    to_json,
)
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.records import read_document
from tfxfer.system.scratch import name_aside, name_temporary, remove_dead
from tfxfer_edge.conversion.recipes import FLOAT, RECIPES
from tfxfer_edge.handover.apps import APP_FILES
from tfxfer_edge.handover.readme import PROGRAM_FILE, README_FILE, write_handover
from tfxfer_edge.proof.gate import Candidate
from tfxfer_edge.tflite.card import EXPORT_MANIFEST, LABELS_FILE, MICRO_FILES

__all__ = ["check_folder", "write_folder"]

_MANIFEST = EXPORT_MANIFEST
_OURS = {
    _MANIFEST,
    README_FILE,
    PROGRAM_FILE,
    LABELS_FILE,
    *MICRO_FILES,
    *APP_FILES,
    *(f"model_{name}{suffix}" for name in RECIPES for suffix in (".tflite", ".onnx")),
}


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuses a folder that holds something and no export that may be replaced.

    Args:
        folder: to be made.
        overwrite: whether an earlier export may go.

    Raises:
        RunError: it is taken, or cannot be replaced in one step.
        StorageError: its place cannot be written, or it cannot be read.
    """
    try:
        _refuse_taken(folder, overwrite=overwrite)
    except RunError:
        raise  # which is an OSError, too
    except OSError as error:
        raise StorageError(
            f"cannot export to {str(folder)!r}: expected a folder that can be read. "
            f"Received: {error.strerror or error}. Choose another --out."
        ) from error
    # The new one is made beside its place, and moved there.
    check_writable(folder.parent)


def _refuse_taken(folder: Path, *, overwrite: bool) -> None:
    if folder == Path.cwd() or folder.is_mount():
        raise RunError(
            f"cannot export to {str(folder)!r}: expected a folder that can be replaced. "
            "Received: the working directory, or a disk. Choose a folder in it."
        )
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise RunError(f"cannot export to {str(folder)!r}: expected a folder. Received: a file.")
    if overwrite and (folder / _MANIFEST).is_file():
        return
    what = "an earlier export: --overwrite" if (folder / _MANIFEST).is_file() else "other files"
    raise RunError(
        f"cannot export to {str(folder)!r}: expected a new or empty folder. Received: {what}."
    )


def _list_strangers(folder: Path) -> list[str]:
    """Returns what lies in a folder and is of no export, by name."""
    return sorted({path.name for path in folder.iterdir()} - _OURS - _list_made(folder))


def _list_made(folder: Path) -> set[str]:
    """Returns the files of recipes that are not built in, which the earlier export names."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        return set()
    try:
        document = read_document(manifest, expected="the JSON of an export", error=RunError)
        made = document.get("candidates")
        paths = [item.get("path") for item in made] if isinstance(made, list) else []
    except (RunError, AttributeError):
        return set()  # of no export, or of one that was edited: its files are strangers
    return {Path(path).name for path in paths if isinstance(path, str)}


def write_folder(
    folder: Path,
    *,
    main: str,
    files: Mapping[str, bytes],
    labels: Sequence[str],
    document: Mapping[str, Any],
    candidates: Sequence[Candidate],
) -> None:
    """Makes the folder beside its place and moves it there whole.

    Where an earlier export is replaced and others' files lie beside it, these stay, and the files
    are replaced one by one.

    Args:
        folder: to be made, or replaced.
        main: the file that its README is about.
        files: names and contents.
        labels: names of the outputs, in order.
        document: what `export.json` holds.
        candidates: for the README's table.

    Raises:
        StorageError: the disk is full, or the place cannot be written; what was there is left.
    """
    try:
        _write_temporary(folder, main, files, labels, document, candidates)
    except OSError as error:
        raise StorageError(
            describe_storage_error(error, folder)
            or f"cannot write {str(folder)!r}: {error.strerror or error}. Choose another --out."
        ) from error


def _write_temporary(
    folder: Path,
    main: str,
    files: Mapping[str, bytes],
    labels: Sequence[str],
    document: Mapping[str, Any],
    candidates: Sequence[Candidate],
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_dead(folder.parent)
    beside = name_temporary(folder)
    beside.mkdir(mode=0o700)
    old = name_aside(beside)
    try:
        for name, content in files.items():
            with atomic_write(beside / name) as temporary:
                temporary.write_bytes(content)
        with atomic_write(beside / LABELS_FILE) as temporary:
            temporary.write_bytes(
                "".join(f"{escape_controls(label)}\n" for label in labels).encode()
            )
        if main.endswith(".tflite"):
            write_handover(beside / main, extra=_table(document, candidates))
        with atomic_write(beside / _MANIFEST) as temporary:
            temporary.write_text(to_json(document), encoding="utf-8")
        beside.chmod(0o755)
        if folder.exists() and _list_strangers(folder):
            _replace_files(folder, beside)
            return
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(beside, ignore_errors=True)
        raise
    # The new one is in its place: what is left of the old one harms nobody.
    shutil.rmtree(old, ignore_errors=True)


def _replace_files(folder: Path, beside: Path) -> None:
    """Replaces an earlier export file by file, where others' files lie beside it and have to stay.

    The manifest goes first and comes last: a folder without it is no export.
    """
    earlier = {path.name for path in folder.iterdir()} & (_OURS | _list_made(folder))
    (folder / _MANIFEST).unlink(missing_ok=True)
    names = sorted((path.name for path in beside.iterdir()), key=lambda name: name == _MANIFEST)
    for name in sorted(earlier - {*names, _MANIFEST}):
        (folder / name).unlink(missing_ok=True)
    for name in names:
        (beside / name).replace(folder / name)
    beside.rmdir()


def _name_one(document: Mapping[str, Any]) -> str:
    return {"images": "an image", "texts": "a text"}.get(document["samples"], "a sample")


def _table(document: Mapping[str, Any], candidates: Sequence[Candidate]) -> str:
    lines = [
        "## What was tried",
        "",
        f"| recipe | size, MB | ms {_name_one(document)} here | points lost, validation | "
        "test [95 %] | passed |",
        "|---|---|---|---|---|---|",
    ]
    reference = document["float"]
    is_tried = any(item.recipe == FLOAT for item in candidates)
    if reference["tflite_bytes"] is not None and not is_tried:
        lines.append(
            f"| {FLOAT} | {reference['tflite_bytes'] / 1e6:.2f} | {reference['latency_ms']:.1f} "
            "| | | what the others are compared with |"
        )
    for item in candidates:
        if item.bytes is None or item.test_drop_points is None:
            reason = escape_controls(" ".join(item.reason.split())).replace("|", "\\|")
            lines.append(f"| {item.recipe} | | | | | no: {reason} |")
            continue
        drop = item.test_drop_points
        lost = f"{item.drop_points:.1f}"
        if item.val_views is not None:
            lost += "; on {views} views {drop_points[value]:.1f}".format(**item.val_views)
        lines.append(
            f"| {item.recipe} | {item.bytes / 1e6:.2f} | {item.latency_ms:.1f} | "
            f"{lost} | "
            f"{drop['value']:.1f} [{drop['low']:.1f}, {drop['high']:.1f}] | "
            f"{'yes' if item.passed else 'no'} |"
        )
    lines += [
        "",
        f"This page is about `{document['chosen']}`, chosen because {document['because']}.",
    ]
    return "\n".join(lines)
