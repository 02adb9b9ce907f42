"""What `training.py` found, as the claims it stands for: time, accuracy, paired differences.

python benchmarks/claims.py [--training runs/benchmarks/training.json]
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, read_record, scores_folder, write_record

BATCH_IMAGES = 32  # of every way


def main() -> None:
    parser = make_parser(__doc__, name="claims")
    parser.add_argument("--training", type=Path)
    options = parser.parse_args()
    path = options.training or options.json.parent / "training.json"
    runs = read_record(path).get("runs", {})
    if not runs:
        sys.exit(f"expected figures in {path}. Received: none. Run benchmarks/training.py first")
    quality = list(compare_quality(runs, scores_folder(path)))
    print_table(
        (
            "set",
            "way",
            "seeds",
            "accuracy",
            "ours, same seeds",
            "ours - this",
            "macro-F1",
            "- this",
        ),
        [
            (
                row["set"],
                row["way"],
                row["seeds"],
                "{value:.1%} [{low:.1%}, {high:.1%}]".format(**row["accuracy"]),
                "" if row["ours_accuracy"] is None else f"{row['ours_accuracy']:.1%}",
                describe(row["gain"].get("accuracy")),
                f"{row['macro_f1']:.1%}",
                describe(row["gain"].get("macro_f1")),
            )
            for row in quality
        ],
    )
    print()
    speed = list(compare_speed(runs))
    print_table(
        ("set", "against", "seeds", "theirs, s", "ours, s", "times faster", "each seed"),
        [
            (
                row["set"],
                row["against"],
                row["seeds"],
                f"{row['theirs_s']:.0f}",
                "never" if row["ours_s"] is None else f"{row['ours_s']:.0f}",
                f"{row['times_faster']:.1f}",
                ", ".join(
                    f"{x['theirs_s']:.0f} / "
                    + ("never" if x["ours_s"] is None else f"{x['ours_s']:.0f}")
                    for x in row["each"]
                ),
            )
            for row in speed
        ],
    )
    print()
    steps = list(compare_steps(runs))
    print_table(
        ("set", "seed", "accuracy reached", "ours, steps", "from random weights", "times"),
        [
            (
                row["set"],
                row["seed"],
                f"{row['val_accuracy']:.1%}",
                row["ours_steps"],
                row["scratch_steps"],
                f"{row['times']:.1f}",
            )
            for row in steps
        ],
    )
    write_record(options.json, {"quality": quality, "speed": speed, "steps": steps})


def describe(gain: dict[str, float] | None) -> str:
    """Returns a difference in points with its 95 % interval."""
    return "" if gain is None else "{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(**gain)


def group(runs: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns runs by set, way and seed."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for key, run in runs.items():
        name, seed, way = key.split("/")
        found.setdefault(name, {}).setdefault(way, {})[seed] = run
    return found


def compare_quality(runs: dict[str, Any], scores: Path) -> Iterator[dict[str, Any]]:
    """Yields means over seeds, and the difference to ours paired by image over all seeds."""
    import numpy as np

    from tfxfer.evaluation import paired_difference
    from tfxfer.registry.lookup import get_head

    head = get_head("classification")
    for name, ways in sorted(group(runs).items()):
        judged = [(way, *kept) for way in ways for kept in kept_epochs(way)]
        for way, label, prefix in judged:
            seeds, column, key = ways[way], f"{prefix}test", f"{prefix}scores"
            ours_runs = ways.get("ours", {})
            shared = sorted(set(seeds) & set(ours_runs))
            gain: dict[str, Any] = {}
            if way != "ours" and shared:
                files = [
                    [np.load(scores / f"{name}-{seed}-{x}.npz") for x in ("ours", way)]
                    for seed in shared
                ]
                gain = {
                    metric: paired_difference(
                        np.concatenate([ours["targets"] for ours, _ in files]),
                        np.concatenate([ours["scores"] for ours, _ in files]),
                        np.concatenate([theirs[key] for _, theirs in files]),
                        head=head,
                        metric=metric,
                    )
                    for metric in ("accuracy", "macro_f1")
                }
            yield {
                "set": name,
                "way": label,
                "seeds": len(seeds),
                "accuracy": pool(
                    [run[column]["accuracy"]["value"] for run in seeds.values()], seeds
                ),
                "macro_f1": mean(run[column]["macro_f1"]["value"] for run in seeds.values()),
                "ours_accuracy": mean(ours_runs[x]["test"]["accuracy"]["value"] for x in shared)
                if gain
                else None,
                "gain": gain,
            }


def kept_epochs(way: str) -> list[tuple[str, str]]:
    """Returns what a way can be judged by: a label, and what its figures' keys begin with.

    The guide keeps the last epoch of its head phase; early stopping would keep the best one. Which
    of them does better on test images differs from set to set.
    """
    if way != "guide_head":
        return [(way, "")]
    return [(f"{way}, its last epoch", ""), (f"{way}, its best epoch", "head_")]


def pool(shares: list[float], seeds: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Returns the mean of some proportions with Wilson's interval for all of their images.

    The seeds' test sets overlap, so it is a little too narrow.
    """
    from tfxfer.evaluation.intervals import wilson

    images = sum(run["images"]["test"] for run in seeds.values())
    return wilson(mean(shares) * images, images)


