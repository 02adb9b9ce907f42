"""What a SavedModel would do, read from its description before anything of it is loaded.

A SavedModel is a program: it may read and write files when it is called, and already when it is
loaded. Its operations are listed in `saved_model.pb`, those of every function among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.bounded import MOST_DESCRIPTION_BYTES, LargeFileError, read_bytes

__all__ = [
    "DESCRIPTION",
    "READER",
    "check_saved_model",
    "find_effects",
    "is_saved_model",
    "read_description",
]

DESCRIPTION = "saved_model.pb"
READER = "saved_model"
"""Name of the reader, an entry point of `tfxfer.readers`, that takes such a folder."""

# What these do is in functions of the graph's library, which are all looked at.
_WRAPPERS = frozenset(
    {
        "Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessCase", "StatelessIf",
        "StatelessWhile", "While",
    }
)  # fmt: skip
# Stateful, with handles or with text, and still nothing outside of the program's own memory.
_HARMLESS = frozenset(
    {
        # Values of the model's own, and tables that live in memory.
        "Assign", "AssignAdd", "AssignAddVariableOp", "AssignSub", "AssignSubVariableOp",
        "AssignVariableOp", "DestroyResourceOp", "DisableCopyOnRead", "HashTableV2",
        "IsVariableInitialized", "LookupTableExportV2", "LookupTableFindV2", "LookupTableImportV2",
        "LookupTableInsertV2", "LookupTableSizeV2", "MutableHashTableV2", "ReadVariableOp",
        "ResourceGather", "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableShape",
        "VariableV2",
        # Random numbers: dropout and augmentation in functions that only training calls.
        "Multinomial", "RandomShuffle", "RandomStandardNormal", "RandomUniform",
        "RandomUniformInt", "RngReadAndSkip", "RngSkip", "StatefulStandardNormalV2",
        "StatefulTruncatedNormal", "StatefulUniform", "StatefulUniformInt",
        "StatelessRandomGetAlg", "StatelessRandomGetKeyCounter", "TruncatedNormal",
        # Text that is passed on, and encoded photos.
        "AsString", "Assert", "Const", "DecodeAndCropJpeg", "DecodeBase64", "DecodeBmp",
        "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "Identity", "IdentityN", "NoOp",
        "Placeholder", "PlaceholderWithDefault", "StringFormat", "StringJoin",
        # Lists of tensors, which loops gather their results in.
        "EmptyTensorList", "TensorListConcatV2", "TensorListElementShape", "TensorListFromTensor",
        "TensorListGather", "TensorListGetItem", "TensorListLength", "TensorListPopBack",
        "TensorListPushBack", "TensorListReserve", "TensorListResize", "TensorListScatterV2",
        "TensorListSetItem", "TensorListStack",
    }
)  # fmt: skip
# Checkpoints: nothing but the saver may have them. TensorFlow's loader restores the values itself,
# and calls the restoring part in the format of TensorFlow 1 alone; nothing calls the saving part.
_READS_CHECKPOINTS = frozenset({"Pack", "RestoreV2", "Restore", "RestoreSlice"})
_WRITES_CHECKPOINTS = frozenset(
    {"MergeV2Checkpoints", "SaveV2", "Save", "SaveSlices", "Select", "SelectV2", "ShardedFilename",
     "StaticRegexFullMatch"}
)  # fmt: skip
# Attributes whose text says how to compute. Any other text may name a file, an address or code.
_WORDS = frozenset(
    {
        "coordinate_transformation_mode", "data_format", "direction", "dst_format", "equation",
        "fill_mode", "fused_ops", "interpolation", "lower_control_flow", "message", "method",
        "mode", "padding", "round_mode", "src_format",
    }
)  # fmt: skip
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


def is_saved_model(path: Path) -> bool:
    """Whether a folder is a SavedModel, and no run that one was put into."""
    return (path / DESCRIPTION).is_file() and not (path / "run.json").is_file()


def read_description(folder: Path) -> Any:
    """Returns the `SavedModel` message of a folder, which lists its graphs.

    Raises:
        ModelError: the file is missing, or holds something else.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = folder / DESCRIPTION
    try:
        description = SavedModel.FromString(read_bytes(path, MOST_DESCRIPTION_BYTES))
    except (OSError, LargeFileError, DecodeError) as error:
        raise ModelError(
            f"model {str(folder)!r}: expected a SavedModel, with {DESCRIPTION} in it. "
            f"Received: {str(error).strip() or 'a file that is no such description'}."
        ) from error
    if not description.meta_graphs:
        raise ModelError(
            f"model {str(folder)!r}: expected a SavedModel. Received: {DESCRIPTION} without a "
            "graph."
        )
    return description


