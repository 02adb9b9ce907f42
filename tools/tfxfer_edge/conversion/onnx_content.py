"""Where the weights of an ONNX file are, read from its bytes before a runtime follows it.

A tensor may name any file of the machine as the place of its values, and a runtime reads that.

Source:
    onnx.proto of ONNX 1.17, whose numbers of fields are used; protobuf's wire format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfxfer.errors import ModelError

__all__ = ["CUT", "check_onnx_content", "list_fields"]

# The fields that lead from a message to those that hold tensors.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 10: "tensor", 6: "graph", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}  # fmt: skip
_TENSOR_PLACE, _TENSOR_LOCATION, _EXTERNAL = 13, 14, 1
_VARINT, _FIXED64, _BYTES, _START_GROUP, _END_GROUP, _FIXED32 = range(6)
_GROUP = object()
CUT = object()
"""The value of a field whose bytes are not all there, or that is no field."""


def check_onnx_content(content: bytes, *, source: str) -> None:
    """Refuses a file whose weights are not all in it.

    What is no message at all is left to the runtime, which says so.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        ModelError: a tensor is in another file, or a field is of a kind that ONNX does not use.
    """
    waiting = [("model", memoryview(content))]
    while waiting:
        kind, message = waiting.pop()
        for field, value in list_fields(message):
            if value is _GROUP:
                # The runtime would skip it and read on, into what nobody has looked at.
                raise ModelError(
                    f"model {source!r}: expected fields as ONNX has them. Received: a group, field "
                    f"{field}. Save it anew: onnx.save(onnx.load(PATH), NEW)"
                )
            is_elsewhere = (field == _TENSOR_PLACE and isinstance(value, memoryview)) or (
                field == _TENSOR_LOCATION and value == _EXTERNAL
            )
            if kind == "tensor" and is_elsewhere:
                raise ModelError(
                    f"model {source!r}: expected weights within the file. Received: a tensor "
                    "whose values are in another one. Save it whole: "
                    "onnx.save(onnx.load(PATH), NEW)"
                )
            child = _CHILDREN[kind].get(field)
            if child is not None and isinstance(value, memoryview):
                waiting.append((child, value))


def list_fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields numbers and values of fields, up to the first that is `CUT`.

    The value is a number, or the bytes of what has a size; numbers of fixed width are passed over.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
            yield key >> 3, message[at : at + size] if at + size <= len(message) else CUT
            at += size
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
            if at > len(message):
                yield key >> 3, CUT
        elif kind in (_START_GROUP, _END_GROUP):
            yield key >> 3, _GROUP
        else:
            yield key >> 3, CUT
            return


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80 or shift >= 70:  # ten bytes at most
            break
    return value, at
