"""What an `.onnx` file holds, told from its bytes: no runtime sees it."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.onnx_content import check_onnx_content
from tfxfer_edge.inspection.activations import (
    Step,
    count_bytes,
    describe_largest,
    estimate_peak,
)
from tfxfer_edge.inspection.onnx_shapes import (
    Shapes,
    count_onnx_multiplications,
    infer_shapes,
    type_name,
)

__all__ = ["inspect_onnx"]

_PACKED = {"int4": 2, "uint4": 2, "float4e2m1": 2, "int2": 4, "uint2": 4}  # values in a byte
_STANDARD = ("", "ai.onnx")
_SHOWN = 5  # kinds that cannot be counted, in a remark


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
    shapes = infer_shapes(model)
    rows = _count_operators(graph, weights, shapes)
    sources = [x for x in graph.input if x.name not in weights]
    return {
        "kind": "onnx",
        "bytes": len(content),
        "inputs": [_describe_end(x) for x in sources],
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
            "multiplications": sum(row["multiplications"] or 0 for row in rows),
        },
        "largest": describe_largest(_list_tensors(weights, shapes)),
        "activations": _estimate_activations(graph, weights, shapes, [x.name for x in sources]),
        "remarks": _list_remarks(model, rows),
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
    # What is no UTF-8 arrives as bytes.
    if strange := [text for text in _list_texts(model) if isinstance(text, bytes)]:
        raise ModelError(
            "model: expected an ONNX file with names in UTF-8. Received: "
            f"{strange[0][:40]!r}. The file is damaged: copy or export it again."
        )
    return model


def _list_texts(model: Any) -> Iterator[Any]:
    graph = model.graph
    yield from (model.producer_name, model.producer_version, graph.name)
    yield from (x.domain for x in model.opset_import)
    yield from (text for x in model.metadata_props for text in (x.key, x.value))
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
    for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield value.name


def _count_operators(graph: Any, weights: dict[str, int], shapes: Shapes) -> list[dict[str, Any]]:
    counts = Counter(_name(node) for node in graph.node)
    products: dict[str, int | None] = dict.fromkeys(counts, 0)
    for node in graph.node:
        name, found = _name(node), count_onnx_multiplications(node, shapes)
        known = products[name]
        products[name] = None if found is None or known is None else known + found
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
            "multiplications": products[name],
        }
        for name, count in counts.items()
    ]
    return sorted(
        rows,
        key=lambda x: (-(x["multiplications"] or 0), -x["weight_bytes"], x["operator"]),
    )


def _list_tensors(weights: dict[str, int], shapes: Shapes) -> Iterator[dict[str, Any]]:
    for name, (dtype, shape) in shapes.items():
        yield {
            "name": name,
            "dtype": dtype,
            "shape": list(shape),
            "bytes": weights.get(name, count_bytes(dtype, shape) or 0),
            "is_constant": name in weights,
        }


def _estimate_activations(
    graph: Any, weights: dict[str, int], shapes: Shapes, sources: list[str]
) -> dict[str, Any] | None:
    """Returns the peak; None where the size of a tensor is not known."""
    steps = [Step(_name(x), tuple(x.input), tuple(filter(None, x.output))) for x in graph.node]
    computed = {*sources, *(name for step in steps for name in step.makes)} - set(weights)
    if not computed <= set(shapes):
        return None
    sizes = {name: count_bytes(*shapes[name]) or 0 for name in computed}
    return estimate_peak(steps, sizes, inputs=sources, outputs=[x.name for x in graph.output])


def _name(node: Any) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"


def _count_bytes(tensor: Any) -> int:
    """Returns what the values of a tensor take, packed as they are computed with."""
    import onnx

    if tensor.raw_data:
        return len(tensor.raw_data)
    kind, count = type_name(tensor.data_type), math.prod(tensor.dims)
    if kind == "string":
        return sum(map(len, tensor.string_data))
    if kind in _PACKED:
        return -(-count // _PACKED[kind])
    if kind == "undefined" or kind.startswith("type "):
        return 0
    return int(count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _describe_end(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    dims: Iterable[Any] = tensor.shape.dim if tensor.HasField("shape") else ()
    return {
        "name": value.name,
        "dtype": type_name(tensor.elem_type),
        "shape": [x.dim_value if x.HasField("dim_value") else -1 for x in dims],
        "scale": None,
        "zero_point": None,
        "low": None,
        "high": None,
        "range_from": None,
    }


def _list_remarks(model: Any, rows: list[dict[str, Any]]) -> list[str]:
    remarks = []
    unknown = [row["operator"] for row in rows if row["multiplications"] is None]
    if unknown:
        remarks.append(
            f"multiplications without those of {', '.join(unknown[:_SHOWN])}"
            f"{', …' if len(unknown) > _SHOWN else ''}, which the file does not tell"
        )
    if any(
        item.HasField("g") or item.graphs for node in model.graph.node for item in node.attribute
    ):
        remarks.append("graphs within operators, such as those of If, are not counted")
    if model.functions:
        remarks.append(
            f"functions that the file brings and are not counted: {len(model.functions)}"
        )
    return remarks
