"""A photo's bytes, read whole or refused, and the words for what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ImageError
from tfxfer.images.formats import FORMATS, HEAD_BYTES, HEIC, detect_unread, explain_unread

__all__ = ["DecodeError", "make_bomb", "make_fault", "make_unsupported", "read_content"]

_MAX_BYTES = 1 << 30
"""As many pixels in 16 bits and four channels, not packed at all, are no larger."""


class DecodeError(ImageError):
    """An `ImageError` that also says which kind of problem the audit should call it.

    Args:
        message: what the user reads.
        kind: `corrupt`, `empty`, `unreadable`, `bomb` or `unsupported`.
        detail: the same without the file's name, for tables that have a column for that.
    """

    def __init__(self, message: str, *, kind: str, detail: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


def read_content(path_or_bytes: str | Path | bytes) -> tuple[str, bytes]:
    """Returns what to call an image in messages, and its bytes.

    Raises:
        DecodeError: nothing that can be read, or a photo of a kind that is not.
    """
    if isinstance(path_or_bytes, bytes):
        name, content = "the given bytes", path_or_bytes
        _refuse_unread(name, detect_unread(content[:HEAD_BYTES]))
    else:
        path = Path(path_or_bytes)
        name = f"image {str(path)!r}"
        try:
            # A named pipe or a device would be read for ever.
            if path.exists() and not path.is_file():
                kind = "a folder" if path.is_dir() else "no regular file"
                raise make_fault(name, "unreadable", expected="a file", received=kind)
            content = _read_file(path, name)
        except DecodeError:
            raise
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise make_fault(
                name, "unreadable", expected="a file that can be read", received=words
            ) from error
    if not content:
        raise make_fault(name, "empty", expected="an image", received="0 bytes")
    return name, content


def _read_file(path: Path, name: str) -> bytes:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        _refuse_unread(name, detect_unread(head, path.suffix))
        size = path.stat().st_size
        if size > _MAX_BYTES:
            # A sparse file of 20 GB costs nothing on disk, and all memory here.
            raise make_fault(
                name,
                "bomb",
                expected=f"a file of at most {_MAX_BYTES:,} bytes",
                received=f"{size:,} bytes",
            )
        file.seek(0)
        return file.read(_MAX_BYTES)


def _refuse_unread(name: str, kind: str | None) -> None:
    # Whether there is a reader for HEIC shows when it is opened.
    if kind is not None and kind != HEIC:
        raise make_unsupported(name, kind)


def make_unsupported(name: str, kind: str) -> DecodeError:
    """Returns the error of a photo whose format is not read, with the way out."""
    formats = ", ".join(FORMATS)
    return DecodeError(
        f"{name}: expected one of the formats {formats}. Received: {explain_unread(kind)}.",
        kind="unsupported",
        detail=explain_unread(kind),
    )


def make_fault(name: str, kind: str, *, expected: str, received: str) -> DecodeError:
    """Returns the error of a file that is no readable image."""
    return DecodeError(
        f"{name}: expected {expected}. Received: {received}. Replace or remove the file.",
        kind=kind,
        detail=received,
    )


def make_bomb(name: str, size: str, max_pixels: int) -> DecodeError:
    """Returns the error of an image with more pixels than can be meant."""
    return DecodeError(
        f"{name}: expected at most {max_pixels:,} pixels. Received: {size}. "
        "Scale the image down, or remove it.",
        kind="bomb",
        detail=f"{size} pixels, more than {max_pixels:,}"
        if size != "larger"
        else f"more than {max_pixels:,} pixels",
    )
