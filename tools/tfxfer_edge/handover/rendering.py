"""Templates of what goes to an app's developer, and what is common to all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.plain_text import escape_controls, escape_lines
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = [
    "CLASSIFIERS",
    "OUTPUT_WORDS",
    "card_of",
    "describe_file",
    "describe_output",
    "render_template",
]

CLASSIFIERS = ("classifier", "multilabel_classifier")
OUTPUT_WORDS = {
    "classifier": "probabilities that add up to 1",
    "multilabel_classifier": "probabilities, each on its own",
    "regressor": "values",
    "features": "features",
}

_TEMPLATES = Path(__file__).parent / "templates"


def render_template(template: str, context: dict[str, Any]) -> str:
    """Returns a template of this package, filled in."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["kotlin"] = lambda value: f"{value}f"
    environment.filters["text"] = _quote
    # A comment of one line stays one.
    environment.filters["comment"] = lambda value: " ".join(escape_controls(value).split())
    environment.filters["kotlin_text"] = lambda value: _quote(value).replace("$", "\\$")
    return environment.get_template(template).render(context)


def _quote(text: str) -> str:
    # Not Jinja's `tojson`: its \u00e9 means nothing to Swift.
    # What turns text around would make a program read otherwise than it runs.
    return json.dumps(escape_controls(text), ensure_ascii=False)


def card_of(model: SampleModel) -> ModelCard:
    """Returns what a file says of itself.

    Raises:
        ModelError: it says nothing.
    """
    if model.card is None:
        raise ModelError(
            f"model {model.source!r}: expected a file with metadata. Received: none. "
            "Write it first: tfxfer_edge.write_metadata"
        )
    return model.card


def describe_file(model: SampleModel, file: str) -> dict[str, Any]:
    """Returns what every page says of a file, whatever samples it takes.

    Args:
        model: with metadata.
        file: what it is called where the page lies.

    Raises:
        ModelError: it says nothing of itself.
    """
    card = card_of(model)
    is_classifier = card.metadata_kind in CLASSIFIERS and bool(card.labels)
    return {
        "name": escape_controls(card.name or Path(file).stem),
        "description": escape_lines(card.description),
        "author": escape_controls(card.author),
        "licence": escape_controls(card.licence),
        "labels": tuple(map(escape_controls, card.labels)),
        "file": file,
        "stem": Path(file).stem,
        "bytes": len(model.content),
        "outputs": model.outputs,
        "output_words": OUTPUT_WORDS[card.metadata_kind],
        "output": model.output,
        "output_note": describe_output(model),
        "is_classifier": is_classifier,
        "prints": "the three best labels" if is_classifier else "what the model says",
    }


def describe_output(model: SampleModel) -> str:
    """Returns how steps become values, to be read after the output's type."""
    if not model.output.is_quantized:
        return ""
    return f": (value - {model.output.zero_point}) * {model.output.scale:.6g}"
