"""A `.tflite` file as data: its operators and tensors, and rewrites that stay loadable.

LiteRT Quantizer stores weights outside the flatbuffer. `tflite-support` and TensorFlow's
`modify_model_io_type` copy the flatbuffer alone and write a broken file without an error, so every
file that leaves here has its weights inside.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native

__all__ = [
    "TensorInfo",
    "add_uint8_ends",
    "find_forbidden",
    "inline_buffers",
    "list_operators",
    "load_interpreter",
    "name_ends",
    "read_model",
    "refuse_forbidden",
    "tensor_table",
    "verify",
    "write_model",
]

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # schema.fbs: `data:[ubyte] (force_align: 16)`; Python's packer forgets it
_SIGNED_TO_UNSIGNED = 128


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
    if content[4:8] != _IDENTIFIER:
        raise ModelError(
            "model: expected a TFLite file, with TFL3 at byte 4. "
            f"Received: {len(content)} bytes, starting {content[:8]!r}."
        )
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        for buffer in model.buffers:
            # 0 and 1 are placeholders: the weights, if any, are inside.
            if buffer.offset > 1:
                end = buffer.offset + buffer.size
                if end > len(content):
                    raise ValueError(f"weights end at byte {end} of {len(content)}")
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    # A damaged file fails in struct, numpy or flatbuffers, each with errors of its own.
    except Exception as error:
        raise ModelError(
            f"model: expected a whole TFLite file. Received: {len(content)} bytes, {error}"
        ) from error
    if not model.subgraphs:
        raise ModelError("model: expected a TFLite file with a graph. Received: none.")
    return model


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


def inline_buffers(content: bytes | bytearray) -> bytes:
    """Returns the same model with its weights inside the flatbuffer."""
    return write_model(read_model(content))


def add_uint8_ends(content: bytes | bytearray) -> bytes:
    """Returns the same model with uint8 in and out where it has int8.

    One QUANTIZE is added at each end: the same scale, the zero point 128 higher.

    Raises:
        ModelError: the model has not one input and one output of int8 or uint8.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            "model: expected one input and one output. "
            f"Received: {len(graph.inputs)} and {len(graph.outputs)}."
        )
    opcode = _quantize_opcode(model)
    inner, outer = int(graph.inputs[0]), int(graph.outputs[0])
    if outer == inner:
        raise ModelError("model: expected at least one operator between input and output.")
    if _is_int8(graph.tensors[inner]):
        new = _add_uint8_twin(graph, inner)
        graph.operators.insert(0, _quantize_operator(opcode, new, inner))
        graph.inputs = [new]
        _redirect_signatures(model, inner, new)
    if _is_int8(graph.tensors[outer]):
        new = _add_uint8_twin(graph, outer)
        graph.operators.append(_quantize_operator(opcode, outer, new))
        graph.outputs = [new]
        _redirect_signatures(model, outer, new)
    return write_model(model)


def name_ends(content: bytes | bytearray, *, source: str, target: str, signature: str) -> bytes:
    """Returns the same model with names for its two ends, and a signature of them.

    LiteRT Quantizer and many clients find a model's ends by its signature.

    Args:
        content: a model with one input and one output.
        source: name of the input.
        target: name of the output.
        signature: name of the signature; any other one is dropped.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    graph = model.subgraphs[0]
    entries = []
    for name, index in ((source, int(graph.inputs[0])), (target, int(graph.outputs[0]))):
        for tensor in graph.tensors:
            if _text(tensor.name) == name:
                tensor.name = f"{name}_inner"
        graph.tensors[index].name = name
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = signature, 0
    definition.inputs, definition.outputs = entries[:1], entries[1:]
    model.signatureDefs = [definition]
    return write_model(model)


def _is_int8(tensor: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    if tensor.type == schema.TensorType.INT8:
        return True
    if tensor.type == schema.TensorType.UINT8:
        return False
    raise ModelError(
        f"model: expected the end {_text(tensor.name)!r} to be int8. "
        f"Received: {_type_names()[tensor.type]}."
    )


def _quantize_opcode(model: Any) -> int:
    from ai_edge_litert import schema_py_generated as schema

    builtin = schema.BuiltinOperator.QUANTIZE
    for number, code in enumerate(model.operatorCodes):
        if _builtin_of(code) == builtin:
            return number
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _quantize_operator(opcode: int, source: int, target: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex = opcode
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _add_uint8_twin(graph: Any, index: int) -> int:
    from ai_edge_litert import schema_py_generated as schema

    inner = graph.tensors[index]
    twin = schema.TensorT()
    twin.type = schema.TensorType.UINT8
    twin.shape, twin.shapeSignature = inner.shape, inner.shapeSignature
    twin.hasRank = inner.hasRank
    twin.buffer = 0  # by convention always the empty one
    twin.quantization = schema.QuantizationParametersT()
    twin.quantization.scale = [float(inner.quantization.scale[0])]
    twin.quantization.zeroPoint = [int(inner.quantization.zeroPoint[0]) + _SIGNED_TO_UNSIGNED]
    # Clients know the ends by name.
    twin.name, inner.name = inner.name, _text(inner.name) + "_int8"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def _redirect_signatures(model: Any, old: int, new: int) -> None:
    for signature in model.signatureDefs or []:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            if entry.tensorIndex == old:
                entry.tensorIndex = new


def list_operators(content: bytes | bytearray) -> list[str]:
    """Returns the name of every operator of the main graph, in order of execution.

    A custom operator is `CUSTOM:` and its own name.
    """
    model = read_model(content)
    names = [_operator_name(code) for code in model.operatorCodes]
    return [names[operator.opcodeIndex] for operator in model.subgraphs[0].operators or []]


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
                name=_text(tensor.name),
                dtype=_type_names()[tensor.type].lower(),
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
                made = _text(graph.tensors[outputs[0]].name) if len(outputs) else ""
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


def load_interpreter(
    content: bytes | bytearray, *, threads: int = 1, keep_all: bool = False
) -> Any:
    """Returns an allocated interpreter.

    Args:
        content: the file.
        threads: of its kernels.
        keep_all: every tensor can be read after a run; slow, without XNNPACK.

    Raises:
        ModelError: the runtime does not take the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    options: dict[str, Any] = {}
    if keep_all:
        options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options["experimental_preserve_all_tensors"] = True
    try:
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = Interpreter(model_content=bytes(content), num_threads=threads, **options)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT loads. Received: {first}") from error
    return interpreter


def verify(content: bytes | bytearray) -> None:
    """Loads the file and runs it once on zeros; every rewrite ends with this.

    Raises:
        ModelError: it does not load, does not run, or its output is not finite.
    """
    interpreter = load_interpreter(content)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    try:
        with quiet_native():
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"model: expected a file LiteRT runs. Received: {first}") from error
    for detail in interpreter.get_output_details():
        if not np.isfinite(interpreter.get_tensor(detail["index"])).all():
            raise ModelError(
                "model: expected finite outputs for an image of zeros. Received: NaN or infinity."
            )


def _builtin_of(code: Any) -> int:
    # Old files have the code in one byte, new ones in a wider field, and either may be 0.
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _operator_name(code: Any) -> str:
    name = _builtin_names()[_builtin_of(code)]
    return f"CUSTOM:{_text(code.customCode)}" if name == "CUSTOM" else name


@cache
def _builtin_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}


@cache
def _type_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
