"""A class for an Android and one for an iOS app, which are files in the folder and need no change.

Photos go through LiteRT's interpreter, which takes every kind of input and output, texts through
MediaPipe, which splits them as the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfxfer_edge.handover.rendering import CLASSIFIERS, render_template

__all__ = ["APP_FILES", "describe_app", "render_apps"]

_CLASSIFIER, _PREDICTOR = "Classifier", "Predictor"
APP_FILES = frozenset(
    f"{name}.{end}" for name in (_CLASSIFIER, _PREDICTOR) for end in ("kt", "swift")
)
"""Names of the files, of every kind of model."""

_LOOKED_UP = "2026-11-29"
# LiteRT 2 has the interpreter for CPUs only and calls it legacy; 1.4 is kept up for its sake:
# https://ai.google.dev/edge/litert/android
_ANDROID = {
    "litert": "com.google.ai.edge.litert:litert:1.4.2",
    "camera": "androidx.camera:camera-core:1.5.2",
    "text": "com.google.mediapipe:tasks-text:0.10.35",
}
_IOS = {"litert": "pod 'TensorFlowLiteSwift', '2.17.0'", "text": "pod 'MediaPipeTasksText'"}

_SAYS = {
    "classifier": "which label is likely",
    "multilabel_classifier": "which labels hold",
    "regressor": "values",
    "features": "features",
}
_USUAL_THRESHOLD = 0.5  # of a multilabel head that says nothing else
# How a channel's value 0..255 becomes the input, by its type; whether mean and std are needed.
_KOTLIN_PUT = {
    "uint8": "input.put(value.toByte())",
    "int8": "input.put((value - 128).toByte())",
    "float32": "input.putFloat(value.toFloat())",
}
_SWIFT_APPEND = {
    "uint8": "input.append(UInt8(value))",
    "int8": "input.append(Int8(Int(value) - 128))",
    "float32": "input.append(Float(value))",
}


def describe_app(kind: str, threshold: float | None, *, labels: bool) -> dict[str, Any]:
    """Returns what templates of every kind of sample need.

    Args:
        kind: the card's `metadata_kind`.
        threshold: of a multilabel classifier; None is the usual one.
        labels: whether the outputs have names.
    """
    is_classifier = kind in CLASSIFIERS and labels
    return {
        "kind": kind,
        "klass": _CLASSIFIER if is_classifier else _PREDICTOR,
        "verb": "classify" if is_classifier else "predict",
        "says": _SAYS[kind],
        "threshold": _USUAL_THRESHOLD if threshold is None else threshold,
        "kotlin_answer": "List<Answer>" if labels else "FloatArray",
        "swift_answer": "[Answer]" if labels else "[Float]",
        "looked_up": _LOOKED_UP,
        "android": _ANDROID,
        "ios": _IOS,
    }


def render_apps(context: Mapping[str, Any], *, folder: str = "") -> dict[str, str]:
    """Returns the text of both classes by the name of the file.

    Args:
        context: what `describe_app` returned, and what is known of the file.
        folder: of the templates; the photos' own by default.
    """
    places: dict[str, Any] = {}
    if not folder:
        dtype = context["input"].dtype
        channel = "0" if context["is_grey"] else "channel"
        scaled = dtype == "float32" and not context["is_identity"]
        places = {
            "is_scaled": scaled,
            "kotlin_put": f"input.putFloat((value - MEAN[{channel}]) / STD[{channel}])"
            if scaled
            else _KOTLIN_PUT[dtype],
            "swift_append": f"input.append((Float(value) - mean[{channel}]) / std[{channel}])"
            if scaled
            else _SWIFT_APPEND[dtype],
        }
    return {
        f"{context['klass']}.{end}": render_template(f"{folder}app.{end}.j2", {**context, **places})
        for end in ("kt", "swift")
    }
