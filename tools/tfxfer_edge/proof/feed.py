"""What any file is timed on, here and on a phone."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ModelError
from tfxfer_edge.door import Feed
from tfxfer_edge.tflite.flatbuffer import as_text, read_model
from tfxfer_edge.tflite.opening import find_door_of, open_model
from tfxfer_edge.tflite.sample_model import read_content
from tfxfer_edge.timing.adb import InputValues
from tfxfer_edge.timing.latency import NOISE

__all__ = ["find_feed", "find_values"]


def find_feed(path: Path) -> Feed:
    """Returns samples for a file where its modality knows how to make some, else noise's words."""
    try:
        door, model = open_model(path)
    except ModelError:
        # Whatever it is: the runtime judges it.
        return Feed(f"{NOISE}; it is no model whose inputs are known", None)
    return door.find_feed(path, model)


def find_values(path: Path) -> tuple[InputValues, ...]:
    """Returns what the inputs of a file may hold; none where anything will do.

    A program that knows nothing of tokens would ask a table for a word that it does not have. The
    file is read and not run.

    Raises:
        ModelError: it is no TFLite file.
    """
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
