"""Pillow's own warnings, silenced while photos are read."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

__all__ = ["quiet_pillow"]


class _Quiet:
    """Counts the decoders at work, since `warnings.catch_warnings` is not safe between threads."""

    lock = threading.Lock()
    depth = 0
    entry: Any = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's own warnings while any thread is inside; safe to nest and to share.

    Damaged EXIF blocks and odd headers are warned about by Pillow; what matters of that is in the
    audit, and the rest must not appear in the middle of a progress bar.
    """
    with _Quiet.lock:
        _Quiet.depth += 1
        if _Quiet.depth == 1:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _Quiet.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.depth -= 1
            # Only our own entry is taken out: somebody else may have added filters since.
            if _Quiet.depth == 0 and _Quiet.entry in warnings.filters:
                cast("list[Any]", warnings.filters).remove(_Quiet.entry)
