"""Any `.tflite` file, by what it says that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.door import IMAGE, EdgeModality, find_door
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.sample_model import SampleModel, read_content
from tfxfer_edge.tflite.soundness import check_model_file

__all__ = ["find_door_of", "open_model"]


def find_door_of(path: str | Path) -> EdgeModality:
    """Returns the door of the modality that a file says it reads; images where it says nothing.

    Raises:
        ModelError: no TFLite file, damaged metadata, or a modality that nobody knows.
    """
    source, content = read_content(path)
    try:
        card = read_metadata(content)
    except ModelError as error:
        check_model_file(path)  # what is wrong with the whole file comes first
        words = str(error).removeprefix("model: ")
        raise ModelError(f"model {source!r}: {words}") from error
    return find_door(IMAGE if card is None else card.modality)


def open_model(
    path: str | Path, *, threads: int = 1, preprocessing: Any = None
) -> tuple[EdgeModality, SampleModel]:
    """Returns a file as what scores samples of its modality, and the modality's door.

    Args:
        path: the file.
        threads: of LiteRT's kernels.
        preprocessing: what samples go through before a float input; None takes the file's word.

    Raises:
        ModelError: no TFLite file, or none of its modality.
    """
    door = find_door_of(path)
    return door, door.open_model(path, threads=threads, preprocessing=preprocessing)
