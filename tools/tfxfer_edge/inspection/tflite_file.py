"""What a `.tflite` file holds, told from its bytes: nothing of it is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.door import IMAGE
from tfxfer_edge.inspection.activations import (
    Step,
    count_bytes,
    describe_largest,
    estimate_peak,
)
from tfxfer_edge.inspection.multiplications import count_multiplications
from tfxfer_edge.inspection.operators import GraphTensor, Operator, describe_types, list_graph
from tfxfer_edge.inspection.refusals import describe_refusals
from tfxfer_edge.inspection.xnnpack import describe_partitions
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_table import find_metadata
from tfxfer_edge.tflite.packed_files import read_files
from tfxfer_edge.tflite.soundness import read_sound_model

__all__ = ["inspect_tflite"]

_INTEGERS = ("int4", "int8", "uint8", "int16", "uint16")
_SHOWN = 5  # kinds that cannot be counted, in a remark


def inspect_tflite(content: bytes) -> dict[str, Any]:
    """Returns what the file holds, as `tfxfer inspect --json` prints it.

    Args:
        content: of the file.

    Raises:
        ModelError: it is no whole `.tflite` file, its graph cannot be run, or its metadata is
            damaged.
    """
    model = read_sound_model(content)
    tensors, operators = list_graph(model)
    graph = model.subgraphs[0]
    sources, targets = (
        [tensors[int(index)] for index in ([] if indices is None else indices)]
        for indices in (graph.inputs, graph.outputs)
    )
    card = read_metadata(content) if len(model.subgraphs) == len(targets) == 1 else None
    rows = _count_operators(operators)
    return {
        "kind": "tflite",
        "bytes": len(content),
        "inputs": [_describe_end(x, card) for x in sources],
        "outputs": [_describe_end(x, None) for x in targets],
        "metadata": None if card is None else _describe_card(card, read_files(content)),
        "operators": rows,
        "total": {
            "operators": len(operators),
            "weight_bytes": sum(row["weight_bytes"] for row in rows),
            "multiplications": sum(row["multiplications"] or 0 for row in rows),
        },
        "largest": describe_largest(_list_tensors(tensors, operators)),
        "activations": _estimate_activations(tensors, operators, sources, targets),
        "xnnpack": describe_partitions(operators),
        "accelerators": describe_refusals(
            operators, is_fixed=all(size >= 0 for x in tensors for size in x.signature)
        ),
        "remarks": [
            *_list_remarks(model, (*sources, *targets), rows),
            *(
                ["metadata, which is shown of files with one graph and one output alone"]
                if card is None and find_metadata(content) is not None
                else []
            ),
        ],
    }


def _count_operators(operators: Sequence[Operator]) -> list[dict[str, Any]]:
    """Returns a row for each kind of operator, the one with most multiplications first."""
    rows: dict[str, dict[str, Any]] = {}
    types: dict[str, Counter[str]] = {}
    counted: set[int] = set()  # weights that several operators read are stored once
    for operator in operators:
        row = rows.setdefault(
            operator.kind,
            {"operator": operator.kind, "count": 0, "weight_bytes": 0, "multiplications": 0},
        )
        row["count"] += 1
        types.setdefault(operator.kind, Counter())[describe_types(operator)] += 1
        found = count_multiplications(operator)
        if found is None or row["multiplications"] is None:
            row["multiplications"] = None
        else:
            row["multiplications"] += found
        for tensor in operator.inputs:
            if tensor is not None and tensor.is_constant and tensor.buffer not in counted:
                counted.add(tensor.buffer)
                row["weight_bytes"] += tensor.bytes
    for kind, row in rows.items():
        row["types"] = dict(types[kind].most_common())
    return sorted(
        rows.values(),
        key=lambda x: (-(x["multiplications"] or 0), -x["weight_bytes"], x["operator"]),
    )


def _list_tensors(
    tensors: Iterable[GraphTensor], operators: Iterable[Operator]
) -> Iterator[dict[str, Any]]:
    """Yields the tensors that operators touch; values that several share are one."""
    used = {x.index for item in operators for x in (*item.inputs, *item.outputs) if x is not None}
    stored: set[int] = set()
    for tensor in tensors:
        if tensor.index not in used or tensor.buffer in stored:
            continue
        if tensor.is_constant:
            stored.add(tensor.buffer)
        yield {
            "name": tensor.name,
            "dtype": tensor.dtype,
            "shape": list(tensor.signature),
            "bytes": tensor.bytes or count_bytes(tensor.dtype, tensor.shape) or 0,
            "is_constant": tensor.is_constant,
        }


def _estimate_activations(
    tensors: Iterable[GraphTensor],
    operators: Iterable[Operator],
    sources: Iterable[GraphTensor],
    targets: Iterable[GraphTensor],
) -> dict[str, Any] | None:
    steps = [
        Step(
            operator.kind,
            tuple(x.index for x in operator.inputs if x is not None),
            tuple(x.index for x in operator.outputs),
        )
        for operator in operators
    ]
    sizes = {x.index: count_bytes(x.dtype, x.shape) or 0 for x in tensors if not x.is_constant}
    return estimate_peak(
        steps, sizes, inputs=[x.index for x in sources], outputs=[x.index for x in targets]
    )


def _describe_end(tensor: GraphTensor, card: ModelCard | None) -> dict[str, Any]:
    is_quantized = tensor.dtype in _INTEGERS and len(tensor.scale) == 1
    low = high = source = None
    if is_quantized:
        scale, zero = tensor.scale[0], (*tensor.zero_point, 0)[0]
        least, most = _limits(tensor.dtype)
        low, high, source = (least - zero) * scale, (most - zero) * scale, "quantization"
    elif tensor.dtype == "float32" and card is not None and card.preprocessing is not None:
        low, high = _range_of_pixels(card.preprocessing)
        source = "metadata"
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.signature),
        "scale": tensor.scale[0] if is_quantized else None,
        "zero_point": (*tensor.zero_point, 0)[0] if is_quantized else None,
        "low": low,
        "high": high,
        "range_from": source,
    }


def _limits(dtype: str) -> tuple[int, int]:
    if dtype == "int4":
        return -8, 7
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _range_of_pixels(preprocessing: Preprocessing) -> tuple[float, float]:
    ends = [
        offset + pixel * scale
        for scale, offset in zip(preprocessing.scale, preprocessing.offset, strict=True)
        for pixel in (0, 255)
    ]
    return float(min(ends)), float(max(ends))


def _describe_card(card: ModelCard, packed: Mapping[str, bytes]) -> dict[str, Any]:
    given = card.preprocessing
    return {
        "name": card.name,
        "description": card.description,
        "version": card.version,
        "author": card.author,
        "licence": card.licence,
        "kind": card.metadata_kind,
        "labels": list(card.labels),
        "modality": card.modality,
        "preprocessing": None
        if given is None
        else {
            "mean": list(given.mean),
            "std": list(given.std),
            "scale": list(given.scale),
            "offset": list(given.offset),
        },
        "resize": asdict(card.resize) if card.modality == IMAGE else None,
        "files": [{"name": name, "bytes": len(data)} for name, data in packed.items()],
        "threshold": card.threshold,
        "head": card.head,
        "learnt_from": None if card.provenance is None else len(card.provenance),
    }


def _list_remarks(
    model: Any, ends: Iterable[GraphTensor], rows: Iterable[dict[str, Any]]
) -> list[str]:
    remarks = []
    if len(model.subgraphs) > 1:
        more = len(model.subgraphs) - 1
        words = "1 further graph, which operators call, is"
        if more > 1:
            words = f"{more} further graphs, which operators call, are"
        remarks.append(f"{words} not counted")
    unknown = [row["operator"] for row in rows if row["multiplications"] is None]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (", …" if len(unknown) > _SHOWN else "")
        remarks.append(f"multiplications without those of {shown}, which the file does not tell")
    if any(size < 0 for tensor in ends for size in tensor.signature):
        remarks.append("sizes that are free (-1) count as 1")
    return remarks
