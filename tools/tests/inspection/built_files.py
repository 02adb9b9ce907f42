"""Small `.tflite` files built from the schema alone: what each holds is known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfxfer_edge.tflite.flatbuffer import write_model

__all__ = ["BuiltFile"]

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}


@dataclass
class BuiltFile:
    """A graph that is added to, tensor by tensor and operator by operator."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])

    def add_tensor(
        self,
        *shape: int,
        dtype: str = "float32",
        values: np.ndarray | None = None,
        scale: Sequence[float] = (),
        zero_point: Sequence[int] = (),
        axis: int = 0,
        signature: Sequence[int] | None = None,
    ) -> int:
        """Returns the index of a new tensor; with `values` it is a constant."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = f"t{len(self.tensors)}", _TYPES[dtype]
        tensor.shape, tensor.shapeSignature = list(shape), signature
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scale)
            tensor.quantization.zeroPoint = list(zero_point) or [0] * len(scale)
            tensor.quantization.quantizedDimension = axis
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add_weights(self, *shape: int, dtype: str = "float32", **options: Any) -> int:
        """Returns the index of a constant of zeros."""
        return self.add_tensor(*shape, dtype=dtype, values=np.zeros(shape, dtype), **options)

    def add_operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
        *,
        custom: str | None = None,
    ) -> None:
        """Adds an operator; `options` is a table of the schema, such as `Conv2DOptionsT()`."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode, code.version = custom, 1
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self.operators.append(operator)

    def to_bytes(self, inputs: Sequence[int], outputs: Sequence[int], graphs: int = 1) -> bytes:
        """Returns the file; more graphs than one are copies of the first."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.operatorCodes, model.buffers = 3, self.codes, self.buffers
        model.subgraphs = [graph] * graphs
        return write_model(model)
