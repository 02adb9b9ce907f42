"""Rewrites of a `.tflite` file that stay loadable: weights inside, uint8 ends, named ends."""

from __future__ import annotations

from collections.abc import Sequence
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

    One QUANTIZE is added at each end: the same scale, the zero point 128 higher. Inputs of whole
    numbers, such as the numbers of tokens, are no quantized values and stay.

    Raises:
        ModelError: the model has an input or its only output of another type.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    if not len(graph.inputs) or len(graph.outputs) != 1:
        raise ModelError(
            "model: expected an input and one output. "
            f"Received: {len(graph.inputs)} and {len(graph.outputs)}."
        )
    opcode = _quantize_opcode(model)
    sources, outer = [int(index) for index in graph.inputs], int(graph.outputs[0])
    if outer in sources:
        raise ModelError("model: expected at least one operator between input and output.")
    for number, inner in enumerate(sources):
        if not _is_whole(graph.tensors[inner]) and _is_int8(graph.tensors[inner]):
            new = _add_uint8_twin(graph, inner)
            graph.operators.insert(0, _quantize_operator(opcode, new, inner))
            sources[number] = new
            _redirect_signatures(model, inner, new)
    graph.inputs = sources
    if _is_int8(graph.tensors[outer]):
        new = _add_uint8_twin(graph, outer)
        graph.operators.append(_quantize_operator(opcode, outer, new))
        graph.outputs = [new]
        _redirect_signatures(model, outer, new)
    return write_model(model)


def name_ends(
    content: bytes | bytearray, *, sources: Sequence[str], target: str, signature: str
) -> bytes:
    """Returns the same model with names for its ends, and a signature of them.

    LiteRT Quantizer and many clients find a model's ends by its signature.

    Args:
        content: a model with one output.
        sources: names of the inputs. One takes the place of whatever the input is called; several
            have to be the tensors' own, for a file lists its inputs in any order.
        target: name of the output.
        signature: name of the signature; any other one is dropped.

    Raises:
        ModelError: an input has none of several names.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    graph = model.subgraphs[0]
    entries = []
    ends = [*zip(sources, _find_inputs(graph, sources), strict=True)]
    for name, index in (*ends, (target, int(graph.outputs[0]))):
        for tensor in graph.tensors:
            if as_text(tensor.name) == name:
                tensor.name = f"{name}_inner"
        graph.tensors[index].name = name
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    definition = schema.SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = signature, 0
    definition.inputs, definition.outputs = entries[:-1], entries[-1:]
    model.signatureDefs = [definition]
    return write_model(model)


def _find_inputs(graph: Any, names: Sequence[str]) -> list[int]:
    indices = [int(index) for index in graph.inputs]
    if len(names) == len(indices) == 1:
        return indices
    # The converter may put a function's name before a tensor's, and a number behind it.
    found = {_bare_name(as_text(graph.tensors[index].name)): index for index in indices}
    if set(found) != set(names) or len(indices) != len(names):
        raise ModelError(
            f"model: expected the inputs {', '.join(names)}. Received: {', '.join(found)}."
        )
    return [found[name] for name in names]


def _bare_name(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _is_whole(tensor: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    return tensor.type in (schema.TensorType.INT32, schema.TensorType.INT64)


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
