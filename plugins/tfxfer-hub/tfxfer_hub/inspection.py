"""What a SavedModel folder says of itself, read from its description; nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError, WeightsError
from tfxfer.system.bounded import MOST_DESCRIPTION_BYTES, LargeFileError, read_bytes
from tfxfer_hub.handle import Handle

__all__ = ["ModuleFacts", "check_facts", "read_facts", "values_file"]

_DESCRIPTION = "saved_model.pb"
_TF1_MARK = "tfhub_module.pb"


@dataclass(frozen=True)
class ModuleFacts:
    """What must be known before minutes of work.

    Args:
        is_tf1: whether it was saved by TensorFlow 1, as `hub.Module` or otherwise.
        is_callable: whether it has a `__call__`.
        signatures: names of its other functions.
        is_trainable: whether it says that a variable of it may be trained.
        image_size: side of the square images that all its functions take; None where it is free.
    """

    is_tf1: bool
    is_callable: bool
    signatures: tuple[str, ...]
    is_trainable: bool
    image_size: int | None


def values_file(folder: Path) -> Path:
    """Returns the file that tells one module's values from another's."""
    shards = sorted(folder.glob("variables/variables.data-*"))
    return shards[0] if shards else folder / _DESCRIPTION


def read_facts(folder: Path, handle: Handle) -> ModuleFacts:
    """Reads `saved_model.pb`.

    Raises:
        WeightsError: no SavedModel is there.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    what = f"module {handle.location!r}: expected a SavedModel folder, with {_DESCRIPTION} in it"
    try:
        content = read_bytes(folder / _DESCRIPTION, MOST_DESCRIPTION_BYTES)
    except LargeFileError as error:
        raise WeightsError(f"{what}. Received: {error}.") from error
    except OSError as error:
        raise WeightsError(f"{what}. Received: {_describe_place(folder)}") from error
    try:
        graphs = list(SavedModel.FromString(content).meta_graphs)
    except DecodeError as error:
        raise WeightsError(f"{what}. Received: a file that is no such description.") from error
    if not graphs:
        raise WeightsError(f"{what}. Received: a description of nothing.")
    graph = next((g for g in graphs if "serve" in g.meta_info_def.tags), graphs[0])
    objects = graph.object_graph_def
    is_tf1 = (folder / _TF1_MARK).is_file() or not graph.HasField("object_graph_def")
    return ModuleFacts(
        is_tf1=is_tf1,
        is_callable=not is_tf1 and "__call__" in _children(objects),
        # The loader's own, which every SavedModel has.
        signatures=tuple(sorted(k for k in graph.signature_def if not k.startswith("__"))),
        is_trainable=not is_tf1 and _is_trainable(objects),
        image_size=_image_size(graph),
    )


def check_facts(facts: ModuleFacts, handle: Handle) -> None:
    """Refuses what cannot be a backbone, or cannot be trained.

    Raises:
        ModelError: nothing to call, or nothing to train.
    """
    what = f"module {handle.location!r}"
    ways = (
        "or use this one as it is, with a head that trains: hub:HANDLE#frozen and --schedule head"
    )
    if facts.is_tf1 and not handle.frozen:
        raise ModelError(
            f"{what}: expected a TF2 SavedModel, which can be trained. Received: TF1 format. "
            f"Take its TF2 version (kaggle.com/models lists it as TensorFlow2), {ways}."
        )
    if not facts.is_callable and not facts.signatures:
        raise ModelError(
            f"{what}: expected a __call__ or a signature. Received: neither. Save it with "
            "model.export(FOLDER), or tf.saved_model.save(model, FOLDER)."
        )
    if not facts.is_trainable and not handle.frozen:
        raise ModelError(
            f"{what}: expected variables that can be trained. Received: none; it was saved frozen. "
            f"Save it with trainable=True, {ways}."
        )


def _describe_place(folder: Path) -> str:
    if folder.is_dir():
        return f"a folder without it, {str(folder)!r}."
    if folder.exists():
        return f"a file, {str(folder)!r}. Unpack it, and name the folder."
    return f"nothing at {str(folder)!r}."


def _children(objects: Any) -> dict[str, Any]:
    if not objects.nodes:
        return {}
    return {child.local_name: objects.nodes[child.node_id] for child in objects.nodes[0].children}


def _is_trainable(objects: Any) -> bool:
    declared = _children(objects).get("trainable_variables")
    if declared is not None:
        return len(declared.children) > 0
    return any(node.variable.trainable for node in objects.nodes if node.HasField("variable"))


def _image_size(graph: Any) -> int | None:
    """Returns the one size that all image inputs have; None where they differ or leave it open."""
    shapes = [
        tensor.tensor_shape
        for signature in graph.signature_def.values()
        for tensor in signature.inputs.values()
    ]
    functions = graph.object_graph_def.concrete_functions
    call = _children(graph.object_graph_def).get("__call__")
    if call is not None:
        for name in call.function.concrete_functions:
            shapes += _shapes(functions[name].canonicalized_input_signature)
    sides = {_side(shape) for shape in shapes if _is_image(shape)}
    return sides.pop() if len(sides) == 1 else None


def _is_image(shape: Any) -> bool:
    return len(shape.dim) == 4 and shape.dim[3].size in (3, -1)


def _side(shape: Any) -> int | None:
    height, width = shape.dim[1].size, shape.dim[2].size
    return height if height == width and height > 0 else None


def _shapes(value: Any) -> Iterator[Any]:
    """Yields the shapes of all tensors in a structure, as a SavedModel describes arguments."""
    kind = value.WhichOneof("kind")
    if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
        yield getattr(value, kind).shape
    elif kind in ("list_value", "tuple_value"):
        for item in getattr(value, kind).values:
            yield from _shapes(item)
    elif kind == "dict_value":
        for item in value.dict_value.fields.values():
            yield from _shapes(item)
