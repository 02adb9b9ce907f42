"""What an HDF5 file leads to and unpacks to, known before any of its arrays is read.

A link may lead to another file of the machine, whose content would end in a model that is passed
on; and an array of a terabyte that nobody ever wrote takes a hundred bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["check_hdf5_content"]

_MOST_OBJECTS = 100_000
"""Of a network of 1,000 layers, groups and arrays together, are 10,000."""

_UNPACKED_BYTES = 1 << 29
_MOST_RATIO = 100
"""Weights are noise and hardly pack. Below 512 MB the arrays may be as empty as they like."""


def check_hdf5_content(file: Any, *, stored_bytes: int, refuse: Callable[[str, str], Any]) -> None:
    """Refuses a file that leads elsewhere, or unpacks to more than it can hold.

    Args:
        file: an open `h5py.File`.
        stored_bytes: how large it is on disk.
        refuse: returns the error to raise; gets what was expected and what was received.

    Raises:
        Exception: what `refuse` returned.
    """
    import h5py  # type: ignore[import-untyped]

    waiting, seen, total = [file["/"]], set(), 0
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise refuse("links within the file", f"{type(link).__name__} {name!r:.80}")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue  # a link back would go round for ever
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise refuse(f"at most {_MOST_OBJECTS:,} groups and arrays", "more")
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise refuse("arrays within the file", f"{name!r:.80}, which is in another")
                total += item.size * item.dtype.itemsize if item.shape is not None else 0
    if total > max(_UNPACKED_BYTES, _MOST_RATIO * stored_bytes):
        raise refuse(
            f"arrays of at most {max(_UNPACKED_BYTES, _MOST_RATIO * stored_bytes):,} bytes "
            f"together, where the file has {stored_bytes:,}",
            f"{total:,} bytes",
        )
