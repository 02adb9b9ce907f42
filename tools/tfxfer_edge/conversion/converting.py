"""Where TensorFlow's converter works: in this process, or in a child that takes its memory along.

In this process by default. Of its version 1 on a frozen graph a call leaves no memory behind
(TensorFlow 2.21, MobileNetV2, six calls of each recipe: 0 MiB within 3). A child costs the import
of TensorFlow, as much as ten conversions; what leaks, hangs or crashes is then its own. Whoever
lives long and makes hundreds of files can have one, which is asked again and again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.dialogue import Dialogue, DialogueError
from tfxfer.system.scratch import scratch_folder
from tfxfer_edge.conversion import tensorflow_lite
from tfxfer_edge.conversion.recipes import Recipe

__all__ = ["convert_float", "convert_quantized", "converting_in_child"]

_TIMEOUT_S = 3600  # int16x8 of a large network on a slow machine; a hang is for ever
_MOST_CALLS = 50  # other ways into the converter left 20 MB a call: that would be a gigabyte
_CODE = """
from pathlib import Path
from tfxfer_edge.conversion.tensorflow_lite import run_job
while True:
    folder, _ = read_question()
    try:
        run_job(Path(folder))
    except Exception as error:
        answer(f"{type(error).__name__}: {error}")
    else:
        answer(None)
"""


class _Child:
    """A child that converts, started when it is first needed and again after so many calls."""

    def __init__(self) -> None:
        self._dialogue: Dialogue | None = None
        self._calls = 0

    def convert(self, *arguments: Any, takes_bytes: bool) -> bytes:
        if self._calls >= _MOST_CALLS:
            self.close()
        if self._dialogue is None:
            self._dialogue, self._calls = Dialogue(_CODE), 0
        self._calls += 1
        with scratch_folder("convert") as folder:
            tensorflow_lite.write_job(folder, *arguments, takes_bytes=takes_bytes)
            try:
                refused = self._dialogue.ask(str(folder), timeout_s=_TIMEOUT_S)
            except DialogueError as error:
                self.close()
                raise ModelError(
                    f"converter: expected its process to write a file. Received: it {error}."
                ) from error
            if refused is not None:
                raise RuntimeError(refused)
            return (folder / tensorflow_lite.MODEL_FILE).read_bytes()

    def close(self) -> None:
        if self._dialogue is not None:
            self._dialogue.__exit__()
            self._dialogue = None


_CHILD: ContextVar[_Child | None] = ContextVar("_CHILD", default=None)


@contextlib.contextmanager
def converting_in_child() -> Iterator[None]:
    """Lets TensorFlow's converter work in a process of its own until the block ends.

    For a process that lives long and makes many files, such as a search over trainings. One export
    gains nothing: the child takes the import of TensorFlow, and its files are the same.

    Example:
        with converting_in_child():
            for model in models:
                export(model, ...)
    """
    child = _Child()
    token = _CHILD.set(child)
    try:
        yield
    finally:
        _CHILD.reset(token)
        child.close()


def convert_float(function: Any) -> bytes:
    """Returns the float32 file of a frozen `ConcreteFunction`.

    Raises:
        Exception: what the converter raises: ConverterError, RuntimeError and ValueError alike.
    """
    return _convert(function, None, None, takes_bytes=True)


def convert_quantized(
    function: Any,
    recipe: Recipe,
    inputs: Sequence[np.ndarray] | None,
    *,
    takes_bytes: bool = True,
) -> bytes:
    """Returns the file of a frozen `ConcreteFunction` as a recipe has it.

    Args:
        function: without variables.
        recipe: of fewer bits than float32; not `onnx`, not selective.
        inputs: samples as the function takes them, an array for each of its arguments; None where
            the recipe is not static.
        takes_bytes: whether a full-integer file takes uint8; else its inputs stay as they are.

    Raises:
        Exception: as `convert_float`.
    """
    return _convert(function, recipe, inputs, takes_bytes=takes_bytes)


def _convert(*arguments: Any, takes_bytes: bool) -> bytes:
    child = _CHILD.get()
    if child is None:
        return tensorflow_lite.convert_function(*arguments, takes_bytes=takes_bytes)
    return child.convert(*arguments, takes_bytes=takes_bytes)
