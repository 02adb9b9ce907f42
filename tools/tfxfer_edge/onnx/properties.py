"""The properties of an `.onnx` file, which are text by name, read and written without `onnx`.

Source:
    onnx.proto of ONNX 1.17: `ModelProto.metadata_props`, field 14, a list of
    `StringStringEntryProto`. Protobuf joins messages whose bytes follow one another, so that what
    is appended leaves the graph as it is, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping

from tfxfer_edge.conversion.onnx_content import list_fields

__all__ = ["read_properties", "write_properties"]

_PROPERTIES, _KEY, _VALUE = 14, 1, 2
_BYTES = 2  # protobuf's kind of a field whose size comes first


def read_properties(content: bytes) -> dict[str, str]:
    """Returns all properties of a file; of two of one name the later.

    Raises:
        UnicodeDecodeError: one is no text.
    """
    found = {}
    for field, value in list_fields(memoryview(content)):
        if field == _PROPERTIES and isinstance(value, memoryview):
            parts = {
                number: bytes(part).decode()
                for number, part in list_fields(value)
                if isinstance(part, memoryview)
            }
            found[parts.get(_KEY, "")] = parts.get(_VALUE, "")
    return found


def write_properties(content: bytes, properties: Mapping[str, str]) -> bytes:
    """Returns a file with further properties behind its graph.

    Example:
        >>> read_properties(write_properties(b"", {"a": "1", "b": "ü"}))
        {'a': '1', 'b': 'ü'}
    """
    entries = [
        _pack(_PROPERTIES, _pack(_KEY, key.encode()) + _pack(_VALUE, value.encode()))
        for key, value in properties.items()
    ]
    return b"".join([content, *entries])


def _pack(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
