"""MediaPipe's tasks on one file, run in a child: they may hang for ever, or take the process along.

Nothing else imports this module; `mediapipe` starts the child and asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["serve"]

# NotImplementedError is a RuntimeError, FileNotFoundError an OSError.
_REFUSALS = (ValueError, RuntimeError, OSError)


def serve(read_question: Callable[[], tuple[Any, bytes]], answer: Callable[[Any], None]) -> None:
    """Makes the task of the first question, and answers each of the others with its scores.

    Args:
        read_question: returns `{"task": "image" or "text"}` and the file first; then
            `{"shape": …}` and pixels uint8, or `{"text": …}` and nothing.
        answer: gets `{"refused": why}`; else `{}` first, and then `{"categories": [[output, score,
            label], …]}`.
    """
    question, content = read_question()
    kind = question["task"]
    try:
        task = _make_task(kind, content)
    except _REFUSALS as error:
        answer({"refused": _first_line(error)})
        return
    answer({})
    while True:
        question, payload = read_question()
        try:
            sample = (
                _make_image(question["shape"], payload) if kind == "image" else question["text"]
            )
            found = task.classify(sample).classifications[0].categories
        except _REFUSALS as error:
            answer({"refused": _first_line(error)})
            continue
        answer({"categories": [[x.index, float(x.score), x.category_name] for x in found]})


def _make_task(kind: str, content: bytes) -> Any:
    from mediapipe.tasks.python.core.base_options import BaseOptions

    base = BaseOptions(model_asset_buffer=content)
    if kind == "image":
        from mediapipe.tasks.python import vision

        images = vision.ImageClassifierOptions(base_options=base)
        return vision.ImageClassifier.create_from_options(images)
    from mediapipe.tasks.python import text

    texts = text.TextClassifierOptions(base_options=base)
    return text.TextClassifier.create_from_options(texts)


def _make_image(shape: list[int], pixels: bytes) -> Any:
    import mediapipe

    data = np.frombuffer(pixels, np.uint8).reshape(shape)
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=data)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
