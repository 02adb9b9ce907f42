"""The folder that an app developer gets with a text classifier: how to run this very file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer_edge.handover.readme import PROGRAM_FILE, README_FILE
from tfxfer_edge.handover.rendering import (
    CLASSIFIERS,
    OUTPUT_WORDS,
    card_of,
    describe_output,
    render_template,
)
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["render_texts"]

# What BERT calls its own tokens; a contract that has others says so.
_TOKENS = {"unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]"}


def render_texts(model: SampleModel, *, file: str, extra: str) -> dict[str, str]:
    """Returns the README and the program of an export folder.

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
    code = {"python": program.strip(), "kotlin": "", "swift": ""}
    if context["is_mediapipe"]:
        for name in ("kotlin", "swift"):
            suffix = {"kotlin": "kt", "swift": "swift"}[name]
            code[name] = render_template(f"text/mediapipe.{suffix}.j2", context).strip()
    readme = render_template("text/README.md.j2", {**context, "extra": extra.strip(), **code})
    return {README_FILE: readme, PROGRAM_FILE: program}


def _context(model: SampleModel, file: str) -> dict[str, Any]:
    card = card_of(model)
    if model.inputs[0].shape[0] not in (1, -1):
        raise ModelError(
            f"model {model.source!r}: expected one text at a time. "
            f"Received: {model.inputs[0].shape[0]}."
        )
    is_classifier = card.metadata_kind in CLASSIFIERS and bool(card.labels)
    contract = card.contract or {}
    lowercase = contract.get("lowercase") is not False
    return {
        "name": card.name or Path(file).stem,
        "description": card.description,
        "author": card.author,
        "licence": card.licence,
        "labels": card.labels,
        "file": file,
        "stem": Path(file).stem,
        "bytes": len(model.content),
        "size": card.size,
        "outputs": model.outputs,
        "output_words": OUTPUT_WORDS[card.metadata_kind],
        "output": model.output,
        "output_note": describe_output(model),
        "is_classifier": is_classifier,
        # A cased vocabulary needs its capitals, which MediaPipe takes away.
        "is_mediapipe": is_classifier and lowercase,
        "lowercase": lowercase,
        "strip_accents": bool(contract.get("strip_accents", lowercase)),
        "tokens": _name_tokens(card),
        "prints": "the three best labels" if is_classifier else "what the model says",
    }


def _name_tokens(card: ModelCard) -> dict[str, str]:
    contract = card.contract or {}
    return {key: str(contract.get(key, usual)) for key, usual in _TOKENS.items()}
