"""What balanced sources, closeness to a target and density ratios gain, on frozen features.

    python benchmarks/sources.py --data FOLDER [--seeds 0,1,2] [--targets art_painting,cartoon]

The features are those of `adaptation.py`, computed once and kept beside the record. Two looks of
pacs3 are learnt from, the third one tests: all labelled with 525 images a look, or one of them with
60. `pooled` is logistic regression on all of them alike, C = 0.01, and what everything else is held
against: `best alone` on the better source (which nobody can know without labels of the target),
`balanced` (each source counts the same), `near` (by closeness to the target, too), `reweighted`
(density ratios) and `auto`, which fits the last layer to the target after pooling.

`shifted` plants a covariate shift into one look: of its images those with a small first principal
component are likelier to be learnt from, the others to be tested with, so that the true ratio is
known. `true ratios` is what weights from it gain. Rows that an earlier call measured are kept.
"""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from adaptation import LOOKS, read_features
from record import make_parser, print_table, read_record, write_record

SIZES = ((525, 525), (60, 525), (525, 60))
SHIFTED = (*LOOKS, "flowers5")
STEEPNESS = 1.5  # of the planted shift, for a component of deviation 1: ratios from 0.05 to 20
RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Trial:
    """Samples of one source or more, and a look that tests.

    Args:
        kind: under which results are averaged.
        name: of the target.
        seed: that drew it.
        source: features that are learnt from.
        classes: their labels.
        domains: which source each is of.
        target: features of the target.
        truth: what its samples are.
        tested: which images they are, for pairs over seeds.
        ratios: the true ratio of each source sample; None where nobody knows it.
    """

    kind: str
    name: str
    seed: int
    source: np.ndarray
    classes: np.ndarray
    domains: np.ndarray
    target: np.ndarray
    truth: np.ndarray
    tested: np.ndarray
    ratios: np.ndarray | None = None

    @property
    def key(self) -> str:
        """What a row of the record is found by."""
        return f"{self.kind}, {self.name}, {self.seed}"


def main() -> None:
    parser = make_parser(__doc__, name="sources")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--targets", default=",".join(LOOKS))
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    place = options.json.with_name(f"adaptation_{options.backbone}.npz")
    features = read_features(options.data, options.backbone, place)
    seeds = tuple(map(int, options.seeds.split(",")))
    targets = options.targets.split(",")
    rows = read_record(options.json).get("rows", {})
    trials = [*draw_sources(features, targets, seeds), *draw_shifted(features, seeds)]
    for trial in trials:
        if trial.key not in rows:
            rows[trial.key] = measure(trial)
            print(trial.key, file=sys.stderr, flush=True)
            write_record(options.json, {"rows": rows, "load": os.getloadavg()[0]})
    show([rows[trial.key] for trial in trials])


def draw_sources(
    features: dict[str, np.ndarray], targets: Sequence[str], seeds: Sequence[int]
) -> Iterator[Trial]:
    """Yields each look as the target of the other two, as many images of both, or few of one."""
    for name, sizes, seed in itertools.product(targets, SIZES, seeds):
        rng = np.random.default_rng(seed)
        looks = [look for look in LOOKS if look != name]
        parts = [
            (look, np.sort(rng.permutation(len(features[look]))[:size]))
            for look, size in zip(looks, sizes, strict=True)
        ]
        truth = features[f"{name}_labels"]
        yield Trial(
            "sources " + ":".join(map(str, sizes)), name, seed,
            np.concatenate([features[look][chosen] for look, chosen in parts]),
            np.concatenate([features[f"{look}_labels"][chosen] for look, chosen in parts]),
            np.repeat([0, 1], sizes), features[name], truth, np.arange(len(truth)),
        )  # fmt: skip


def draw_shifted(features: dict[str, np.ndarray], seeds: Sequence[int]) -> Iterator[Trial]:
    """Yields a look of which some images are likelier to be learnt from than to be tested with."""
    for name, seed in itertools.product(SHIFTED, seeds):
        values, labels = features[name], features[f"{name}_labels"]
        centred = values - values.mean(axis=0)
        component = np.linalg.eigh(centred.T @ centred)[1][:, -1]
        place = centred @ component
        place = place / place.std()
        chance = 1 / (1 + np.exp(-STEEPNESS * place))
        is_target = np.random.default_rng(seed).random(len(place)) < chance
        ratios = (chance / (1 - chance))[~is_target]
        yield Trial(
            "shifted", name, seed, values[~is_target], labels[~is_target],
            np.zeros(int((~is_target).sum()), int), values[is_target], labels[is_target],
            np.flatnonzero(is_target), ratios * (~is_target).sum() / is_target.sum(),
        )  # fmt: skip


