"""Reads tables of a flatbuffer by their field numbers, without generated code."""

from __future__ import annotations

from typing import Any, Self

from flatbuffers import encode, number_types, packer, table

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import as_text
from tfxfer_edge.tflite.metadata_schema import METADATA_NAME

__all__ = ["Table", "find_metadata"]


class Table:
    """One table; fields are counted from 0 as in the schema, a union counting twice.

    Args:
        buffer: the flatbuffer.
        position: where the table starts.
    """

    def __init__(self, buffer: bytes, position: int) -> None:
        self._table: Any = table.Table(buffer, position)

    @classmethod
    def of_root(cls, buffer: bytes, identifier: bytes) -> Self:
        """Returns the root table.

        Raises:
            ModelError: the identifier is another.
        """
        if buffer[4:8] != identifier:
            raise ModelError(
                f"metadata: expected {identifier.decode()} at byte 4. "
                f"Received: {len(buffer)} bytes, starting {buffer[:8]!r}."
            )
        return cls(buffer, encode.Get(packer.uoffset, buffer, 0))

    def string(self, field: int) -> str:
        """Returns a text; empty where it is absent."""
        at = self._at(field)
        return bytes(self._table.String(at)).decode("utf-8") if at else ""

    def byte(self, field: int) -> int:
        """Returns a small number; 0 where it is absent."""
        at = self._at(field)
        return int(self._table.Get(number_types.Uint8Flags, at)) if at else 0

    def floats(self, field: int) -> tuple[float, ...]:
        """Returns a vector of float32."""
        start, count = self._vector(field)
        get, kind = self._table.Get, number_types.Float32Flags
        return tuple(float(get(kind, start + 4 * i)) for i in range(count))

    def table(self, field: int) -> list[Table]:
        """Returns the one table of a field, or of a union's value; none where it is absent."""
        at = self._at(field)
        return [Table(self._table.Bytes, self._table.Indirect(at))] if at else []

    def tables(self, field: int) -> list[Table]:
        """Returns a vector of tables."""
        start, count = self._vector(field)
        indirect, data = self._table.Indirect, self._table.Bytes
        return [Table(data, indirect(start + 4 * i)) for i in range(count)]

    def _at(self, field: int) -> int:
        offset = self._table.Offset(4 + 2 * field)
        return int(self._table.Pos + offset) if offset else 0

    def _vector(self, field: int) -> tuple[int, int]:
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return 0, 0
        count = int(self._table.VectorLen(offset))
        start = int(self._table.Vector(offset))
        if start + 4 * count > len(self._table.Bytes):
            raise ModelError(
                f"metadata: expected a vector inside {len(self._table.Bytes)} bytes. "
                f"Received: {count} items from byte {start}."
            )
        return start, count


def find_metadata(content: bytes) -> bytes | None:
    """Returns the metadata's own flatbuffer inside a `.tflite` file; None where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ModelError(
            "model: expected a TFLite file, with TFL3 at byte 4. "
            f"Received: {len(content)} bytes, starting {content[:8]!r}."
        )
    model = schema.Model.GetRootAs(content, 0)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if as_text(entry.Name()) == METADATA_NAME:
            buffer = model.Buffers(entry.Buffer())
            # LiteRT Quantizer stores buffers behind the flatbuffer.
            start, size = buffer.Offset(), buffer.Size()
            if start > 1:
                return content[start : start + size]
            return bytes(buffer.DataAsNumpy()) if buffer.DataLength() else None
    return None