def compare_steps(runs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields how many steps each start takes to the best validation accuracy both reach."""
    for name, ways in sorted(group(runs).items()):
        for seed in sorted(set(ways.get("scratch", {})) & set(ways.get("ours", {}))):
            scratch, ours = ways["scratch"][seed], ways["ours"][seed]
            goal = max(x["val_accuracy"] for x in scratch["epochs"])
            goal = min(goal, max(x["val_accuracy"] for x in ours["epochs"]))
            each = math.ceil(ours["images"]["train"] / BATCH_IMAGES)
            counts = [
                each * next(n for n, x in enumerate(run["epochs"], 1) if x["val_accuracy"] >= goal)
                for run in (ours, scratch)
            ]
            yield {
                "set": name,
                "seed": seed,
                "val_accuracy": goal,
                "ours_steps": counts[0],
                "scratch_steps": counts[1],
                "times": counts[1] / counts[0],
                "scratch_best": max(x["val_accuracy"] for x in scratch["epochs"]),
                "ours_best": max(x["val_accuracy"] for x in ours["epochs"]),
            }


def compare_speed(runs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields how much sooner ours is there, medians over the seeds both have."""
    for name, ways in sorted(group(runs).items()):
        ours = ways.get("ours", {})
        pairs: dict[str, list[tuple[float, float]]] = {}
        for seed, run in comparable(ways, "uncached"):
            pairs.setdefault("the same schedule, uncached", []).append(
                (run["seconds"], ours[seed]["seconds"])
            )
        for way, what in (("guide_head", "guide, its head phase"), ("guide", "guide, whole")):
            for seed, run in comparable(ways, way):
                epochs = run["epochs"]
                best = max(epoch["val_accuracy"] for epoch in epochs)
                reached = first_reached(ours[seed]["epochs"], best)
                if reached is None:
                    reached = float("inf")
                for until, seconds in (
                    ("its best validation", first_reached(epochs, best)),
                    ("all of it", epochs[-1]["seconds"]),
                ):
                    pairs.setdefault(f"{what}: {until}", []).append((seconds, reached))
        for against, found in pairs.items():
            theirs_s, ours_s = (statistics.median(x[i] for x in found) for i in (0, 1))
            yield {
                "set": name,
                "against": against,
                "seeds": len(found),
                "theirs_s": theirs_s,
                "ours_s": ours_s if math.isfinite(ours_s) else None,  # JSON has no infinity
                "times_faster": statistics.median(theirs / ours for theirs, ours in found),
                "each": [
                    {"theirs_s": theirs, "ours_s": ours if math.isfinite(ours) else None}
                    for theirs, ours in found
                ],
            }


def comparable(
    ways: dict[str, dict[str, dict[str, Any]]], way: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the runs of one way for which ours ran with the same seed on as many cores."""
    for seed, run in ways.get(way, {}).items():
        ours = ways.get("ours", {}).get(seed)
        if ours is not None and ours.get("cores") == run.get("cores"):
            yield seed, run


def first_reached(epochs: list[dict[str, Any]], accuracy: float) -> Any:
    """Returns the seconds at which a validation accuracy is first there; None where never."""
    return next((x["seconds"] for x in epochs if x["val_accuracy"] >= accuracy), None)


def mean(values: Any) -> float:
    return statistics.fmean(values)


if __name__ == "__main__":
    main()