def measure(trial: Trial) -> dict[str, Any]:
    """Returns which images of the target each way gets right, and what was measured of it."""
    from tfxfer.adaptation.choice import choose_adaptation
    from tfxfer.adaptation.density_ratio import MOST_RATIO, count_effective, estimate_ratios
    from tfxfer.adaptation.domains import measure_distances, weigh_domains

    count, domains = len(trial.source), trial.domains
    found = estimate_ratios(trial.source, trial.target, seed=trial.seed)
    answers = {"pooled": fit(trial), "reweighted": fit(trial, found.weights)}
    row: dict[str, Any] = {
        "kind": trial.kind, "name": trial.name, "seed": trial.seed, "samples": count,
        "tested": trial.tested.tolist(), "effective": found.effective / count,
        "separation": found.separation,
    }  # fmt: skip
    if trial.ratios is None:
        sizes = np.bincount(domains)
        balanced = count / (len(sizes) * sizes[domains])
        distances = measure_distances(trial.source, domains, trial.target, seed=trial.seed)
        answers["balanced"] = fit(trial, balanced)
        answers["near"] = fit(trial, balanced * weigh_domains(distances)[domains])
        classes = np.eye(int(trial.classes.max()) + 1)[trial.classes]
        choice = choose_adaptation(
            trial.source, classes, trial.target, answers["pooled"], seed=trial.seed
        )
        answers["auto"] = choice.answers
        alone = [fit(trial, only=domains == number) for number in range(len(sizes))]
        answers["best alone"] = max(alone, key=lambda x: (x.argmax(axis=1) == trial.truth).mean())
        row["distances"], row["kept"] = distances.tolist(), choice.method
    else:
        held = np.minimum(trial.ratios, MOST_RATIO)
        held = held / held.mean()
        answers["true ratios"] = fit(trial, held)
        row["true_effective"] = count_effective(held) / count
        row["correlation"] = float(np.corrcoef(np.log(held), np.log(found.weights + 1e-9))[0, 1])
    row["right"] = {
        name: (scores.argmax(axis=1) == trial.truth).astype(int).tolist()
        for name, scores in answers.items()
    }
    return row


def fit(
    trial: Trial, weights: np.ndarray | None = None, only: np.ndarray | None = None
) -> np.ndarray:
    """Returns the target's scores of logistic regression on some samples: (samples, classes)."""
    from sklearn.linear_model import LogisticRegression

    chosen = slice(None) if only is None else only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an end that is not reached to the last digit
        model = LogisticRegression(C=0.01, max_iter=300, tol=1e-3)
        model.fit(trial.source[chosen], trial.classes[chosen], sample_weight=weights)
    found: np.ndarray = model.predict_proba(trial.target)
    return found


def compare(rows: Sequence[dict[str, Any]], name: str) -> tuple[float, float, float]:
    """Returns by how many points a way is above `pooled`, with a 95 % interval.

    Images are drawn, each with all of its seeds: seeds share them, and are no samples of their own.
    """
    sums: dict[int, list[float]] = {}
    for row in rows:
        pairs = zip(row["tested"], row["right"][name], row["right"]["pooled"], strict=True)
        for image, mine, other in pairs:
            sums.setdefault(image, []).append(mine - other)
    totals = np.array([sum(found) for found in sums.values()], float)
    counts = np.array([len(found) for found in sums.values()], float)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(totals), np.full(len(totals), 1 / len(totals)), RESAMPLES)
    means = 100 * (drawn @ totals) / (drawn @ counts)
    low, high = np.quantile(means, (0.025, 0.975))
    return 100 * totals.sum() / counts.sum(), float(low), float(high)


def show(rows: list[dict[str, Any]]) -> None:
    for shifted in (False, True):
        of_kind = [row for row in rows if (row["kind"] == "shifted") is shifted]
        if not of_kind:
            continue
        names = ("reweighted", "true ratios") if shifted else (
            "best alone", "balanced", "near", "reweighted", "auto"
        )  # fmt: skip
        table = []
        for kind, name in dict.fromkeys((row["kind"], row["name"]) for row in of_kind):
            some = [row for row in of_kind if (row["kind"], row["name"]) == (kind, name)]
            pooled = 100 * np.mean([np.mean(row["right"]["pooled"]) for row in some])
            ends = [compare(some, other) for other in names]
            cells = [f"{value:+.1f} [{low:+.1f}, {high:+.1f}]" for value, low, high in ends]
            effective = np.mean([row["effective"] for row in some])
            table.append((kind, name, f"{pooled:.1f}", *cells, f"{effective:.0%}"))
        print_table(("kind", "target", "pooled", *names, "effective"), table)
        print()


if __name__ == "__main__":
    main()
