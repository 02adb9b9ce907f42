"""MediaPipe's classifiers: the clients that know nothing of a file but its metadata.

They run in a process of their own, with a limit of time: a file that they misread may make them
wait for ever (1.2.2), or end the process with a signal.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np

from tfxfer.errors import ModelError, PluginImportError
from tfxfer.system.dialogue import Dialogue, DialogueError
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["MediaPipeClassifier", "MediaPipeTexts"]

_Scores = tuple[np.ndarray, tuple[str | None, ...]]

_CODE = """
from tfxfer_edge.proof.mediapipe_task import serve
serve(read_question, answer)
"""
_START_S = 120  # to import MediaPipe and load the file, which takes about three
_SAMPLE_S = 60  # for one photo of a camera, which takes a tenth


class _Client:
    """One of MediaPipe's tasks on a file, by its metadata alone. A context manager.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file, hangs or crashes.
    """

    task: ClassVar[str]

    def __init__(self, model: SampleModel) -> None:
        if find_spec("mediapipe") is None:
            raise PluginImportError(
                "MediaPipe: expected the package mediapipe. Received: it is not installed. "
                "pip install mediapipe"
            )
        self._check(model)
        self._outputs, self._source = model.outputs, model.source
        self._child = Dialogue(_CODE)
        try:
            self._ask({"task": self.task}, model.content, timeout_s=_START_S)
        except BaseException:
            self.__exit__()
            raise

    def _check(self, model: SampleModel) -> None:
        labels = () if model.card is None else model.card.labels
        # MediaPipe finds this out at the first sample, and may then hang.
        if labels and len(labels) != model.outputs:
            raise ModelError(
                f"model {model.source!r}: expected {model.outputs} labels. Received: {len(labels)}."
            )

    def _classify(self, question: dict[str, Any], payload: bytes = b"") -> _Scores:
        found = self._ask(question, payload, timeout_s=_SAMPLE_S)
        scores = np.full(self._outputs, np.nan, np.float32)
        names: list[str | None] = [None] * self._outputs
        for index, score, name in found["categories"]:
            scores[index] = score
            names[index] = name
        return scores, tuple(names)

    def _ask(self, question: Any, payload: bytes, *, timeout_s: float) -> Any:
        try:
            found = self._child.ask(question, payload, timeout_s=timeout_s)
        except DialogueError as error:
            raise self._refuse(f"its process {error}") from error
        if "refused" in found:
            raise self._refuse(found["refused"])
        return found

    def _refuse(self, received: str) -> ModelError:
        return ModelError(
            f"model {self._source!r}: expected a file MediaPipe takes. Received: {received}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()


class MediaPipeClassifier(_Client):
    """MediaPipe's `ImageClassifier` on a file, by its metadata alone. A context manager.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file, hangs or crashes.
    """

    task = "image"

    def _check(self, model: SampleModel) -> None:
        super()._check(model)
        if model.inputs[0].dtype not in ("uint8", "float32"):
            raise ModelError(
                f"model {model.source!r}: expected a uint8 or float32 input, which is what "
                f"MediaPipe takes. Received: {model.inputs[0].dtype}."
            )
        if model.inputs[0].shape[-1] != 3:
            raise ModelError(
                f"model {model.source!r}: expected 3 channels, which is what MediaPipe's "
                f"ImageClassifier takes. Received: {model.inputs[0].shape[-1]}."
            )

    def classify(self, image: np.ndarray) -> _Scores:
        """Returns the scores in the outputs' order, and the labels that MediaPipe gives them.

        Shapes: image uint8 (height, width, 3), of any size; returns float32 (outputs,).

        Raises:
            ModelError: it hangs or crashes.
        """
        return self._classify({"shape": list(image.shape)}, image.tobytes())


class MediaPipeTexts(_Client):
    """MediaPipe's `TextClassifier` on a file, by its metadata alone. A context manager.

    It splits a text into tokens itself: lower case always, accents as they are.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file, hangs or crashes.
    """

    task = "text"

    def classify(self, text: str) -> _Scores:
        """Returns the scores in the outputs' order, and the labels that MediaPipe gives them.

        Shapes: returns float32 (outputs,).

        Raises:
            ModelError: it hangs or crashes.
        """
        return self._classify({"text": text})
