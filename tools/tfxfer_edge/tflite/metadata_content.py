"""What a card says, as the tables of the metadata's schema."""

from __future__ import annotations

from tfxfer.data.provenance import PROVENANCE_FILE
from tfxfer_edge.door import find_door
from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.metadata_builder import Draft, pack_table
from tfxfer_edge.tflite.metadata_parts import draft_feature, draft_file, draft_stats, list_limits
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
    inputs = find_door(card.modality).draft_inputs(card, probe)
    graph = Draft(
        {
            schema.SubGraph.INPUTS: inputs.tensors,
            schema.SubGraph.OUTPUTS: [_draft_output(card, probe)],
            schema.SubGraph.PROCESS_UNITS: inputs.process_units or None,
        }
    )
    contract = draft_file(
        CONTRACT_FILE, schema.FileKind.UNKNOWN, "Kind of task, and how a sample becomes the inputs."
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
            schema.Model.PARSER_VERSION: inputs.parser_version,
        }
    )
    return pack_table(model, identifier=schema.SCHEMA_IDENTIFIER)


def _draft_provenance(card: ModelCard) -> list[Draft]:
    if card.provenance is None:
        return []
    words = "Hashes of the samples that it was trained on, 8 bytes each."
    return [draft_file(PROVENANCE_FILE, schema.FileKind.UNKNOWN, words)]


def _draft_output(card: ModelCard, probe: Probe) -> Draft:
    name, description = _OUTPUTS[card.metadata_kind]
    if probe.output.dtype in ("uint8", "int8"):
        stats = draft_stats(*((x,) for x in list_limits(probe.output.dtype)))
    elif card.metadata_kind in ("classifier", "multilabel_classifier"):
        stats = draft_stats((0.0,), (1.0,))
    else:
        stats = Draft({})  # a value has no limits that are known
    labels = draft_file(
        LABELS_FILE, schema.FileKind.AXIS_LABELS, "One label a line, in the order of the outputs."
    )
    return Draft(
        {
            schema.Tensor.NAME: name,
            schema.Tensor.DESCRIPTION: description,
            schema.Tensor.CONTENT: draft_feature(),
            schema.Tensor.STATS: stats,
            schema.Tensor.FILES: [labels] if card.labels else None,
        }
    )
