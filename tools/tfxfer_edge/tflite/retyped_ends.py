"""Another type at the ends of an integer `.tflite` file: what a program around it has to hand."""

from __future__ import annotations

from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import (
    as_text,
    operator_names,
    read_model,
    type_name,
    write_model,
)
from tfxfer_edge.tflite.rewrites import add_uint8_ends

__all__ = ["find_byte_scale", "retype_ends"]

_WHOLE = ("INT32", "INT64")
_SIGNED = ("INT8", "INT16")


def retype_ends(content: bytes | bytearray, dtype: str) -> bytes:
    """Returns the same model with ends of another type.

    Where the ends are integers, `int8` is what the network computes in and needs no operator.
    `uint8` takes one QUANTIZE at each end, `float32` a QUANTIZE at the input and a DEQUANTIZE at
    the output. Inputs of whole numbers, such as the numbers of tokens, stay.

    Args:
        content: a file with inputs and one output in integers, or in float32.
        dtype: `uint8`, `int8` or `float32`.

    Raises:
        ModelError: an end in float32 is to become integers, which have no range there; or one of
            16 bits is to become 8.
    """
    model = read_model(content)
    graph, wanted = model.subgraphs[0], dtype.upper()
    for number, index in enumerate(map(int, graph.inputs)):
        if type_name(graph.tensors[index]) in (*_WHOLE, wanted):
            continue
        if type_name(graph.tensors[index]) == "UINT8":
            _strip(model, index, is_input=True)
        if wanted == "FLOAT32":
            _make_float(model, int(graph.inputs[number]), is_input=True)
    index = int(graph.outputs[0])
    if type_name(graph.tensors[index]) != wanted:
        if type_name(graph.tensors[index]) == "UINT8":
            _strip(model, index, is_input=False)
        if wanted == "FLOAT32":
            _make_float(model, int(graph.outputs[0]), is_input=False)
    if wanted == "FLOAT32":
        return write_model(model)
    # What is left are signed ends, or none that this can mend.
    for index in map(int, (*graph.inputs, *graph.outputs)):
        found = type_name(graph.tensors[index])
        if found not in ("INT8", "UINT8", *_WHOLE):
            raise ModelError(
                f"model: expected 8-bit integers at its ends, to make them {dtype}. "
                f"Received: {as_text(graph.tensors[index].name)!r} is {found}."
            )
    made = write_model(model)
    return add_uint8_ends(made) if wanted == "UINT8" else made


def find_byte_scale(content: bytes | bytearray) -> tuple[float, int] | None:
    """Returns the scale and the zero point of bytes behind a float32 input; None where none are.

    Args:
        content: a file of one input.
    """
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)
    if len(graph.inputs) != 1:
        return None
    (source,) = map(int, graph.inputs)
    readers = [x for x in graph.operators or [] if source in map(int, x.inputs)]
    if [names[x.opcodeIndex] for x in readers] != ["QUANTIZE"]:
        return None
    inner = graph.tensors[int(readers[0].outputs[0])]
    shift = {"INT8": 128, "UINT8": 0}.get(type_name(inner))
    if type_name(graph.tensors[source]) != "FLOAT32" or shift is None:
        return None
    return float(inner.quantization.scale[0]), int(inner.quantization.zeroPoint[0]) + shift


def _strip(model: Any, outer: int, *, is_input: bool) -> None:
    """Takes the QUANTIZE between an end in uint8 and the int8 tensor beside it out of the graph."""
    graph, names = model.subgraphs[0], operator_names(model)
    beside = [
        operator
        for operator in graph.operators
        if outer in map(int, operator.inputs if is_input else operator.outputs)
    ]
    kinds = [names[operator.opcodeIndex] for operator in beside]
    inner = -1
    if kinds == ["QUANTIZE"]:
        inner = int((beside[0].outputs if is_input else beside[0].inputs)[0])
    if inner < 0 or type_name(graph.tensors[inner]) != "INT8":
        raise ModelError(
            f"model: expected one QUANTIZE beside {as_text(graph.tensors[outer].name)!r}, which is "
            f"uint8. Received: {', '.join(kinds) or 'none'}."
        )
    graph.operators.remove(beside[0])
    # Clients know the ends by name.
    graph.tensors[inner].name = graph.tensors[outer].name
    _redirect(model, outer, inner, is_input=is_input)
    _remove_tensor(model, outer)


def _make_float(model: Any, inner: int, *, is_input: bool) -> None:
    """Puts a float32 end before or behind an integer one."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    tensor = graph.tensors[inner]
    found = type_name(tensor)
    if found == "FLOAT32":
        return
    if found not in _SIGNED:
        raise ModelError(
            f"model: expected the end {as_text(tensor.name)!r} to be int8, uint8 or int16. "
            f"Received: {found}."
        )
    twin = schema.TensorT()
    twin.type = schema.TensorType.FLOAT32
    twin.shape, twin.shapeSignature, twin.hasRank = tensor.shape, tensor.shapeSignature, True
    twin.buffer = 0  # by convention always the empty one
    twin.name, tensor.name = tensor.name, f"{as_text(tensor.name)}_{found.lower()}"
    graph.tensors.append(twin)
    outer = len(graph.tensors) - 1
    operator = schema.OperatorT()
    if is_input:
        operator.opcodeIndex = _find_opcode(model, schema.BuiltinOperator.QUANTIZE)
        operator.inputs, operator.outputs = [outer], [inner]
        operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        operator.builtinOptions = schema.QuantizeOptionsT()
        graph.operators.insert(0, operator)
    else:
        operator.opcodeIndex = _find_opcode(model, schema.BuiltinOperator.DEQUANTIZE)
        operator.inputs, operator.outputs = [inner], [outer]
        operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        operator.builtinOptions = schema.DequantizeOptionsT()
        graph.operators.append(operator)
    _redirect(model, inner, outer, is_input=is_input)


def _find_opcode(model: Any, builtin: int) -> int:
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    known = operator_names(model)
    if names[builtin] in known:
        return known.index(names[builtin])
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 3 if names[builtin] == "DEQUANTIZE" else 1  # 2: of int8, 3: of int16
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _redirect(model: Any, old: int, new: int, *, is_input: bool) -> None:
    """Makes another tensor the end that clients see."""
    graph = model.subgraphs[0]
    ends = "inputs" if is_input else "outputs"
    setattr(graph, ends, [new if int(x) == old else int(x) for x in getattr(graph, ends)])
    for signature in model.signatureDefs or []:
        for entry in getattr(signature, ends) or []:
            if entry.tensorIndex == old:
                entry.tensorIndex = new


def _remove_tensor(model: Any, removed: int) -> None:
    """Takes a tensor that nothing uses out of the graph: runtimes hold memory for each."""
    graph = model.subgraphs[0]

    def shift(indices: Any) -> Any:
        # -1 is an input that an operator does without.
        return None if indices is None else [int(x) - (int(x) > removed) for x in indices]

    del graph.tensors[removed]
    for operator in graph.operators:
        operator.inputs, operator.outputs = shift(operator.inputs), shift(operator.outputs)
        operator.intermediates = shift(operator.intermediates)
    graph.inputs, graph.outputs = shift(graph.inputs), shift(graph.outputs)
    for signature in model.signatureDefs or []:
        for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
            entry.tensorIndex -= entry.tensorIndex > removed
