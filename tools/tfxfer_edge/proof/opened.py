"""A model that becomes files, opened: what is known of it, and no samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.inference.keras_model import load_model, wrap_model
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.provenance import read_keras_provenance, read_run_provenance
from tfxfer.progress import Progress
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
from tfxfer_edge.proof.foreign import adapt_source, check_square, predict_with
from tfxfer_edge.tflite.card import KINDS, ModelCard

__all__ = ["OpenedModel", "open_float_model"]


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """What is converted.

    Args:
        path: the run, or the model file.
        source: of the conversion; ONNX is written from it.
        graph: of the conversion; every TFLite recipe starts from it.
        predictor: the float model; None where nobody says what its outputs are.
        words: of the metadata: name, what it was made from, licence.
        provenance: what the model was trained on; None where nothing is known.
        remark: what a person must be told of the outputs; empty where nothing.
    """

    path: Path
    source: Source
    graph: FrozenGraph
    predictor: Predictor | None
    words: tuple[str, str, str]
    provenance: Provenance | None = None
    remark: str = ""

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


def open_float_model(
    model: str | Path | RunDirectory,
    *,
    labels: Sequence[str] | None,
    head: str | Head | None,
    preprocessing: PreprocessingArgument,
    dynamic_batch: bool,
    trust: bool,
    needs_metadata: bool,
    needs_square: bool = False,
    progress: Progress | None = None,
) -> OpenedModel:
    """Returns a run or a model file, after a look at what its files are to say of themselves.

    Args:
        model: a run, or a file or folder that `open_source` reads.
        labels: names of a model file's outputs, in order; without them it has no predictor.
        head: what they mean; None is the default head.
        preprocessing: what pixels go through before a model file, or `in_graph`.
        dynamic_batch: leaves the number of samples free.
        trust: whether code in a `.keras` file may run.
        needs_metadata: whether a head whose kind of metadata nobody knows is refused.
        needs_square: whether an input of a model file that photos do not fit is refused.
        progress: told of the steps.

    Raises:
        UsageError: what a model file does not say, and nobody did.
        ModelError, RunError: neither a run nor a model, or labels that no file can hold.
    """
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    told = progress or (lambda *_: None)
    if is_run(model):
        return _open_run(
            path, dynamic_batch=dynamic_batch, needs_metadata=needs_metadata, told=told
        )
    task = head if isinstance(head, Head) else get_head(head) if labels else None
    if task is not None and needs_metadata:
        check_kind(task, what=f"model {str(path)!r}")
    told("loading the model", 0, 1)
    source = open_source(path, preprocessing=preprocessing, trust=trust)
    if needs_square:
        check_square(source, path)
    told("loading the model", 1, 1)
    told("tracing the model", 0, 1)
    graph, remark = freeze(source, dynamic_batch=dynamic_batch), ""
    predictor: Predictor | None = None
    words = describe_path(path)
    if task is not None and labels:
        adapted, remark = adapt_source(source, graph, path, labels, task)
        if adapted is not source:
            source, graph = adapted, freeze(adapted, dynamic_batch=dynamic_batch)
        predictor = predict_with(source, graph, path, labels, task)
        if needs_metadata:
            check_metadata(predictor, graph, words, what=f"model {str(path)!r}")
    told("tracing the model", 1, 1)
    learnt = read_keras_provenance(path) if path.suffix == ".keras" else None
    return OpenedModel(path, source, graph, predictor, words, learnt, remark)


def _open_run(
    path: Path, *, dynamic_batch: bool, needs_metadata: bool, told: Progress
) -> OpenedModel:
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    if needs_metadata:
        head = get_head(manifest.head, options=dict(manifest.head_options))
        check_kind(head, what=f"run {str(path)!r}")
    told("loading the model", 0, 1)
    loaded = load_model(path)
    source, predictor = open_source(loaded), wrap_model(loaded)
    told("loading the model", 1, 1)
    told("tracing the model", 0, 1)
    graph, words = freeze(source, dynamic_batch=dynamic_batch), describe_run(manifest)
    told("tracing the model", 1, 1)
    if needs_metadata:
        check_metadata(predictor, graph, words, what=f"run {str(path)!r}")
    return OpenedModel(path, source, graph, predictor, words, read_run_provenance(run))


def check_kind(head: Head, *, what: str) -> None:
    """Refuses a head whose kind of metadata the writer does not know.

    Args:
        head: of the model.
        what: is exported, for the message.

    Raises:
        ModelError: names the head, its kind, and those that are known.
    """
    if head.metadata_kind not in KINDS:
        raise ModelError(
            f"{what}: expected a head whose metadata_kind is one of {', '.join(KINDS)}. "
            f"Received: head {head.name!r} with metadata_kind={head.metadata_kind!r}. "
            "Without metadata: --recipe onnx, or tfxfer_edge.convert"
        )
