"""The zip archive behind a `.tflite` file: what is asked of it is unpacked, and no more."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping

from tfxfer.errors import ModelError
from tfxfer.system.archives import ARCHIVE_FAULTS, read_member

__all__ = ["PackedFiles"]

_MAX_FILES = 100
_MAX_BYTES = 32 << 20


class PackedFiles(Mapping[str, bytes]):
    """The files packed behind a model, by name, each unpacked when it is asked for.

    What nobody asks for may be as large as it likes: it is not read.

    Args:
        content: the file; there may be no archive behind it.

    Raises:
        ModelError: the archive is damaged, or what is asked of it is larger than any that is meant.
    """

    def __init__(self, content: bytes) -> None:
        self._archive: zipfile.ZipFile | None = None
        self._read: dict[str, bytes] = {}
        with _telling_damage():
            stream = io.BytesIO(content)
            if zipfile.is_zipfile(stream):
                self._archive = zipfile.ZipFile(stream)
        names = [] if self._archive is None else self._archive.namelist()
        if len(names) > _MAX_FILES:
            raise self._refuse(f"{len(names):,}")
        self._names = tuple(dict.fromkeys(names))

    def __getitem__(self, name: str) -> bytes:
        """Returns one file.

        Raises:
            KeyError: there is none of that name.
            ModelError: it is damaged, or too large together with those that were asked for before.
        """
        if name in self._read:
            return self._read[name]
        if self._archive is None or name not in self._names:
            raise KeyError(name)
        wanted = sum(map(len, self._read.values())) + self._archive.getinfo(name).file_size
        if wanted > _MAX_BYTES:
            raise self._refuse(f"{wanted:,} bytes with {name!r}")
        with _telling_damage():
            self._read[name] = read_member(self._archive, name, limit=_MAX_BYTES)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _refuse(self, received: str) -> ModelError:
        # Labels and vocabularies are kilobytes; what compresses well can be made gigabytes.
        return ModelError(
            f"model: expected at most {_MAX_FILES} packed files, and {_MAX_BYTES >> 20} MB of "
            f"those that are needed. Received: {received}."
        )


@contextlib.contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except ARCHIVE_FAULTS as error:
        raise ModelError(
            "metadata: expected an archive of files behind the model. "
            f"Received: {_first_line(error)}. The file may be damaged."
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
