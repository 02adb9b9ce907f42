"""A model that becomes files without being judged: what is known of it, and no samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfxfer.data.provenance import Provenance
from tfxfer.head import Head
from tfxfer.inference.keras_model import load_model, wrap_model
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.provenance import read_keras_provenance, read_run_provenance
from tfxfer.registry.lookup import get_head
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.conversion.graph import FrozenGraph, freeze
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source, open_source
from tfxfer_edge.proof.arguments import is_run
from tfxfer_edge.proof.description import (
    check_metadata,
    choose_packed,
    describe_path,
    describe_run,
    draft_card,
)
from tfxfer_edge.proof.foreign import adapt_source, predict_with
from tfxfer_edge.proof.subject import check_kind
from tfxfer_edge.tflite.card import KINDS, ModelCard

__all__ = ["UnjudgedModel", "open_unjudged"]


@dataclass(frozen=True, eq=False)
class UnjudgedModel:
    """What is converted.

    Args:
        path: the run, or the model file.
        source: of the conversion; ONNX is written from it.
        graph: of the conversion; every TFLite recipe starts from it.
        predictor: the float model; None where nobody says what its outputs are.
        words: of the metadata: name, what it was made from, licence.
        provenance: what the model was trained on; None where nothing is known.
    """

    path: Path
    source: Source
    graph: FrozenGraph
    predictor: Predictor | None
    words: tuple[str, str, str]
    provenance: Provenance | None = None

    def make_card(self, converted: Converted) -> ModelCard | None:
        """Returns what a file says of itself; None of a head whose kind of metadata none knows."""
        recipe = converted.recipe.name
        if self.predictor is None:
            name, origin, licence = self.words
            card = ModelCard(
                name=name,
                description=f"{origin}; {recipe}",
                licence=licence,
                metadata_kind="features",
                preprocessing=converted.normalization,
            )
        elif self.predictor.head.metadata_kind not in KINDS:
            return None
        else:
            card = draft_card(self.predictor, self.words, converted, recipe=recipe)
        return replace(card, provenance=choose_packed(self.provenance))


def open_unjudged(
    model: str | Path | RunDirectory,
    *,
    labels: Sequence[str] | None,
    head: str | Head | None,
    preprocessing: PreprocessingArgument,
    dynamic_batch: bool,
    trust: bool,
    needs_metadata: bool,
) -> UnjudgedModel:
    """Returns a run or a model file, after a look at what its files are to say of themselves.

    Args:
        model: a run, or a file or folder that `open_source` reads.
        labels: names of a model file's outputs, in order; without them it has no predictor.
        head: what they mean; None is the default head.
        preprocessing: what pixels go through before a model file, or `in_graph`.
        dynamic_batch: leaves the number of samples free.
        trust: whether code in a `.keras` file may run.
        needs_metadata: whether a head whose kind of metadata nobody knows is refused.

    Raises:
        UsageError: what a model file does not say, and nobody did.
        ModelError, RunError: neither a run nor a model, or labels that no file can hold.
    """
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    if is_run(model):
        return _open_run(path, dynamic_batch=dynamic_batch, needs_metadata=needs_metadata)
    source = open_source(path, preprocessing=preprocessing, trust=trust)
    graph = freeze(source, dynamic_batch=dynamic_batch)
    words = describe_path(path)
    learnt = read_keras_provenance(path) if path.suffix == ".keras" else None
    if not labels:
        return UnjudgedModel(path, source, graph, None, words, learnt)
    task = head if isinstance(head, Head) else get_head(head)
    if needs_metadata:
        check_kind(task, what=f"model {str(path)!r}")
    adapted, _ = adapt_source(source, graph, path, labels, task)
    if adapted is not source:
        source, graph = adapted, freeze(adapted, dynamic_batch=dynamic_batch)
    predictor = predict_with(source, graph, path, labels, task)
    if needs_metadata:
        check_metadata(predictor, graph, words, what=f"model {str(path)!r}")
    return UnjudgedModel(path, source, graph, predictor, words, learnt)


def _open_run(path: Path, *, dynamic_batch: bool, needs_metadata: bool) -> UnjudgedModel:
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    if needs_metadata:
        head = get_head(manifest.head, options=dict(manifest.head_options))
        check_kind(head, what=f"run {str(path)!r}")
    loaded = load_model(path)
    source, predictor = open_source(loaded), wrap_model(loaded)
    graph, words = freeze(source, dynamic_batch=dynamic_batch), describe_run(manifest)
    if needs_metadata:
        check_metadata(predictor, graph, words, what=f"run {str(path)!r}")
    return UnjudgedModel(path, source, graph, predictor, words, read_run_provenance(run))
