"""What an `.onnx` file holds, told from its bytes: no runtime sees it."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.onnx_content import check_onnx_content

__all__ = ["inspect_onnx"]

_PACKED = {"int4": 2, "uint4": 2, "float4e2m1": 2, "int2": 4, "uint2": 4}  # values in a byte
_STANDARD = ("", "ai.onnx")


def inspect_onnx(content: bytes, *, source: str) -> dict[str, Any]:
    """Returns what the file holds, as `tfxfer inspect --json` prints it.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        ModelError: it is no whole ONNX file, has weights in another file, or `onnx` is not
            installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ModelError(
            "ONNX: expected onnx to be installed. Received: no onnx. "
            "Install it: pip install 'tfxfer-edge[onnx]'"
        )
    model = _parse(content)  # which follows no name of another file
    check_onnx_content(content, source=source)
    graph = model.graph
    weights = {item.name: _count_bytes(item) for item in graph.initializer}
    rows = _count_operators(graph, weights)
    return {
        "kind": "onnx",
        "bytes": len(content),
        "inputs": [_describe_end(x) for x in graph.input if x.name not in weights],
        "outputs": [_describe_end(x) for x in graph.output],
        "metadata": {
            "producer": f"{model.producer_name} {model.producer_version}".strip(),
            "ir_version": model.ir_version,
            "opsets": {x.domain or "ai.onnx": x.version for x in model.opset_import},
            "properties": {x.key: x.value for x in model.metadata_props},
        },
        "operators": rows,
        "total": {
            "operators": sum(row["count"] for row in rows),
            "weight_bytes": sum(weights.values()),
            "multiplications": None,
        },
        "remarks": _list_remarks(model),
    }


def _parse(content: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelError(
            f"model: expected a whole ONNX file. Received: {len(content):,} bytes, cut off, "
            "damaged or something else. Copy or export it again."
        ) from error
    # Few bytes of anything are a message to protobuf: fields that it does not know are no fault.
    if not model.ir_version or not model.graph.node:
        raise ModelError(
            f"model: expected an ONNX file with a graph. Received: {len(content):,} bytes, "
            "without one. The file is damaged or something else: export it again."
        )
    return model


def _count_operators(graph: Any, weights: dict[str, int]) -> list[dict[str, Any]]:
    counts = Counter(_name(node) for node in graph.node)
    kept, bytes_of = dict(weights), Counter[str]()
    for node in graph.node:
        for name in node.input:  # those that several operators read are stored once
            bytes_of[_name(node)] += kept.pop(name, 0)
    rows: list[dict[str, Any]] = [
        {
            "operator": name,
            "count": count,
            "types": {},
            "weight_bytes": bytes_of[name],
            "multiplications": None,
        }
        for name, count in counts.items()
    ]
    return sorted(rows, key=lambda x: (-x["weight_bytes"], -x["count"], x["operator"]))


def _name(node: Any) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"


def _count_bytes(tensor: Any) -> int:
    """Returns what the values of a tensor take, packed as they are computed with."""
    import onnx

    if tensor.raw_data:
        return len(tensor.raw_data)
    kind, count = _type_name(tensor.data_type), math.prod(tensor.dims)
    if kind == "string":
        return sum(map(len, tensor.string_data))
    if kind in _PACKED:
        return -(-count // _PACKED[kind])
    if kind == "undefined" or kind.startswith("type "):
        return 0
    return int(count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _type_name(number: int) -> str:
    """Returns the name of a type; a newer ONNX may have more of them."""
    import onnx

    try:
        name = onnx.TensorProto.DataType.Name(number).lower()
    except ValueError:
        return f"type {number}"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _describe_end(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    dims: Iterable[Any] = tensor.shape.dim if tensor.HasField("shape") else ()
    return {
        "name": value.name,
        "dtype": _type_name(tensor.elem_type),
        "shape": [x.dim_value if x.HasField("dim_value") else -1 for x in dims],
        "scale": None,
        "zero_point": None,
        "low": None,
        "high": None,
        "range_from": None,
    }


def _list_remarks(model: Any) -> list[str]:
    remarks = []
    if any(
        item.HasField("g") or item.graphs for node in model.graph.node for item in node.attribute
    ):
        remarks.append("graphs within operators, such as those of If, are not counted")
    if model.functions:
        remarks.append(
            f"functions that the file brings and are not counted: {len(model.functions)}"
        )
    return remarks
