"""Paths that a table names, held to the folder that it lies in."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from tfxfer.errors import DataError

__all__ = ["Inside"]


@dataclass
class Inside:
    """Says of paths whether they stay inside one folder; what many share is worked out once.

    Args:
        root: the folder, resolved.
        folders: of folders below it, whether they are inside once links are followed.
    """

    root: Path
    folders: dict[str, bool] = field(default_factory=dict)
    _start: str = field(init=False)

    def __post_init__(self) -> None:
        self._start = f"{self.root}{os.sep}"

    def check_path(self, text: str, *, where: str) -> str:
        """Returns a path in its normal form, with forward slashes.

        Args:
            text: as the table has it, relative to the folder.
            where: the table and the line, for messages.

        Raises:
            DataError: it is none, or leads out of the folder, also by a link.
        """
        if not text or "\0" in text:
            raise DataError(f"{where}: expected the path of a file. Received: path={text!r}.")
        # A drive of Windows has its colon in second place; pathlib is slow, and asked then alone.
        may_be_absolute = text[0] in "/\\" or text[1:2] == ":"
        if may_be_absolute and (PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor):
            raise DataError(
                f"{where}: expected a path relative to {str(self.root)!r}. Received: "
                f"path={text!r}. Write it relative to the folder the CSV lies in."
            )
        # A table written on Windows has backslashes; a file may also really be named so elsewhere.
        if "\\" in text and not os.path.exists(self._start + text):  # noqa: PTH110
            text = text.replace("\\", "/")
        path = posixpath.normpath(text)
        if not self._is_inside(path):
            raise DataError(
                f"{where}: expected a path inside {str(self.root)!r}. Received: path={text!r}, "
                "which leads out of it. Move the CSV to a folder above the files."
            )
        return path

    def _is_inside(self, path: str) -> bool:
        if path == ".." or path.startswith("../"):
            return False
        folder = posixpath.dirname(path)
        is_inside = self.folders.get(folder)
        if is_inside is None:
            is_inside = self.folders[folder] = self._leads_inside(folder)
        # The file itself is asked each time: it may be a link where its neighbours are none. No
        # `Path`: there may be a million of them.
        if os.path.islink(self._start + path):  # noqa: PTH114
            return self._leads_inside(path)
        return is_inside

    def _leads_inside(self, path: str) -> bool:
        return (self.root / path).resolve().is_relative_to(self.root)