def check_saved_model(folder: Path, *, remedy: str) -> None:
    """Refuses a SavedModel that does more than compute; nothing of it is loaded.

    Args:
        folder: of the SavedModel.
        remedy: of the message: what a user may do who trusts it.

    Raises:
        ModelError: it cannot be read, or names the operations that do more.
    """
    effects = find_effects(read_description(folder))
    if effects:
        raise ModelError(
            f"model {str(folder)!r}: expected operations that only compute, since a SavedModel may "
            f"read, write and send files. Received: {', '.join(effects[:3])}"
            f"{', …' if len(effects) > 3 else ''}. {remedy}"
        )


def find_effects(description: Any) -> list[str]:
    """Returns what operations do more than compute, each once, with why.

    Every graph and every function counts, whether or not it is called. Files may be read and
    written by what saves and restores the variables alone.

    Args:
        description: from `read_description`.
    """
    found: list[str] = []
    for graph in description.meta_graphs:
        found += _find_in_graph(graph)
    return list(dict.fromkeys(found))


def _find_in_graph(graph: Any) -> Iterator[str]:
    library = graph.graph_def.library
    functions: dict[str, list[Any]] = {}
    for item in library.function:  # of two with one name, both count
        functions.setdefault(item.signature.name, []).extend(item.node_def)
    nodes = {node.name: node for node in graph.graph_def.node}
    saver = graph.saver_def
    called = _ancestors(nodes, _called_names(graph))
    strict = [
        *graph.object_graph_def.concrete_functions,
        *(x.gradient_func for x in library.gradient),
    ]
    restoring = _ancestors(nodes, [saver.restore_op_name]) - called
    saving = _ancestors(nodes, [saver.save_tensor_name]) - called - restoring
    parts = {
        "": [x for x in graph.graph_def.node if x.name not in restoring | saving],
        "restoring": [x for x in graph.graph_def.node if x.name in restoring],
        "saving": [x for x in graph.graph_def.node if x.name in saving],
    }
    # A function belongs to the saver where nothing else can call it.
    reached = {part: _reach(found, functions) for part, found in parts.items()}
    reached[""] |= _close(strict, functions)
    reached["restoring"] -= reached[""]
    reached["saving"] -= reached[""] | reached["restoring"]
    reached[""] = set(functions) - reached["restoring"] - reached["saving"]
    allowed = {
        "": _HARMLESS,
        "restoring": _HARMLESS | _READS_CHECKPOINTS,
        "saving": _HARMLESS | _READS_CHECKPOINTS | _WRITES_CHECKPOINTS,
    }
    for part, found in parts.items():
        everything = [*found, *(node for name in reached[part] for node in functions[name])]
        for node in everything:
            if node.op in _WRAPPERS or node.op in allowed[part]:
                continue
            reason = _reason(node, is_function=node.op in functions)
            if reason:
                yield f"{node.op} ({reason})"


def _called_names(graph: Any) -> list[str]:
    """Returns the tensors and operations of the main graph that a loader or a caller asks for."""
    names = [
        tensor.name
        for signature in graph.signature_def.values()
        for tensor in signature.outputs.values()
    ]
    for key in _INIT_COLLECTIONS:
        names += graph.collection_def[key].node_list.value if key in graph.collection_def else []
    return names


def _ancestors(nodes: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    waiting, found = [_node_name(name) for name in names], set[str]()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += map(_node_name, nodes[name].input)
    return found


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _reach(nodes: Iterable[Any], functions: Mapping[str, Any]) -> set[str]:
    return _close([name for node in nodes for name in _functions_of(node)], functions)


def _close(names: Iterable[str], functions: Mapping[str, Any]) -> set[str]:
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting += [x for node in functions[name] for x in _functions_of(node)]
    return found


def _functions_of(node: Any) -> Iterator[str]:
    yield node.op  # a function may be called by its own name
    for value in node.attr.values():
        yield value.func.name
        yield from (item.name for item in value.list.func)


def _reason(node: Any, *, is_function: bool) -> str:
    from tensorflow.python.framework import op_def_registry

    operation = op_def_registry.get(node.op)
    if operation is None:
        return "" if is_function else "unknown"
    if operation.is_stateful:
        return "has an effect"
    arguments: Collection[Any] = (*operation.input_arg, *operation.output_arg)
    if not all(_is_numeric(argument.type) for argument in arguments):
        return "takes or gives text or handles"
    for key, value in node.attr.items():
        if not _is_numeric(value.type) or not all(map(_is_numeric, value.list.type)):
            return "takes or gives text or handles"
        if (value.s or value.list.s) and key not in _WORDS and not key.startswith("_"):
            return f"has the text {key!r}"
    return ""


def _is_numeric(dtype: int) -> bool:
    from tensorflow.core.framework import types_pb2

    return dtype % 100 not in (  # above 100 are references to the same kinds
        types_pb2.DT_STRING,
        types_pb2.DT_RESOURCE,
        types_pb2.DT_VARIANT,
    )
