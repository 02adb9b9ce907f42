"""How much the likelihood of a task depends on each weight: the diagonal of the Fisher information.

For a sample x it is E over y ~ p(y | x) of (∂ log p(y | x) / ∂wᵢ)², with the model's own p. Of a
softmax, of sigmoids and of a mean of variance 1 alike, ∂ log p / ∂logits is the answer less its
expectation, and of another variance that over it; one answer is drawn a sample, which is right on
average and costs one gradient.

Source:
    Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796; that y is drawn from the model, and
    is not the label: Kunstner et al. 2019, Limitations of the Empirical Fisher Approximation,
    https://arxiv.org/abs/1905.12558, section 3. That those of tasks in succession are added: Huszár
    2018, https://doi.org/10.1073/pnas.1717042115.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfxfer.errors import RunError
from tfxfer.system.archives import check_stored
from tfxfer.system.files import atomic_write

__all__ = [
    "Importances",
    "add_importances",
    "draw_residuals",
    "mean_squares",
    "read_importances",
    "write_importances",
]

Importances = Mapping[str, Sequence[np.ndarray]]
"""Of each weight of a layer, by its name."""


def draw_residuals(
    scores: np.ndarray,
    link: str | None,
    rng: np.random.Generator,
    scale: np.ndarray | None = None,
) -> np.ndarray:
    """Returns ∂ log p(y | x) / ∂logits of an answer drawn for each sample.

    Args:
        scores: of the model.
        link: what makes them of the logits: `softmax`, `sigmoid`, or None for a number that is the
            mean of a normal distribution.
        rng: that draws.
        scale: standard deviation of that distribution, an output each; None is 1.

    Shapes: (samples, outputs); returns the same, float32.
    """
    if link == "softmax":
        edges = np.cumsum(scores, axis=1, dtype=np.float64)
        edges /= edges[:, -1:]
        drawn = (rng.random((len(scores), 1)) > edges).sum(axis=1)
        answers = np.eye(scores.shape[1])[np.minimum(drawn, scores.shape[1] - 1)]
        residuals = answers - scores
    elif link == "sigmoid":
        residuals = (rng.random(scores.shape) < scores) - scores
    else:
        residuals = rng.standard_normal(scores.shape) / (1.0 if scale is None else scale)
    return residuals.astype(np.float32)


def mean_squares(gradients: Iterable[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Returns the mean of the squared gradients of samples, weight by weight.

    Raises:
        ValueError: there are none.

    Example:
        >>> [x.tolist() for x in mean_squares([[np.array([1.0, 2.0])], [np.array([3.0, 0.0])]])]
        [[5.0, 2.0]]
    """
    total: list[np.ndarray] = []
    count = 0
    for sample in gradients:
        squares = [np.square(x, dtype=np.float64) for x in sample]
        total = [a + b for a, b in zip(total, squares, strict=True)] if count else squares
        count += 1
    if not count:
        raise ValueError("mean of squared gradients: expected a sample. Received: none.")
    return [(x / count).astype(np.float32) for x in total]


def add_importances(earlier: Importances, later: Importances) -> dict[str, list[np.ndarray]]:
    """Returns what two tasks in succession ask for together.

    The later one may have further labels, along the last axis, of which the earlier one knows
    nothing: they count 0 there.

    Example:
        >>> found = add_importances({"a": [np.ones(1)]}, {"a": [np.ones(2)], "b": [np.ones(1)]})
        >>> [x.tolist() for x in (*found["a"], *found["b"])]
        [[2.0, 1.0], [1.0]]
    """
    found = {name: [np.array(x) for x in weights] for name, weights in later.items()}
    for name, weights in earlier.items():
        if name not in found:
            found[name] = [np.array(x) for x in weights]
            continue
        for total, weight in zip(found[name], weights, strict=True):
            total[..., : weight.shape[-1]] += weight
    return found


def write_importances(path: Path, found: Importances) -> None:
    """Writes a file that `read_importances` reads.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    arrays = {
        f"{number}:{name}": weight
        for name, weights in found.items()
        for number, weight in enumerate(weights)
    }
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_importances(path: Path) -> dict[str, list[np.ndarray]]:
    """Reads what `write_importances` wrote.

    Raises:
        RunError: it is something else.
    """
    found: dict[str, list[np.ndarray]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            check_stored(file.zip)
            for key in file.files:
                number, name = key.split(":", 1)
                weights = found.setdefault(name, [])
                if int(number) != len(weights):
                    raise ValueError(f"weight {number} of {name!r} out of order")
                weights.append(np.asarray(file[key], np.float32))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(
            f"importances {str(path)!r}: expected the file that a training with --keep ewc wrote. "
            f"Received: {error}."
        ) from error
    return found
