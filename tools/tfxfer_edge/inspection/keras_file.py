"""What a `.keras` file holds, told from its archive: neither Keras nor code of the file is run."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.inference.model_config import read_keras_config
from tfxfer_edge.inspection.activations import describe_largest
from tfxfer_edge.inspection.keras_products import count_layer_multiplications

__all__ = ["inspect_keras"]

_WEIGHTS = "model.weights.h5"
_OPTIMIZER = "optimizer"
_ELSEWHERE = "(of no layer that it lists)"
_DEEPEST = 100  # models nest a few levels
_SHOWN = 5  # kinds that cannot be counted, in a remark


def inspect_keras(path: Path) -> dict[str, Any]:
    """Returns what the file holds, as `tfxfer inspect --json` prints it.

    Raises:
        ModelError: it is no whole `.keras` file, or unpacks to more than any model needs.
    """
    config = read_keras_config(path)
    layers: dict[tuple[str, ...], dict[str, Any]] = {}
    calls: dict[tuple[str, ...], int] = {}
    for place, layer, times in _list_layers(config, ()):
        layers[place], calls[place] = layer, times
    parameters, weight_bytes, optimizer_bytes, largest = _read_weights(path)
    rows: dict[str, dict[str, Any]] = {}
    for place, layer in layers.items():
        row = rows.setdefault(layer["class_name"], _make_row(layer["class_name"]))
        row["count"] += 1
        row["parameters"] += parameters.pop(place, 0)
        row["weight_bytes"] += weight_bytes.pop(place, 0)
        found, known = count_layer_multiplications(layer), row["multiplications"]
        row["multiplications"] = (
            None if found is None or known is None else known + found * calls[place]
        )
    if sum(parameters.values()):
        rest = rows.setdefault(_ELSEWHERE, _make_row(_ELSEWHERE))
        rest["parameters"] += sum(parameters.values())
        rest["weight_bytes"] += sum(weight_bytes.values())
    kinds = sorted(
        rows.values(),
        key=lambda x: (
            -(x["multiplications"] or 0),
            -x["parameters"],
            -x["count"],
            x["operator"],
        ),
    )
    remarks = [] if layers else ["a model of a class of its own, which does not list its layers"]
    unknown = [row["operator"] for row in kinds if row["multiplications"] is None and row["count"]]
    if unknown:
        remarks.append(
            f"multiplications without those of {', '.join(unknown[:_SHOWN])}"
            f"{', …' if len(unknown) > _SHOWN else ''}, which the file does not tell"
        )
    if optimizer_bytes:
        remarks.append(f"{optimizer_bytes / 1e3:,.1f} kB are the optimizer's, which no phone needs")
    return {
        "kind": "keras",
        "bytes": path.stat().st_size,
        "inputs": _list_inputs(config, layers),
        "outputs": [_make_end(name, "", []) for name in _find_names(config, "output_layers")],
        "metadata": None,
        "operators": kinds,
        "total": {
            "operators": len(layers),
            "parameters": sum(row["parameters"] for row in kinds),
            "weight_bytes": sum(row["weight_bytes"] for row in kinds),
            "multiplications": sum(row["multiplications"] or 0 for row in kinds)
            if layers
            else None,
        },
        "largest": largest,
        "activations": None,
        "remarks": remarks,
    }


def _make_row(kind: str) -> dict[str, Any]:
    return {
        "operator": kind,
        "count": 0,
        "types": {},
        "parameters": 0,
        "weight_bytes": 0,
        "multiplications": 0,
    }


def _list_layers(
    model: dict[str, Any], place: tuple[str, ...], times: int = 1
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], int]]:
    """Yields the layers of a model and of models within it, by the names that lead to them.

    With each, how often the models around it are called.
    """
    if len(place) > _DEEPEST:
        raise ModelError(
            f"model: expected models nested at most {_DEEPEST} levels deep. Received: more."
        )
    for layer in _inner(model, "layers", list):
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            continue
        where = (*place, str(_inner(layer, "name", object) or layer.get("name")))
        if _inner(layer, "layers", list):
            nodes = layer.get("inbound_nodes")
            called = max(1, len(nodes)) if isinstance(nodes, list) else 1
            yield from _list_layers(layer, where, times * called)
        else:
            yield where, layer, times


def _inner(layer: dict[str, Any], name: str, kind: type) -> Any:
    """Returns a value of a layer's own config; an empty one of its kind where there is none."""
    config = layer.get("config")
    value = config.get(name) if isinstance(config, dict) else None
    return value if isinstance(value, kind) else (kind() if kind is not object else None)


