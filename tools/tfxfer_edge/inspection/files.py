"""Which kind of model file lies at a path, and what it holds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes
from tfxfer_edge.inspection.tflite_file import inspect_tflite

__all__ = ["inspect_file"]

_TFLITE = b"TFL3"
_READERS: Mapping[str, Callable[[bytes], dict[str, Any]]] = {".tflite": inspect_tflite}


def inspect_file(path: str | Path) -> dict[str, Any]:
    """Returns what a model file holds, as `tfxfer inspect --json` prints it.

    Args:
        path: of a `.tflite` file.

    Raises:
        ModelError: nothing there, another kind of file than its name says, or a damaged one.
    """
    path = Path(path)
    if path.is_dir():
        raise _refuse(path, "a folder")
    try:
        content = read_bytes(path, MOST_MODEL_BYTES)
    except FileNotFoundError as error:
        raise _refuse(path, "nothing there") from error
    except (OSError, LargeFileError) as error:
        raise _refuse(path, getattr(error, "strerror", None) or str(error)) from error
    kind = _find_kind(path, content)
    try:
        found = _READERS[kind](content)
    except ModelError as error:
        raise ModelError(f"model {str(path)!r}: {str(error).removeprefix('model: ')}") from error
    return {"path": str(path), **found, "explorer": _open_elsewhere(path)}


def _find_kind(path: Path, content: bytes) -> str:
    """Returns the ending that fits: by the bytes, and where they do not tell, by the name."""
    named = path.suffix.lower()
    found = ".tflite" if content[4:8] == _TFLITE else None
    if found is None and named in _READERS:
        return named  # its reader says what is wrong with the bytes
    if found is None:
        raise _refuse(path, f"{len(content):,} bytes, starting {content[:8]!r}")
    if named in _READERS and named != found:
        raise ModelError(
            f"model {str(path)!r}: expected a {named} file, as its name says. "
            f"Received: a {found} file. Rename it."
        )
    return found


def _open_elsewhere(path: Path) -> dict[str, str]:
    """Returns the command lines that bring Google's Model Explorer, and draw the file in it."""
    return {
        "install": "pip install ai-edge-model-explorer",
        "command": f"model-explorer {shlex.quote(str(path))}",
    }


def _refuse(path: Path, received: str) -> ModelError:
    kinds = " or ".join(_READERS)
    return ModelError(f"model {str(path)!r}: expected a {kinds} file. Received: {received}.")
