"""What the files of a model say of themselves, drafted and tried before the first is made."""

from __future__ import annotations

import json

from tfxfer.errors import ModelError
from tfxfer.inference.predictor import Predictor
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.recipes import FLOAT
from tfxfer_edge.door import find_door
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import rehearse_metadata
from tfxfer_edge.tflite.probe import End

__all__ = ["check_metadata", "draft_card"]


def check_metadata(
    predictor: Predictor, graph: FrozenGraph, words: tuple[str, str, str], *, what: str
) -> None:
    """Refuses what no file of a model could say of itself, before the first is made.

    Args:
        predictor: the float model.
        graph: that every file is made from.
        words: name, what it was made from, licence.
        what: is exported, for the message.

    Raises:
        ModelError: labels, settings or words that cannot be written, and why.
    """
    inputs = [End(item.name, item.dtype, (1, *item.shape), (0.0, 0)) for item in graph.inputs]
    try:
        card = draft_card(predictor, words, graph, recipe=FLOAT)
        rehearse_metadata(card, inputs, outputs=graph.outputs)
    except ModelError as error:
        raise ModelError(f"{what}: {error} Without metadata: --recipe onnx") from error


def draft_card(
    predictor: Predictor,
    words: tuple[str, str, str],
    made: Converted | FrozenGraph,
    *,
    recipe: str,
) -> ModelCard:
    """Returns what a file says of itself, but for what it has learnt from.

    Args:
        predictor: the float model.
        words: name, what it was made from, licence.
        made: the file; before there is one, what it is made from.
        recipe: of the file.

    Raises:
        ModelError: a head whose settings are no JSON data.
    """
    name, origin, licence = words
    head = predictor.head
    try:
        # As they are read back: a tuple is a list in JSON.
        options = json.loads(json.dumps(head.options()))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"head {head.name!r}: expected options() that are JSON data. Received: {error}."
        ) from error
    threshold = options.get("threshold")
    is_share = type(threshold) is float and 0 <= threshold <= 1
    return ModelCard(
        name=name,
        description=f"{head.name} into {len(predictor.labels)} outputs, {origin}; {recipe}",
        licence=licence,
        labels=predictor.labels,
        metadata_kind=head.metadata_kind,
        threshold=threshold if is_share else None,
        head=head.name,
        head_options=options,
        **find_door(made.modality).describe_card(predictor, made),
    )
