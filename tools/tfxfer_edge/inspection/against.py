"""A file beside the float network of the run that it was made of, on that run's own samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import map_arrays
from tfxfer.errors import ModelError
from tfxfer.progress import Progress
from tfxfer_edge.inspection.comparable import DEFAULT_SAMPLES
from tfxfer_edge.inspection.operator_costs import Judge, list_costs, list_cuts, score_cuts
from tfxfer_edge.inspection.tensor_errors import compare_tensors, score_samples
from tfxfer_edge.inspection.twins import Graph, check_origin, find_twins, graft, read_graph
from tfxfer_edge.proof.run_images import choose_rows
from tfxfer_edge.proof.subject import open_subject
from tfxfer_edge.tflite.sample_model import read_content

__all__ = ["compare_with_run"]

_KEPT_BYTES = 1 << 30  # of exact values, which every cut hands over anew


def compare_with_run(
    path: str | Path,
    run: str | Path,
    *,
    samples: int = DEFAULT_SAMPLES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Returns the errors of a file's tensors, and which operator costs its answers most.

    Args:
        path: a `.tflite` file that was exported from the run.
        run: a finished training, whose samples are where they were.
        samples: how many of its validation split, as many of each class as there are.
        progress: told of steps.

    Raises:
        ModelError: a file of another run, or one that does not run.
        RunError, DataError: a run that cannot be opened, or other samples than it was trained on.
    """
    told = progress or (lambda *_: None)
    source, content = read_content(path)
    graph = read_graph(content, source=source)
    subject = open_subject(run, needs_metadata=False, progress=progress)
    told("converting the float network", 0, 1)
    float_content = subject.graph.float_content
    told("converting the float network", 1, 1)
    exact = read_graph(float_content, source="float32")
    _check_ends(graph, exact, source)
    twins = find_twins(graph, exact)
    changed = check_origin(graph, exact, twins, source=source)
    # A head that was fitted to integers differs on purpose: the float network gets it, too.
    twin_content = graft(float_content, exact, twins, changed) if changed else float_content
    remarks = [
        f"{operator.kind} at {operator.outputs[0].name.split(';')[0]} has weights of its own, as a "
        "head that was fitted to integers: the float network is given them here"
        for operator in changed
    ]
    split = subject.data.val
    rows = choose_rows(split, samples=samples, seed=0)
    prepared = subject.graph.prepare(
        map_arrays(lambda values: values[:, 0], split.read_views(rows))
    )
    # The converter may put inputs in another order; it keeps their names.
    given = dict(zip((item.name for item in subject.graph.inputs), prepared, strict=True))
    ordered = [given[exact.tensors[index].name] for index in exact.inputs]
    fed = [[values[number][None] for values in ordered] for number in range(len(rows))]
    cuts = list_cuts(graph, exact, twins)
    handed = sorted({index for cut in cuts for index in cut.tensors})
    each = sum(_count_bytes(graph, index) for index in handed)
    kept = min(len(rows), max(1, _KEPT_BYTES // max(each, 1)))
    noun = subject.predictor.modality.plural
    found = compare_tensors(
        (content, twin_content),
        (graph, exact),
        twins,
        fed,
        keep=handed,
        keep_samples=kept,
        tell=lambda done: told(f"comparing tensors on {len(rows)} {noun}", done, len(rows)),
    )
    head, labels = subject.predictor.head, subject.predictor.labels
    judge = Judge(head, labels, split.targets[rows], found.exact)
    if kept < len(rows):
        remarks.append(f"operators were judged on {kept} {noun}, whose tensors fit into memory")
    scores = score_cuts(
        twin_content,
        graph,
        cuts,
        twins,
        found.kept,
        tell=lambda done: told("judging each operator", done, len(cuts)),
    )
    costs = list_costs(graph, cuts, [judge.measure(x) for x in (found.exact[:kept], *scores)])
    trained = score_samples(float_content, fed) if changed else found.exact
    whole = Judge(head, labels, split.targets[rows], trained).measure(found.scores)
    return {
        "run": str(run),
        "samples": len(rows),
        "split": split.name,
        "noun": noun,
        "metric": {"name": judge.metric, **asdict(head.figures.catalogue[judge.metric])},
        "float": judge.describe(trained),
        "file": judge.describe(found.scores),
        "agreement": whole.agreement,
        "scores_error": math.sqrt(whole.noise),
        "compared": len(found.errors),
        "tensors": [item.to_dict() for item in found.errors],
        "operators": costs,
        "costliest": _find_costliest(costs),
        "remarks": remarks,
    }


def _find_costliest(costs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Returns the operator of which most is known to be lost, else that which seems to."""
    clear = next((row for row in costs if row["is_clear"]), None)
    return clear or (costs[0] if costs and costs[0]["share"]["value"] > 0 else None)


def _check_ends(graph: Graph, exact: Graph, source: str) -> None:
    """Refuses a file whose inputs take, or whose outputs are, something else than the run's."""

    def sizes(side: Graph) -> list[tuple[int, ...]]:
        return [side.tensors[index].shape for index in (*side.inputs, *side.outputs)]

    if sizes(graph) != sizes(exact):
        raise ModelError(
            f"model {source!r}: expected ends of the shapes {sizes(exact)}, as the run's network "
            f"has. Received: {sizes(graph)}. Give the run that it was exported from."
        )


def _count_bytes(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return int(np.prod(tensor.shape, dtype=np.int64)) * np.dtype(tensor.dtype).itemsize
