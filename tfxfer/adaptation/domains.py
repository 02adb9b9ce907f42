"""Several sources: how near each is to a target, and how a classifier does on one it has not seen.

All of it is measured on pooled features of the network as its weights came, in seconds. It says how
the sources differ; how the trained network does, only its own test says.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.evaluation.scoring import score_predictions
from tfxfer.trust.distances import find_width, measure_mmd
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.probe import can_judge, fit_probe, predict_out_of_fold

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["MOST_TIMES", "Transfer", "measure_distances", "measure_transfer", "weigh_domains"]

MOST_TIMES = 4.0
"""How many times the weight of the farthest source the nearest one may have."""

_MOST_MEASURED = 500  # samples of a side: all pairs of them are compared
_MOST_PROBED = 4_000  # samples that probes are fitted to: seconds, not minutes


@dataclass(frozen=True)
class Transfer:
    """How a linear probe does on the samples of one source.

    Args:
        samples: of it, that it was asked about.
        seen: the headline of probes that learnt from all sources, but not from these samples;
            None where the figure does not exist.
        unseen: that of a probe which learnt from the other sources alone.
    """

    samples: int
    seen: Estimate | None
    unseen: Estimate | None


def measure_distances(
    features: np.ndarray, domains: np.ndarray, target: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Returns how far each source is from the target, as the squared maximum mean discrepancy.

    The unbiased estimate, so that a source of few samples is not far for that alone, with one width
    of the kernel for all of them: each source has the same say in it, and the target, too. 500
    samples of a side are drawn where there are more.

    Args:
        features: of the sources' samples.
        domains: which source each is from, 0, 1, ….
        target: features of the target.
        seed: of the draws.

    Shapes: features and target (samples, features), domains (samples,); returns (domains,).

    Source:
        Gretton et al. 2012, see `measure_mmd`.
    """
    rng = np.random.default_rng(seed)
    other = target[_draw(len(target), _MOST_MEASURED, rng)]
    sources = []
    for number in range(int(domains.max()) + 1):
        members = np.flatnonzero(domains == number)
        sources.append(features[members[_draw(len(members), _MOST_MEASURED, rng)]])
    each = min(map(len, (*sources, other)))
    parts = (*sources, other)
    spread = [part[np.linspace(0, len(part) - 1, each).round().astype(int)] for part in parts]
    width = find_width(np.concatenate(spread))
    found = [measure_mmd(side, other, permutations=1, width=width)[0] for side in sources]
    return np.array(found)


def weigh_domains(distances: np.ndarray) -> np.ndarray:
    """Returns how much a sample of each source counts: in inverse proportion to its distance.

    Args:
        distances: of each to the target; an estimate may be a little below 0.

    Shapes: (domains,), both.

    Returns:
        Weights whose mean is 1, of which none is more than `MOST_TIMES` another.

    Source:
        Shepard 1968, https://doi.org/10.1145/800186.810616, for inverse distances; that they weigh
        sources, and the bound, are ours.

    Example:
        >>> weigh_domains(np.array([0.1, 0.3])).round(3).tolist()
        [1.5, 0.5]
        >>> weigh_domains(np.array([-0.001, 0.3])).round(3).tolist()
        [1.6, 0.4]
    """
    held = np.maximum(distances, max(distances.max(), 0) / MOST_TIMES)
    if not held.any():
        return np.ones(len(held))
    near = 1 / held
    found: np.ndarray = near / near.mean()
    return found


def measure_transfer(
    features: np.ndarray,
    targets: np.ndarray,
    domains: np.ndarray,
    *,
    head: Head,
    labels: Sequence[str],
    groups: Sequence[Hashable],
    seed: int = 0,
) -> tuple[str, tuple[Transfer, ...]]:
    """Returns how a linear probe does on each source, with the others alone and with all of them.

    Args:
        features: pooled, of the sources' samples.
        targets: of these, each of one class.
        domains: which source each is from, 0, 1, ….
        head: the task.
        labels: names of the outputs.
        groups: of each sample: near copies share one.
        seed: of the folds, the draws and the intervals.

    Shapes: features (samples, features), targets (samples, outputs), domains and groups (samples,).

    Returns:
        The name of the headline, and a row for each source; no rows where nothing can be told.

    Source:
        Gulrajani and Lopez-Paz 2021, https://arxiv.org/abs/2007.01434, for leaving one domain out;
        they train the network for each, which `--leave-out` does for one.
    """
    classes = head.find_classes(targets)
    count = int(domains.max()) + 1
    if classes is None or count < 2:
        return "", ()
    chosen = _draw(len(features), _MOST_PROBED, np.random.default_rng(seed))
    features, classes, domains = features[chosen], classes[chosen], domains[chosen]
    targets, groups = targets[chosen], [groups[index] for index in chosen.tolist()]
    outside = [domains != number for number in range(count)]
    if not can_judge(classes, groups) or any(len(set(classes[x].tolist())) < 2 for x in outside):
        return "", ()
    width = len(labels)
    seen = predict_out_of_fold(features, classes, seed=seed, groups=groups, class_count=width)
    known = np.isfinite(seen).all(axis=1)
    headline = str(
        score_predictions(targets[known], seen[known], head=head, labels=labels, seed=seed)[
            "headline"
        ]
    )
    rows = []
    for number in range(count):
        asked = (domains == number) & known
        if not asked.any():
            rows.append(Transfer(0, None, None))
            continue
        probe = fit_probe(features[outside[number]], classes[outside[number]], class_count=width)
        ends = []
        for scores in (seen[asked], probe.predict(features[asked])):
            found = score_predictions(targets[asked], scores, head=head, labels=labels, seed=seed)
            ends.append(Estimate.of(found[headline]) if headline in found else None)
        rows.append(Transfer(int(asked.sum()), *ends))
    return headline, tuple(rows)


def _draw(count: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Returns numbers of so many samples at most, in order."""
    return np.sort(rng.permutation(count)[:most])
