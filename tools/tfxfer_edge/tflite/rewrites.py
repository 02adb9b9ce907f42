"""Rewrites of a `.tflite` file that stay loadable: weights inside, uint8 ends, named ends."""

from __future__ import annotations

from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import as_text, builtin_of, read_model, type_name, write_model

__all__ = ["add_uint8_ends", "inline_buffers", "name_ends"]

_SIGNED_TO_UNSIGNED = 128


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
            if as_text(tensor.name) == name:
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
        f"model: expected the end {as_text(tensor.name)!r} to be int8. "
        f"Received: {type_name(tensor)}."
    )


def _quantize_opcode(model: Any) -> int:
    from ai_edge_litert import schema_py_generated as schema

    builtin = schema.BuiltinOperator.QUANTIZE
    for number, code in enumerate(model.operatorCodes):
        if builtin_of(code) == builtin:
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
    twin.name, inner.name = inner.name, as_text(inner.name) + "_int8"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def _redirect_signatures(model: Any, old: int, new: int) -> None:
    for signature in model.signatureDefs or []:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            if entry.tensorIndex == old:
                entry.tensorIndex = new
