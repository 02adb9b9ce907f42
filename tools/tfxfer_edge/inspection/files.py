"""Which kind of model file lies at a path, and what it holds."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes

__all__ = ["inspect_file"]

_ENDINGS = (".tflite", ".onnx", ".keras")
_TFLITE, _ARCHIVE = b"TFL3", b"PK\x03\x04"


def inspect_file(path: str | Path) -> dict[str, Any]:
    """Returns what a model file holds, as `tfxfer inspect --json` prints it.

    Args:
        path: of a `.tflite`, `.onnx` or `.keras` file.

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
        found = _inspect(path, content, kind)
    except ModelError as error:
        message = str(error).removeprefix("model: ")
        if message.startswith("model "):
            raise  # it names the file
        raise ModelError(f"model {str(path)!r}: {message}") from error
    return {"path": str(path), **found, "explorer": _open_elsewhere(path, kind)}


def _inspect(path: Path, content: bytes, kind: str) -> dict[str, Any]:
    # Each imports what the others do not need.
    if kind == ".tflite":
        from tfxfer_edge.inspection.tflite_file import inspect_tflite

        return inspect_tflite(content)
    if kind == ".onnx":
        from tfxfer_edge.inspection.onnx_file import inspect_onnx

        return inspect_onnx(content, source=str(path))
    from tfxfer_edge.inspection.keras_file import inspect_keras

    return inspect_keras(path)


def _find_kind(path: Path, content: bytes) -> str:
    """Returns the ending that fits: by the bytes, and where they do not tell, by the name."""
    named = path.suffix.lower()
    found = None
    if content[4:8] == _TFLITE:
        found = ".tflite"
    elif content[:4] == _ARCHIVE:
        found = ".keras"
    if found is None or (found == ".keras" and named not in _ENDINGS):
        if named in _ENDINGS:
            return named  # its reader says what is wrong with the bytes
        raise _refuse(path, f"{len(content):,} bytes, starting {content[:8]!r}")
    if named in _ENDINGS and named != found:
        shown = "a zip archive" if found == ".keras" else f"a {found} file"
        raise ModelError(
            f"model {str(path)!r}: expected a file of the kind that its name says. "
            f"Received: {shown}. Rename it."
        )
    return found


def _open_elsewhere(path: Path, kind: str) -> dict[str, str] | None:
    """Returns the command lines that bring Google's Model Explorer, and draw the file in it."""
    shown = shlex.quote(str(path))
    if kind == ".tflite":
        return {
            "install": "pip install ai-edge-model-explorer",
            "command": f"model-explorer {shown}",
        }
    if kind == ".onnx":
        return {
            "install": "pip install ai-edge-model-explorer model-explorer-onnx",
            "command": f"model-explorer {shown} --extensions=model_explorer_onnx",
        }
    return None  # it opens no Keras file


def _refuse(path: Path, received: str) -> ModelError:
    return ModelError(
        f"model {str(path)!r}: expected a .tflite, .onnx or .keras file. Received: {received}."
    )
