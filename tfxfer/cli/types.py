"""The address at which commands made for tfxfer 0.1 look for `tfxfer.cli.options`."""

from __future__ import annotations

from tfxfer.cli.options import FRACTION, TIME, parse_time

__all__ = ["FRACTION", "TIME", "parse_time"]
