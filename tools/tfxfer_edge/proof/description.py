"""What the files of a model say of themselves, drafted and tried before the first is made."""

from __future__ import annotations

import json
from pathlib import Path

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.inference.predictor import Predictor
from tfxfer.run.manifest import Manifest
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.recipes import FLOAT
from tfxfer_edge.door import find_door
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import rehearse_metadata
from tfxfer_edge.tflite.probe import End

__all__ = ["check_metadata", "choose_packed", "describe_path", "describe_run", "draft_card"]

# 200 kB in a file that goes to a phone; above that only export.json names what was learnt from.
_MAX_PACKED_SAMPLES = 25_000


def describe_run(manifest: Manifest) -> tuple[str, str, str]:
    """Returns a run's name, what it was made from, and the licence, for the metadata."""
    licence = manifest.weights.licence if manifest.weights is not None else None
    return (
        f"{manifest.backbone} {manifest.head}",
        f"trained with tfxfer {manifest.tfxfer} from {manifest.backbone}",
        f"pretrained weights: {licence or 'unknown'}",
    )


def describe_path(path: Path) -> tuple[str, str, str]:
    """Returns the same of a model file, of which no licence is known."""
    # A disk's own name may have bytes that no text in a file can.
    stem, name = (x.encode("utf-8", "replace").decode() for x in (path.stem, path.name))
    return (stem, f"made from {name}", "")


def choose_packed(known: Provenance | None) -> Provenance | None:
    """Returns what was learnt from, where it is little enough to be packed into a file."""
    return known if known is not None and len(known) <= _MAX_PACKED_SAMPLES else None


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
