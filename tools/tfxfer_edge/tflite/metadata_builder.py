"""Writes tables of a flatbuffer by their field numbers, without generated code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

__all__ = ["Draft", "Value", "pack_table"]


@dataclass(frozen=True)
class Draft:
    """One table to be written.

    Args:
        values: by field number; a field of None is left out. The kind of value says how it is
            stored: `np.uint8` also stands for the schema's enums, whose values are below 128.
    """

    values: Mapping[int, Value | None]


Value = str | np.uint8 | np.uint32 | tuple[float, ...] | Draft | Sequence[Draft]
"""A text, a byte, a number, a vector of float32, a table, or a vector of tables."""


def pack_table(root: Draft, *, identifier: bytes) -> bytes:
    """Returns the flatbuffer of a root table.

    Args:
        root: the table.
        identifier: four bytes that say of which schema it is.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, root), identifier)
    return bytes(builder.Output())


def _write_table(builder: Any, draft: Draft) -> int:
    values = {field: value for field, value in draft.values.items() if value is not None}
    # What a table points to has to be written before the table begins.
    offsets = {
        field: _write_value(builder, value)
        for field, value in values.items()
        if not isinstance(value, (np.uint8, np.uint32))
    }
    builder.StartObject(max(values, default=-1) + 1)
    for field, value in values.items():
        if isinstance(value, np.uint8):
            builder.PrependUint8Slot(field, int(value), 0)
        elif isinstance(value, np.uint32):
            builder.PrependUint32Slot(field, int(value), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return int(builder.EndObject())


def _write_value(builder: Any, value: Value) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Draft):
        return _write_table(builder, value)
    if isinstance(value, tuple) and all(isinstance(item, float) for item in value):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    tables = [_write_table(builder, item) for item in value]  # type: ignore[union-attr, arg-type]
    builder.StartVector(4, len(tables), 4)
    for offset in reversed(tables):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
