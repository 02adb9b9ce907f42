"""A `.tflite` file as data: its operators and tensors, read and written.

LiteRT Quantizer stores weights outside the flatbuffer. TensorFlow's `modify_model_io_type` and
other programs copy the flatbuffer alone and write a broken file without an error, so every file
that leaves here has its weights inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tfxfer.errors import ModelError

__all__ = [
    "TensorInfo",
    "as_text",
    "builtin_of",
    "find_forbidden",
    "list_operators",
    "operator_names",
    "read_model",
    "refuse_forbidden",
    "tensor_table",
    "type_name",
    "write_model",
]

_IDENTIFIER = b"TFL3"
_MOST_TABLES = 500_000
"""Operators, tensors and what else is a table; networks have some thousands. One may stand in many
places of a file, where each takes four bytes, and a kilobyte once it is unpacked."""
_ALIGNMENT = 16  # schema.fbs: `data:[ubyte] (force_align: 16)`; Python's packer forgets it


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of the main graph.

    Args:
        index: where operators and interpreters find it.
        name: usually of the layer that made it.
        dtype: `float32`, `int8` and so on.
        shape: with -1 where the size is free.
        scale: one number, or one per channel; empty where not quantized.
        zero_point: as many as scales.
        is_constant: whether the file holds its values.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    is_constant: bool


def read_model(content: bytes | bytearray) -> Any:
    """Returns a `ModelT` whose weights are all inside.

    Raises:
        ModelError: the bytes are no TFLite file, or a truncated one.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = bytes(content)
    if not content:
        raise ModelError("model: expected a TFLite file. Received: an empty one, of 0 bytes.")
    if content[4:8] != _IDENTIFIER:
        raise ModelError(
            "model: expected a TFLite file, with TFL3 at byte 4. "
            f"Received: {len(content)} bytes, starting {content[:8]!r}."
        )
    try:
        root = schema.Model.GetRootAs(content, 0)
        _refuse_many(root)
        model = schema.ModelT.InitFromObj(root)
        for buffer in model.buffers:
            # 0 and 1 are placeholders: the weights, if any, are inside.
            if buffer.offset > 1:
                end = buffer.offset + buffer.size
                if end > len(content):
                    raise _make_cut(len(content), f"weights end at byte {end:,}")
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    except ModelError:
        raise
    # A damaged file fails in struct, numpy or flatbuffers, each with errors of its own.
    except Exception as error:
        raise _make_cut(len(content), "parts of its graph are missing") from error
    if not model.subgraphs:
        raise ModelError("model: expected a TFLite file with a graph. Received: none.")
    return model


def _refuse_many(root: Any) -> None:
    """Refuses a file that would unpack to more than any network is, before it is unpacked."""
    count = root.OperatorCodesLength() + root.BuffersLength() + root.MetadataLength()
    for part in _list_parts(root):
        count += part
        # Not after the loop: the parts themselves may be without end.
        if count > _MOST_TABLES:
            break
    if count > _MOST_TABLES:
        raise ModelError(
            f"model: expected at most {_MOST_TABLES:,} operators, tensors and other parts. "
            "Received: more. No phone runs a network of this size."
        )


def _list_parts(root: Any) -> Iterator[int]:
    """Yields how many tables each signature and each graph is."""
    for number in range(root.SignatureDefsLength()):
        signature = root.SignatureDefs(number)
        yield 1 + signature.InputsLength() + signature.OutputsLength()
    for number in range(root.SubgraphsLength()):
        graph = root.Subgraphs(number)
        yield 1 + graph.TensorsLength() + graph.OperatorsLength()


def _make_cut(length: int, received: str) -> ModelError:
    return ModelError(
        f"model: expected a whole TFLite file. Received: {length:,} bytes, cut off or damaged: "
        f"{received}. Copy or export it again."
    )


def write_model(model: Any) -> bytes:
    """Returns the file of a `ModelT`, weights inside and aligned as the schema asks.

    Equal vectors are written once. The zero points of per-channel weights are eight bytes of 0 a
    channel: 11 % of MobileNetV3-Small in int8, all of them alike.
    """
    size = sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers)
    builder = _sharing_builder_class()(size + (1 << 20))
    plain = model.buffers
    model.buffers = [_aligned_buffer_class()(buffer.data) for buffer in plain]
    try:
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    finally:
        model.buffers = plain
    return bytes(builder.Output())


