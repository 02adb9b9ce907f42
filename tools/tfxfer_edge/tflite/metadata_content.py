"""What a card says, as the tables of the metadata's schema."""

from __future__ import annotations

import numpy as np

from tfxfer.data.provenance import PROVENANCE_FILE
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.metadata_builder import Draft, pack_table
from tfxfer_edge.tflite.probe import Probe

__all__ = ["pack_card"]

_OUTPUTS = {
    "classifier": ("probability", "Probability of each label; they add up to 1."),
    "multilabel_classifier": ("probability", "Probability of each label on its own."),
    "regressor": ("value", "One value per label, in the label's unit."),
    "features": ("features", "A feature vector."),
}


def pack_card(card: ModelCard, probe: Probe) -> bytes:
    """Returns the metadata's own flatbuffer.

    Args:
        card: what to say.
        probe: the ends of the model it is about.
    """
    graph = Draft(
        {
            schema.SubGraph.INPUTS: [_draft_input(card, probe)],
            schema.SubGraph.OUTPUTS: [_draft_output(card, probe)],
        }
    )
    contract = _draft_file(
        CONTRACT_FILE,
        schema.FileKind.UNKNOWN,
        "Kind of task, and how a photo becomes the square.",
    )
    model = Draft(
        {
            schema.Model.NAME: card.name,
            schema.Model.DESCRIPTION: card.description or None,
            schema.Model.VERSION: card.version or None,
            schema.Model.SUBGRAPHS: [graph],
            schema.Model.AUTHOR: card.author or None,
            schema.Model.LICENSE: card.licence or None,
            schema.Model.FILES: [contract, *_draft_provenance(card)],
            schema.Model.PARSER_VERSION: schema.PARSER_VERSION,
        }
    )
    return pack_table(model, identifier=schema.SCHEMA_IDENTIFIER)


def _draft_provenance(card: ModelCard) -> list[Draft]:
    if card.provenance is None:
        return []
    words = "Hashes of the photos that it was trained on, 8 bytes each."
    return [_draft_file(PROVENANCE_FILE, schema.FileKind.UNKNOWN, words)]


def _draft_input(card: ModelCard, probe: Probe) -> Draft:
    preprocessing = card.preprocessing or Preprocessing()
    height, width = probe.input_shape[1:3]
    size = Draft(
        {
            schema.ImageSize.WIDTH: np.uint32(width),
            schema.ImageSize.HEIGHT: np.uint32(height),
        }
    )
    image = Draft(
        {schema.Image.COLOR_SPACE: np.uint8(schema.ColorSpace.RGB), schema.Image.SIZE: size}
    )
    # One number where one serves: MediaPipe refuses normalization per channel, even of floats.
    channels = 1 if preprocessing.is_uniform else 3
    options = Draft(
        {
            schema.Normalization.MEAN: preprocessing.mean[:channels],
            schema.Normalization.STD: preprocessing.std[:channels],
        }
    )
    normalization = Draft(
        {
            schema.ProcessUnit.KIND: np.uint8(schema.ProcessUnitKind.NORMALIZATION),
            schema.ProcessUnit.OPTIONS: options,
        }
    )
    if probe.input_dtype == "uint8":
        stats = _draft_stats((0.0,), (255.0,))
    else:
        ranges = preprocessing.output_range[:channels]
        stats = _draft_stats(tuple(low for low, _ in ranges), tuple(high for _, high in ranges))
    return Draft(
        {
            schema.Tensor.NAME: "image",
            schema.Tensor.DESCRIPTION: (
                f"RGB photo, {width} x {height}, resized: {_describe_resize(card.resize)}."
            ),
            schema.Tensor.CONTENT: _draft_content(schema.ContentKind.IMAGE, image),
            schema.Tensor.PROCESS_UNITS: [normalization],
            schema.Tensor.STATS: stats,
        }
    )


def _draft_output(card: ModelCard, probe: Probe) -> Draft:
    name, description = _OUTPUTS[card.metadata_kind]
    if probe.output_dtype == "uint8":
        stats = _draft_stats((0.0,), (255.0,))
    elif card.metadata_kind in ("classifier", "multilabel_classifier"):
        stats = _draft_stats((0.0,), (1.0,))
    else:
        stats = Draft({})  # a value has no limits that are known
    labels = _draft_file(
        LABELS_FILE, schema.FileKind.AXIS_LABELS, "One label a line, in the order of the outputs."
    )
    return Draft(
        {
            schema.Tensor.NAME: name,
            schema.Tensor.DESCRIPTION: description,
            schema.Tensor.CONTENT: _draft_content(schema.ContentKind.FEATURE, Draft({})),
            schema.Tensor.STATS: stats,
            schema.Tensor.FILES: [labels] if card.labels else None,
        }
    )


def _draft_content(kind: schema.ContentKind, properties: Draft) -> Draft:
    return Draft({schema.Content.KIND: np.uint8(kind), schema.Content.PROPERTIES: properties})


def _draft_stats(low: tuple[float, ...], high: tuple[float, ...]) -> Draft:
    return Draft({schema.Stats.MIN: low, schema.Stats.MAX: high})


def _draft_file(name: str, kind: schema.FileKind, description: str) -> Draft:
    return Draft(
        {
            schema.AssociatedFile.NAME: name,
            schema.AssociatedFile.DESCRIPTION: description,
            schema.AssociatedFile.KIND: np.uint8(kind),
        }
    )


def _describe_resize(resize: Resize) -> str:
    filtered = "antialiased" if resize.antialias else "not antialiased"
    return f"{resize.fit}, {resize.method}, {filtered}"
