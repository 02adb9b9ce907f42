"""The address at which plugins made for tfxfer 0.1 look for `tfxfer.system.files`."""

from __future__ import annotations

from tfxfer.system.files import atomic_write

__all__ = ["atomic_write"]
