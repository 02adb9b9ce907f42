"""The address at which plugins made for tfxfer 0.1 look for `tfxfer.system.files`."""

from __future__ import annotations

from tfxfer.system.files import (
    TEMPORARY,
    atomic_write,
    describe_storage_error,
    to_json,
    to_plain,
    write_table,
)

__all__ = [
    "TEMPORARY",
    "atomic_write",
    "describe_storage_error",
    "to_json",
    "to_plain",
    "write_table",
]
