"""MediaPipe's classifiers: the clients that know nothing of a file but its metadata."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Self

import numpy as np

from tfxfer.errors import ModelError, PluginImportError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["MediaPipeClassifier", "MediaPipeTexts"]

_Scores = tuple[np.ndarray, tuple[str | None, ...]]


class _Client:
    """One of MediaPipe's tasks on a file, by its metadata alone. A context manager.

    Args:
        model: the file.
        make: returns the task, given its base options.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file.
    """

    def __init__(self, model: SampleModel, make: Callable[[Any], Any]) -> None:
        if find_spec("mediapipe") is None:
            raise PluginImportError(
                "MediaPipe: expected the package mediapipe. Received: it is not installed. "
                "pip install mediapipe"
            )
        self._check(model)
        self._outputs, self._source = model.outputs, model.source
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mediapipe.tasks.python.core.base_options import BaseOptions

            try:
                self._task = make(BaseOptions(model_asset_buffer=model.content))
            # NotImplementedError is a RuntimeError, FileNotFoundError an OSError.
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error

    def _check(self, model: SampleModel) -> None:
        labels = () if model.card is None else model.card.labels
        # MediaPipe finds this out at the first sample, and may then hang for ever (1.2.2).
        if labels and len(labels) != model.outputs:
            raise ModelError(
                f"model {model.source!r}: expected {model.outputs} labels. Received: {len(labels)}."
            )

    def _ask(self, sample: Any) -> _Scores:
        with quiet_native():
            try:
                result = self._task.classify(sample)
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error
        scores = np.full(self._outputs, np.nan, np.float32)
        names: list[str | None] = [None] * self._outputs
        for category in result.classifications[0].categories:
            scores[category.index] = category.score
            names[category.index] = category.category_name
        return scores, tuple(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with quiet_native():
            self._task.close()

    def _refused(self, error: Exception) -> ModelError:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ModelError(
            f"model {self._source!r}: expected a file MediaPipe takes. Received: {first}"
        )


class MediaPipeClassifier(_Client):
    """MediaPipe's `ImageClassifier` on a file, by its metadata alone. A context manager.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file.
    """

    def __init__(self, model: SampleModel) -> None:
        super().__init__(model, _make_image_classifier)

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
        """
        import mediapipe

        with quiet_native():
            picture = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
            )
        return self._ask(picture)


class MediaPipeTexts(_Client):
    """MediaPipe's `TextClassifier` on a file, by its metadata alone. A context manager.

    It splits a text into tokens itself: lower case always, accents as they are.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file.
    """

    def __init__(self, model: SampleModel) -> None:
        super().__init__(model, _make_text_classifier)

    def classify(self, text: str) -> _Scores:
        """Returns the scores in the outputs' order, and the labels that MediaPipe gives them.

        Shapes: returns float32 (outputs,).
        """
        return self._ask(text)


def _make_image_classifier(base: Any) -> Any:
    from mediapipe.tasks.python import vision

    options = vision.ImageClassifierOptions(base_options=base)
    return vision.ImageClassifier.create_from_options(options)


def _make_text_classifier(base: Any) -> Any:
    from mediapipe.tasks.python import text

    options = text.TextClassifierOptions(base_options=base)
    return text.TextClassifier.create_from_options(options)