@cache
def _sharing_builder_class() -> Any:
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._vectors: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802  flatbuffers' name
            key = (x.dtype.str, x.tobytes())
            if key not in self._vectors:
                self._vectors[key] = super().CreateNumpyVector(x)
            return self._vectors[key]

    return SharingBuilder


@cache
def _aligned_buffer_class() -> Any:
    from ai_edge_litert import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        def Pack(self, builder: Any) -> Any:  # noqa: N802  the schema's name
            if self.data is None or not len(self.data):
                return schema.BufferT().Pack(builder)
            data = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, vector)
            return schema.BufferEnd(builder)

    return AlignedBuffer


def list_operators(content: bytes | bytearray) -> list[str]:
    """Returns the name of every operator of the main graph, in order of execution.

    A custom operator is `CUSTOM:` and its own name.
    """
    model = read_model(content)
    names = operator_names(model)
    return [names[operator.opcodeIndex] for operator in model.subgraphs[0].operators or []]


def operator_names(model: Any) -> list[str]:
    """Returns the name of every kind of operator of a `ModelT`, by its `opcodeIndex`."""
    return [_operator_name(code) for code in model.operatorCodes]


def tensor_table(content: bytes | bytearray) -> tuple[TensorInfo, ...]:
    """Returns every tensor of the main graph, in the order of their indices."""
    model = read_model(content)
    rows = []
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        quantization, data = tensor.quantization, model.buffers[tensor.buffer].data
        signature = tensor.shapeSignature
        shape = tensor.shape if signature is None or not len(signature) else signature
        scale = () if quantization is None or quantization.scale is None else quantization.scale
        zeros: Any = () if quantization is None else quantization.zeroPoint
        rows.append(
            TensorInfo(
                index=index,
                name=as_text(tensor.name),
                dtype=type_name(tensor).lower(),
                shape=tuple(int(size) for size in ([] if shape is None else shape)),
                scale=tuple(float(item) for item in scale),
                zero_point=tuple(int(item) for item in ([] if zeros is None else zeros)),
                is_constant=data is not None and len(data) > 0,
            )
        )
    return tuple(rows)


def find_forbidden(content: bytes | bytearray) -> tuple[tuple[str, str], ...]:
    """Returns (operator, tensor it makes) for every operator that is not a TFLite builtin."""
    model = read_model(content)
    found = []
    for graph in model.subgraphs:
        for operator in graph.operators or []:
            name = _operator_name(model.operatorCodes[operator.opcodeIndex])
            if name.startswith("CUSTOM:"):
                outputs = operator.outputs if operator.outputs is not None else []
                made = as_text(graph.tensors[outputs[0]].name) if len(outputs) else ""
                found.append((name.removeprefix("CUSTOM:"), made))
    return tuple(found)


def refuse_forbidden(content: bytes | bytearray, *, what: str = "model") -> None:
    """Raises for Flex and custom operators.

    Raises:
        ModelError: names the operator and the tensor it makes.
    """
    found = find_forbidden(content)
    if found:
        shown = ", ".join(f"{operator} (makes {made!r})" for operator, made in found[:3])
        raise ModelError(
            f"{what}: expected TFLite builtin operators only, which every phone has. "
            f"Received: {shown}."
        )


def builtin_of(code: Any) -> int:
    """Returns the number of an operator code's builtin."""
    # Old files have the code in one byte, new ones in a wider field, and either may be 0.
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _operator_name(code: Any) -> str:
    number = builtin_of(code)
    name = _builtin_names().get(number, f"BUILTIN_{number}")  # of a newer schema
    return f"CUSTOM:{as_text(code.customCode)}" if name == "CUSTOM" else name


@cache
def _builtin_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}


def type_name(tensor: Any) -> str:
    """Returns what the schema calls a tensor's type, such as `FLOAT32`."""
    return _type_names().get(tensor.type, f"TYPE_{tensor.type}")  # of a newer schema


@cache
def _type_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}


def as_text(value: Any) -> str:
    """Returns a name, which the schema's classes hold as bytes or as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
