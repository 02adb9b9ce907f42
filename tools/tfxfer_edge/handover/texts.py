"""The folder that an app developer gets with a text classifier: how to run this very file."""

from __future__ import annotations

from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.handover.apps import describe_app, render_apps
from tfxfer_edge.handover.readme import PROGRAM_FILE, README_FILE
from tfxfer_edge.handover.rendering import card_of, describe_file, render_template
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["render_texts"]

# What BERT calls its own tokens; a contract that has others says so.
_TOKENS = {"unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]"}


def render_texts(model: SampleModel, *, file: str, extra: str) -> dict[str, str]:
    """Returns the README and the program of an export folder, and classes for apps.

    The program needs LiteRT, NumPy and Hugging Face's tokenizers alone.

    Args:
        model: a file with metadata.
        file: what it is called in that folder.
        extra: Markdown that goes between the facts and the code.

    Raises:
        ModelError: the file has no metadata, or takes several texts at a time.
    """
    context = _context(model, file)
    program = render_template("text/run.py.j2", context)
    words = {"extra": extra.strip(), "python": program.strip()}
    readme = render_template("text/README.md.j2", {**context, **words})
    apps = render_apps(context, folder="text/") if context["is_mediapipe"] else {}
    return {README_FILE: readme, PROGRAM_FILE: program, **apps}


def _context(model: SampleModel, file: str) -> dict[str, Any]:
    card = card_of(model)
    if model.inputs[0].shape[0] not in (1, -1):
        raise ModelError(
            f"model {model.source!r}: expected one text at a time. "
            f"Received: {model.inputs[0].shape[0]}."
        )
    shared = describe_file(model, file)
    contract = card.contract or {}
    lowercase = contract.get("lowercase") is not False
    return {
        **shared,
        **describe_app(card.metadata_kind, card.threshold, labels=bool(card.labels)),
        "size": card.size,
        # A cased vocabulary needs its capitals, which MediaPipe takes away.
        "is_mediapipe": shared["is_classifier"] and lowercase,
        "lowercase": lowercase,
        "strip_accents": bool(contract.get("strip_accents", lowercase)),
        "tokens": _name_tokens(card),
    }


def _name_tokens(card: ModelCard) -> dict[str, str]:
    contract = card.contract or {}
    return {key: str(contract.get(key, usual)) for key, usual in _TOKENS.items()}
