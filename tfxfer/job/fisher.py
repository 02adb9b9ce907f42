"""The Fisher information of a run's own samples, which `--keep ewc` weighs its penalty by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tfxfer.data.arrays import list_arrays, map_arrays
from tfxfer.data.loading import load_split
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import RunError
from tfxfer.job.earlier import EarlierRun
from tfxfer.keeping.anchor import list_learnt
from tfxfer.keeping.fisher import (
    Importances,
    add_importances,
    draw_residuals,
    mean_squares,
    read_importances,
)
from tfxfer.progress import Progress
from tfxfer.schedule import Phase
from tfxfer.stages import get_info, set_trainable
from tfxfer.trust.gradients import WeightGradients

__all__ = [
    "find_frontier",
    "list_importances",
    "load_learnt",
    "measure_importances",
    "measure_scale",
]

_MOST_SAMPLES = 200
"""One gradient each; the standard error of a mean of squares of 200 is a tenth of it or so."""


def list_importances(
    earlier: EarlierRun,
    model: Any,
    stage: str | None,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Importances:
    """Returns how much each weight of an earlier run matters to it.

    Args:
        earlier: the run; where it was trained with `--keep ewc` itself, what it keeps is read, and
            only layers that it kept frozen are measured.
        model: that is trained next, whose weights have further entries where there are labels more.
        stage: up to which everything stays frozen: of what comes before nothing is measured.
        seed: of the answers that are drawn.
        progress: told of samples done.

    Raises:
        RunError: something has to be measured, and its samples are gone.
    """
    found = read_importances(earlier.fisher_path) if earlier.fisher_path.is_file() else {}
    unknown = _list_trained(earlier.model, stage) - set(found)
    if unknown:
        # It held less than what trains now, or nothing: of the rest its own samples have to tell.
        if not earlier.find_learnt(1):
            raise RunError(
                f"--keep ewc: expected samples that run {str(earlier.run.path)!r} learnt from, "
                "since it kept layers frozen that train now, and does not know which of their "
                "weights matter. Received: none that are as it had them. Put them back, or train "
                "no more of the network than it did: --unfreeze-from"
            )
        split = load_learnt(earlier, _MOST_SAMPLES)
        measured = measure_importances(earlier.model, split, stage, seed=seed, progress=progress)
        found |= {name: weights for name, weights in measured.items() if name in unknown}
    nothing = {
        layer.name: [np.zeros(x.shape, np.float32) for x in list_learnt(layer)]
        for layer in model.layers
        if layer.name in found
    }
    return add_importances(found, nothing)


def _list_trained(model: Any, stage: str | None) -> set[str]:
    """Returns the names of the layers that train where everything up to a stage is frozen."""
    set_trainable(model, stage)
    return {layer.name for layer in model.layers if layer.trainable_variables}


def load_learnt(
    earlier: EarlierRun, count: int, parts: Collection[str] = ("train",)
) -> SampleSplit:
    """Returns some of the samples that an earlier run learnt from, as its model reads them.

    Args:
        earlier: the run, some of whose samples are still there.
        count: at most.
        parts: of its split.
    """
    info = get_info(earlier.model)
    assert earlier.root is not None
    return load_split(
        Source(earlier.root, earlier.find_learnt(count, parts), "folders"),
        modality=info.modality,
        size=info.size,
        contract=info.preprocessing,
        head=info.head,
        labels=info.labels,
        name="train",
    )


def measure_importances(
    model: Any,
    split: SampleSplit,
    stage: str | None,
    *,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, list[np.ndarray]]:
    """Returns the diagonal of the Fisher information on some samples of a split, by layer.

    Args:
        model: from `build_model` or `load_model`; which of its layers train changes.
        split: what it has learnt from.
        stage: only weights behind it are measured; None measures all.
        seed: of the samples and of the answers that are drawn.
        progress: told of samples done.
    """
    set_trainable(model, stage)
    gradients = WeightGradients(model, stage)
    rng, scale = np.random.default_rng(seed), measure_scale(split.targets)
    chosen = rng.permutation(len(split))[:_MOST_SAMPLES]

    def differentiate() -> Any:
        for done, index in enumerate(chosen.tolist()):
            if progress is not None:
                progress("measuring which weights matter", done, len(chosen))
            found = list_arrays(map_arrays(lambda x: x[:, 0], split.read_views([index])))
            yield gradients.compute(
                found, lambda scores: draw_residuals(scores, gradients.link, rng, scale)
            )

    squares = mean_squares(differentiate())
    if progress is not None:
        progress("measuring which weights matter", len(chosen), len(chosen))
    by_variable = {id(v): x for v, x in zip(gradients.variables, squares, strict=True)}
    return {
        layer.name: [
            by_variable.get(id(x), np.zeros(x.shape, np.float32)) for x in list_learnt(layer)
        ]
        for layer in model.layers
        if any(id(x) in by_variable for x in list_learnt(layer))
    }


def measure_scale(targets: np.ndarray) -> np.ndarray:
    """Returns the standard deviation of each output's targets, so that no unit counts; or 1.

    Shapes: targets (samples, outputs); returns float32 (outputs,).

    Example:
        >>> measure_scale(np.array([[1.0, 4.0], [3.0, 4.0]])).tolist()
        [1.0, 1.0]
    """
    found = targets.std(axis=0, dtype=np.float64)
    return np.where(found > 0, found, 1.0).astype(np.float32)


def find_frontier(schedule: Sequence[Phase], stages: Sequence[str]) -> str | None:
    """Returns the stage up to which every phase of a schedule keeps everything frozen.

    Example:
        >>> phases = [Phase("a", "s3", 1, 1e-3), Phase("b", "s1", 1, 1e-3)]
        >>> find_frontier(phases, ["s1", "s2", "s3"])
        's1'
    """
    found = [phase.stage for phase in schedule]
    if any(not isinstance(stage, str) for stage in found):
        return None
    return min(map(str, found), key=list(stages).index)
