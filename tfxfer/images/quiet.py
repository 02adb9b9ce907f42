"""Pillow's own warnings and limit, set aside while photos are read, which have limits here."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from PIL import Image

__all__ = ["quiet_pillow"]

_PIXELS = 120_000_000
"""Pillow warns above this and refuses above twice as many, what a JPEG may have here."""


class _Quiet:
    """Counts the decoders at work, since `warnings.catch_warnings` is not safe between threads."""

    lock = threading.Lock()
    depth = 0
    entry: Any = None
    limit: int | None = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's own warnings while any thread is inside; safe to nest and to share.

    Damaged EXIF blocks and odd headers are warned about by Pillow; what matters of that is in the
    audit, and the rest must not appear in the middle of a progress bar. Pillow opens no photo above
    twice `MAX_IMAGE_PIXELS`, 179 megapixels: the largest that a phone takes has 200.
    """
    with _Quiet.lock:
        _Quiet.depth += 1
        if _Quiet.depth == 1:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _Quiet.entry = warnings.filters[0]
            _Quiet.limit = Image.MAX_IMAGE_PIXELS
            if _Quiet.limit is not None:
                Image.MAX_IMAGE_PIXELS = max(_Quiet.limit, _PIXELS)
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.depth -= 1
            if _Quiet.depth == 0:
                Image.MAX_IMAGE_PIXELS = _Quiet.limit
                # Only our own entry is taken out: somebody else may have added filters since.
                if _Quiet.entry in warnings.filters:
                    cast("list[Any]", warnings.filters).remove(_Quiet.entry)
