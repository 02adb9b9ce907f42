"""What Python's own logs and warnings say on stderr, harmless to print."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

from tfxfer.system.plain_text import escape_lines

__all__ = ["harmless_logs"]


class _Escaping(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


@contextlib.contextmanager
def harmless_logs() -> Iterator[None]:
    """Escapes what steers a terminal in log records that nobody handles, and in warnings.

    A record may repeat the name of a plugin or of a file, which anybody may have chosen.
    """
    handler, format_warning = logging.lastResort, warnings.formatwarning
    before = None if handler is None else handler.formatter
    if handler is not None:
        handler.setFormatter(_Escaping())

    def format_harmless(*args: object, **options: object) -> str:
        return escape_lines(format_warning(*args, **options))  # type: ignore[arg-type]

    warnings.formatwarning = format_harmless
    try:
        yield
    finally:
        warnings.formatwarning = format_warning
        if handler is not None:
            handler.setFormatter(before)
