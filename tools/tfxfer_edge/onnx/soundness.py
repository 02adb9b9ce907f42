"""Whether a file is a whole `.onnx` file, told before a runtime says so in its own words."""

from __future__ import annotations

from pathlib import Path

from tfxfer.errors import ModelError
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes
from tfxfer.system.process import ask_child
from tfxfer_edge.conversion.onnx_content import CUT, check_onnx_content, list_fields

__all__ = ["check_onnx_file", "read_onnx_file", "try_onnx_file"]

_VERSION, _GRAPH, _NODE = 1, 7, 1
_TIMEOUT_S = 120  # a network of 100 MB takes about a second
# Zeros of whatever the inputs say, 1 where a size is free.
_CODE = """
import numpy as np, onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 4
session = onnxruntime.InferenceSession(
    read_question(), options, providers=["CPUExecutionProvider"]
)
kinds = {"double": "float64", "float": "float32"}
feeds = {}
for item in session.get_inputs():
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else 1 for size in item.shape]
    feeds[item.name] = np.zeros(shape, kinds.get(kind, kind))
session.run(None, feeds)
answer(True)
"""


def read_onnx_file(path: str | Path) -> bytes:
    """Returns the bytes of a whole `.onnx` file.

    Raises:
        ModelError: it cannot be read, is empty, something else or cut off, or has weights in
            another file.
    """
    try:
        content = read_bytes(Path(path), MOST_MODEL_BYTES)
    except (OSError, LargeFileError) as error:
        raise ModelError(
            f"model {str(path)!r}: expected an .onnx file. "
            f"Received: {getattr(error, 'strerror', None) or error}."
        ) from error
    check_onnx_file(content, source=str(path))
    return content


def check_onnx_file(content: bytes, *, source: str) -> None:
    """Refuses what is no whole `.onnx` file.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        ModelError: it is empty, something else or cut off, or has weights in another file.
    """

    def refuse(received: str) -> ModelError:
        return ModelError(
            f"model {source!r}: expected an .onnx file with a graph. Received: "
            f"{received}. Copy or export it again."
        )

    if not content:
        raise refuse("an empty one, of 0 bytes")
    found = dict(list_fields(memoryview(content)))
    is_onnx = isinstance(found.get(_VERSION), int)
    if is_onnx and CUT in found.values():
        raise refuse(f"{len(content):,} bytes, cut off or damaged")
    graph = found.get(_GRAPH)
    nodes = list_fields(graph) if isinstance(graph, memoryview) else iter(())
    if not is_onnx or all(field != _NODE for field, _ in nodes):
        raise refuse(f"{len(content):,} bytes of something else, starting {content[:8]!r}")
    check_onnx_content(content, source=source)


def try_onnx_file(path: str | Path) -> None:
    """Loads a file and runs it on zeros in a process of its own, where it can harm nobody.

    Raises:
        ModelError: that process did not live to tell of it.
    """
    outcome = ask_child(_CODE, str(path), timeout_s=_TIMEOUT_S)
    # An error that has words is told better by whoever loads the file in earnest.
    if not outcome.answers and (outcome.signal or outcome.hung):
        how = f"ended its process with signal {outcome.signal}"
        raise ModelError(
            f"model {str(path)!r}: expected a file that onnxruntime runs. Received: one that "
            f"{outcome.end if outcome.hung else how}. It is damaged: copy or export it again."
        )
