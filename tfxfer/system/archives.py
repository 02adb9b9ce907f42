"""What Python's `zipfile` raises on damaged archives: there is no common class."""

from __future__ import annotations

import struct
import zipfile
import zlib

__all__ = ["ARCHIVE_FAULTS"]

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
