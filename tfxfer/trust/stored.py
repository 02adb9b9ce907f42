"""What is found out of a result, as records that a run keeps in its folder `trust/`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from tfxfer.errors import RunError
from tfxfer.system.files import atomic_write, to_json, to_plain
from tfxfer.system.records import read_document, read_record

__all__ = ["PlainRecord", "StoredRecord"]


class PlainRecord:
    """A dataclass that becomes JSON and is read back strictly.

    Attributes:
        title: what a record is called where it cannot be read.
    """

    title: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        document: dict[str, Any] = to_plain(asdict(cast(Any, self)))
        return document

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Reads `to_dict`'s data.

        Raises:
            RunError: it is something else.
        """
        return read_record(cls, data, where=cls.title, error=RunError)


class StoredRecord(PlainRecord):
    """A record with a file of its own in a run's folder `trust/`.

    Attributes:
        file_name: of that file.
    """

    file_name: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Writes the record into a run's `trust/`, which it makes.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        folder.mkdir(exist_ok=True)
        with atomic_write(folder / self.file_name) as temporary:
            temporary.write_text(to_json(self.to_dict()), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Reads a run's record; None where it has none.

        Raises:
            RunError: it is something else.
        """
        path = folder / cls.file_name
        if not path.is_file():
            return None
        expected = f"the JSON of a {cls.title}"
        return cls.from_dict(read_document(path, expected=expected, error=RunError))
