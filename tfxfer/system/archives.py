"""Zip archives from outside: read without unpacking more than they say, or than is needed.

`ZipFile.read` unpacks a member whole before it cuts it to the size that the directory states: 0.9
MB that says it is 10 bytes took 835 MiB. In pieces it never holds more than one of them.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator

__all__ = ["ARCHIVE_FAULTS", "check_members", "check_stored", "read_member"]

_PIECE_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What Python's `zipfile` raises on damaged archives: there is no common class.
ARCHIVE_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,  # a member that is no deflated data
    struct.error,  # a directory that is cut off
    EOFError,
    OSError,
    LookupError,  # no such member
    RuntimeError,  # encrypted, or packed in a way that is not known
    ValueError,  # a directory that says its members begin before the file does
    OverflowError,
    MemoryError,  # a member that says it is larger than any machine
)


def read_member(archive: zipfile.ZipFile, name: str, *, limit: int) -> bytes:
    """Returns one member of an archive, and takes no more memory for it than twice its size.

    Args:
        archive: open to read.
        name: of the member.
        limit: bytes that it may have.

    Raises:
        KeyError: there is none of that name.
        ValueError: it says that it is larger, or is packed in a way whose reading has no limit.
        Exception: one of `ARCHIVE_FAULTS`: it is damaged, or is not as large as it says.
    """
    member = archive.getinfo(name)
    if member.file_size > limit:
        raise ValueError(
            f"archive: expected {name!r} of at most {limit:,} bytes. "
            f"Received: {member.file_size:,}."
        )
    return b"".join(_iter_pieces(archive, member))


def check_members(archive: zipfile.ZipFile) -> None:
    """Reads every member once, in pieces, so that whoever reads it whole gets what it says.

    Raises:
        Exception: one of `ARCHIVE_FAULTS`: a member is damaged, or is not as large as it says.
    """
    for member in archive.infolist():
        # What is stored is as large as it is: nothing of it unpacks.
        if member.compress_type != zipfile.ZIP_STORED:
            for _ in _iter_pieces(archive, member):
                pass


def check_stored(archive: zipfile.ZipFile) -> None:
    """Refuses packed members where all are written as they are, as `numpy.savez` does.

    Raises:
        ValueError: names one.
    """
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(
                f"archive: expected members that are stored, not packed. "
                f"Received: {member.filename!r}."
            )


def _iter_pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    if member.compress_type not in _METHODS:
        raise ValueError(
            f"archive: expected {member.filename!r} to be stored or deflated. "
            f"Received: method {member.compress_type}."
        )
    with archive.open(member) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece
