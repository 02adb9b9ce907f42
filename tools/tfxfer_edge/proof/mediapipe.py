"""MediaPipe's `ImageClassifier`: the client that knows nothing of a file but its metadata."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from tfxfer.errors import ModelError, PluginImportError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.tflite.interpreter import TFLiteModel

__all__ = ["MediaPipeClassifier"]


class MediaPipeClassifier:
    """MediaPipe's `ImageClassifier` on a file, by its metadata alone. A context manager.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file.
    """

    def __init__(self, model: TFLiteModel) -> None:
        if find_spec("mediapipe") is None:
            raise PluginImportError(
                "MediaPipe: expected the package mediapipe. Received: it is not installed. "
                "pip install mediapipe"
            )
        labels = () if model.card is None else model.card.labels
        # MediaPipe finds this out at the first image, and may then hang for ever (1.2.2).
        if labels and len(labels) != model.outputs:
            raise ModelError(
                f"model {model.source!r}: expected {model.outputs} labels. Received: {len(labels)}."
            )
        if model.input.dtype not in ("uint8", "float32"):
            raise ModelError(
                f"model {model.source!r}: expected a uint8 or float32 input, which is what "
                f"MediaPipe takes. Received: {model.input.dtype}."
            )
        self._outputs, self._source = model.outputs, model.source
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mediapipe
            from mediapipe.tasks.python import vision
            from mediapipe.tasks.python.core.base_options import BaseOptions

            self._mediapipe = mediapipe
            options = vision.ImageClassifierOptions(
                base_options=BaseOptions(model_asset_buffer=model.content)
            )
            try:
                self._classifier = vision.ImageClassifier.create_from_options(options)
            # NotImplementedError is a RuntimeError, FileNotFoundError an OSError.
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error

    def classify(self, image: np.ndarray) -> tuple[np.ndarray, tuple[str | None, ...]]:
        """Returns the scores in the outputs' order, and the labels that MediaPipe gives them.

        Shapes: image uint8 (height, width, 3), of any size; returns float32 (outputs,).
        """
        mediapipe = self._mediapipe
        with quiet_native():
            picture = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
            )
            try:
                result = self._classifier.classify(picture)
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error
        scores = np.full(self._outputs, np.nan, np.float32)
        names: list[str | None] = [None] * self._outputs
        for category in result.classifications[0].categories:
            scores[category.index] = category.score
            names[category.index] = category.category_name
        return scores, tuple(names)

    def __enter__(self) -> MediaPipeClassifier:
        return self

    def __exit__(self, *_: object) -> None:
        with quiet_native():
            self._classifier.close()

    def _refused(self, error: Exception) -> ModelError:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ModelError(
            f"model {self._source!r}: expected a file MediaPipe takes. Received: {first}"
        )
