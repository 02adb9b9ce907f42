"""A SavedModel through the core's door: `tfxfer evaluate` and `tfxfer predict` take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfxfer.head import Head
from tfxfer.inference.predictor import Predictor
from tfxfer.registry.lookup import get_head
from tfxfer_edge.conversion.graph import freeze
from tfxfer_edge.conversion.sources import IN_GRAPH, PreprocessingArgument, open_source
from tfxfer_edge.proof.foreign import adapt_source, check_square, predict_with

__all__ = ["load_saved_model_predictor"]


def load_saved_model_predictor(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    preprocessing: PreprocessingArgument = "in_graph",
    trust: bool = False,
) -> Predictor:
    """Returns what scores images with a SavedModel.

    Its operations are looked at before anything of it is loaded, as `export` does.

    Args:
        path: the folder.
        labels: names of the outputs, in order.
        head: the task; None is the default head.
        preprocessing: what pixels go through before the model; by default nothing.
        trust: whether operations that do more than compute may run.

    Raises:
        ModelError: no SavedModel, operations that do more than compute, labels that do not match
            the outputs, or outputs that are no answers of the task.
    """
    path, task = Path(path), get_head() if head is None else head
    source = open_source(path, preprocessing=preprocessing, trust=trust)
    check_square(source, path)
    graph = freeze(source)
    adapted, remark = adapt_source(source, graph, path, labels, task)
    assert labels is not None
    predictor = predict_with(
        adapted, graph if adapted is source else freeze(adapted), path, labels, task
    )
    told = () if source.takes_bytes or preprocessing != IN_GRAPH else (_describe_pixels(path),)
    return replace(predictor, remarks=(*((remark,) if remark else ()), *told))


def _describe_pixels(path: Path) -> str:
    return (
        f"model {str(path)!r} gets pixels 0..255 as they are: nothing in a SavedModel says whether "
        "it rescales them itself"
    )
