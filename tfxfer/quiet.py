"""The address at which plugins made for tfxfer 0.1 look for `tfxfer.system.quiet`."""

from __future__ import annotations

from tfxfer.system.quiet import quiet_native

__all__ = ["quiet_native"]