def _find_names(model: dict[str, Any], key: str) -> list[str]:
    """Returns the layers at the ends; of a Sequential model the last one is the output."""
    found = _inner(model, key, list)
    if found and isinstance(found[0], str):
        found = [found]  # one is stored as it is, several as a list of them
    names = [str(item[0]) for item in found if isinstance(item, list) and item]
    layers = _inner(model, "layers", list)
    if not names and key == "output_layers" and layers and isinstance(layers[-1], dict):
        return [str(_inner(layers[-1], "name", object) or layers[-1].get("name"))]
    return names


def _list_inputs(
    config: dict[str, Any], layers: dict[tuple[str, ...], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Returns what the input layers of the outermost model take."""
    found = {
        place[0]: layer
        for place, layer in layers.items()
        if len(place) == 1 and layer["class_name"] == "InputLayer"
    }
    names = [name for name in _find_names(config, "input_layers") if name in found] or list(found)
    ends = []
    for name in names:
        shape = _inner(found[name], "batch_shape", list) or _inner(
            found[name], "batch_input_shape", list
        )
        dtype = _inner(found[name], "dtype", str)
        ends.append(_make_end(name, dtype, [-1 if size is None else size for size in shape]))
    return ends


def _make_end(name: str, dtype: str, shape: list[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "dtype": dtype,
        "shape": shape,
        "scale": None,
        "zero_point": None,
        "low": None,
        "high": None,
        "range_from": None,
    }


def _read_weights(
    path: Path,
) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]], int, list[dict[str, Any]]]:
    """Returns numbers and bytes of the weights by layer, an optimizer's bytes, and the largest."""
    import h5py  # type: ignore[import-untyped]

    parameters: Counter[tuple[str, ...]] = Counter()
    sizes: Counter[tuple[str, ...]] = Counter()
    weights: list[dict[str, Any]] = []
    optimizer = 0
    arrays: dict[str, tuple[int, dict[str, Any]]]
    names: dict[str, str]
    try:
        with zipfile.ZipFile(path) as archive:
            if _WEIGHTS not in archive.namelist():
                return parameters, sizes, 0, []
            content = io.BytesIO(archive.read(_WEIGHTS))  # checked with the config
        with h5py.File(content, "r") as file:
            arrays, names = _list_arrays(file, h5py)
    # A damaged file fails in zipfile, zlib or h5py, each with errors of its own.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .keras file whose weights can be read. Received: "
            f"{' '.join(str(error).split())[:200] or type(error).__name__}. Save it anew."
        ) from error
    for path_inside, item in arrays.items():
        groups = path_inside.split("/")[:-1]
        count, tensor = item
        size = tensor["bytes"]
        if groups[:1] == [_OPTIMIZER]:
            optimizer += size
            continue
        prefixes = ("/".join(groups[: end + 1]) for end in range(len(groups)))
        place = tuple(names[prefix] for prefix in prefixes if prefix in names)
        parameters[place] += count
        sizes[place] += size
        weights.append({"name": path_inside, **tensor})
    return parameters, sizes, optimizer, describe_largest(weights)


def _list_arrays(
    file: Any, h5py: Any
) -> tuple[dict[str, tuple[int, dict[str, Any]]], dict[str, str]]:
    """Returns counts and descriptions of all arrays by their paths, and layers by those of groups.

    Groups are called after kinds of layers; which layer one is, an attribute of its `vars` says.
    """
    arrays: dict[str, tuple[int, dict[str, Any]]] = {}
    names: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            count = int(item.size or 0)
            arrays[name] = (
                count,
                {
                    "dtype": str(item.dtype),
                    "shape": list(item.shape or ()),
                    "bytes": count * item.dtype.itemsize,
                    "is_constant": True,
                },
            )
        elif "/" in name and name.endswith("/vars") and "name" in item.attrs:
            names[name.removesuffix("/vars")] = str(item.attrs["name"])

    file.visititems(visit)  # each once, also where links lead round
    return arrays, names
