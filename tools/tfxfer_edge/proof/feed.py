"""What any file is timed on, here and on a phone."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ModelError
from tfxfer_edge.door import IMAGE, EdgeModality, Feed, find_door
from tfxfer_edge.onnx.metadata import read_onnx_metadata
from tfxfer_edge.onnx.soundness import read_onnx_file, try_onnx_file
from tfxfer_edge.tflite.flatbuffer import as_text, read_model
from tfxfer_edge.tflite.opening import find_door_of, open_model
from tfxfer_edge.tflite.sample_model import SampleModel, read_content
from tfxfer_edge.timing.adb import InputValues
from tfxfer_edge.timing.latency import NOISE

__all__ = ["find_feed", "find_values", "is_onnx_file"]


def is_onnx_file(path: Path) -> bool:
    """Returns whether onnxruntime runs a file, by the ending of its name."""
    return path.suffix.lower() == ".onnx"


def find_feed(path: Path) -> Feed:
    """Returns samples for a file where its modality knows how to make some, else noise's words."""
    try:
        door, model = _open_onnx(path) if is_onnx_file(path) else open_model(path)
    except ModelError:
        # Whatever it is: the runtime judges it.
        return Feed(f"{NOISE}; it is no model whose inputs are known", None)
    return door.find_feed(path, model)


def find_values(path: Path) -> tuple[InputValues, ...]:
    """Returns what the inputs of a file may hold; none where anything will do.

    A program that knows nothing of tokens would ask a table for a word that it does not have. The
    file is read and not run.

    Raises:
        ModelError: it is no model file.
    """
    if is_onnx_file(path):
        return _list_values(path)
    fills = find_door_of(path).fills
    if not fills:
        return ()
    _, content = read_content(path)
    graph = read_model(content).subgraphs[0]
    found = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        name = as_text(tensor.name)
        shape = tuple(int(size) for size in tensor.shape)
        low, high = (fills[name], fills[name]) if name in fills else (0, 1)
        found.append(InputValues(name, shape, low, high))
    return tuple(found)


def _open_onnx(path: Path) -> tuple[EdgeModality, SampleModel]:
    door = _find_door_of_onnx(path)
    return door, door.open_onnx(path)


def _find_door_of_onnx(path: Path) -> EdgeModality:
    card = read_onnx_metadata(read_onnx_file(path))
    return find_door(IMAGE if card is None else card.modality)


def _list_values(path: Path) -> tuple[InputValues, ...]:
    """Returns the same of an `.onnx` file whose inputs hold numbers of tokens."""
    door = _find_door_of_onnx(path)
    if not door.fills:
        return ()
    # What makes the runtime abort must not end this process.
    try_onnx_file(path)
    found = []
    for end in door.open_onnx(path).inputs:
        low, high = (door.fills[end.name],) * 2 if end.name in door.fills else (0, 1)
        found.append(InputValues(end.name, (1, *end.shape[1:]), low, high))
    return tuple(found)
