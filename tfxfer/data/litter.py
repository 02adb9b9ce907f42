"""What systems and programs leave in folders of samples: left out, and named.

Nobody sorts photos into `lost+found` or `@eaDir`, yet a copied disk or a NAS brings them along.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SYSTEM_FOLDERS", "describe_litter", "is_system_file", "is_system_folder"]

SYSTEM_FOLDERS = frozenset(
    (
        "__macosx",
        "__pycache__",
        "_gsdata_",
        "_thumbnails",
        "_thumbs",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "found.000",
        "lost.dir",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbnails",
        "thumbs",
    )
)
"""Names, in lower case, of folders that systems, file servers and viewers make."""

_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "ehthumbs.db"))


def is_system_folder(name: str) -> bool:
    """Returns whether a folder of this name holds nobody's samples."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """Returns whether a file of this name is no sample and not worth a word."""
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def describe_litter(folder: Path, suffixes: frozenset[str], plural: str) -> str | None:
    """Returns why a system folder is left out; None where it holds no sample.

    Args:
        folder: its place.
        suffixes: of files that are samples.
        plural: what the modality calls samples.
    """
    endings = tuple(suffixes)
    count = sum(name.lower().endswith(endings) for _, _, names in os.walk(folder) for name in names)
    if not count:
        return None
    kind = "hidden" if folder.name.startswith(".") else "system"
    return f"a {kind} folder with {count:,} {plural}: rename it if they are {plural} to learn from"
