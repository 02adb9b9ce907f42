"""What `training.py` found, as the claims it stands for: time, accuracy, paired differences.

python benchmarks/claims.py [--training runs/benchmarks/training.json]
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, read_record, write_record


def main() -> None:
    parser = make_parser(__doc__, name="claims")
    parser.add_argument("--training", type=Path)
    options = parser.parse_args()
    path = options.training or options.json.parent / "training.json"
    runs = read_record(path).get("runs", {})
    if not runs:
        sys.exit(f"expected figures in {path}. Received: none. Run benchmarks/training.py first")
    quality = list(compare_quality(runs, path.parent / "scores"))
    print_table(
        ("set", "way", "seeds", "test accuracy", "macro-F1", "ours - this, points [95 %]"),
        [
            (
                row["set"],
                row["way"],
                row["seeds"],
                f"{100 * row['accuracy']:.1f} %",
                f"{100 * row['macro_f1']:.1f} %",
                "{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(**row["gain"])
                if row["gain"]
                else "",
            )
            for row in quality
        ],
    )
    print()
    speed = list(compare_speed(runs))
    print_table(
        ("set", "against", "seeds", "theirs, s", "ours, s", "times faster"),
        [
            (
                row["set"],
                row["against"],
                row["seeds"],
                f"{row['theirs_s']:.0f}",
                f"{row['ours_s']:.0f}",
                f"{row['times_faster']:.1f}",
            )
            for row in speed
        ],
    )
    write_record(options.json, {"quality": quality, "speed": speed})


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

    for name, ways in sorted(group(runs).items()):
        for way, seeds in ways.items():
            columns = {way: "test"} | ({f"{way}, head": "head_test"} if way == "guide" else {})
            for label, column in columns.items():
                shared = sorted(set(seeds) & set(ways.get("ours", {})))
                gain = None
                if way != "ours" and shared:
                    files = [
                        [np.load(scores / f"{name}-{seed}-{x}.npz") for x in ("ours", way)]
                        for seed in shared
                    ]
                    key = "head_scores" if column == "head_test" else "scores"
                    gain = paired_difference(
                        np.concatenate([ours["targets"] for ours, _ in files]),
                        np.concatenate([ours["scores"] for ours, _ in files]),
                        np.concatenate([theirs[key] for _, theirs in files]),
                        task="classification",
                        metric="accuracy",
                    )
                yield {
                    "set": name,
                    "way": label,
                    "seeds": len(seeds),
                    "accuracy": mean(run[column]["accuracy"]["value"] for run in seeds.values()),
                    "macro_f1": mean(run[column]["macro_f1"]["value"] for run in seeds.values()),
                    "gain": gain,
                }


def compare_speed(runs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields how much sooner ours is there, medians over the seeds both have."""
    for name, ways in sorted(group(runs).items()):
        ours = ways.get("ours", {})
        pairs: dict[str, list[tuple[float, float]]] = {}
        for seed, run in ways.get("uncached", {}).items():
            if seed in ours:
                pairs.setdefault("the same schedule, uncached", []).append(
                    (run["seconds"], ours[seed]["seconds"])
                )
        for seed, run in ways.get("guide", {}).items():
            if seed not in ours:
                continue
            head = [epoch for epoch in run["epochs"] if epoch["phase"] == "head"]
            for what, epochs in (("guide, its head phase", head), ("guide, whole", run["epochs"])):
                best = max(epoch["val_accuracy"] for epoch in epochs)
                theirs = first_reached(epochs, best)
                reached = first_reached(ours[seed]["epochs"], best)
                pairs.setdefault(f"{what}: its best validation", []).append(
                    (theirs, reached if reached is not None else float("inf"))
                )
                pairs.setdefault(f"{what}: all of it", []).append(
                    (epochs[-1]["seconds"], reached if reached is not None else float("inf"))
                )
        for against, found in pairs.items():
            theirs_s, ours_s = (statistics.median(x[i] for x in found) for i in (0, 1))
            yield {
                "set": name,
                "against": against,
                "seeds": len(found),
                "theirs_s": theirs_s,
                "ours_s": ours_s,
                "times_faster": statistics.median(theirs / ours for theirs, ours in found),
            }


def first_reached(epochs: list[dict[str, Any]], accuracy: float) -> Any:
    """Returns the seconds at which a validation accuracy is first there; None where never."""
    return next((x["seconds"] for x in epochs if x["val_accuracy"] >= accuracy), None)


def mean(values: Any) -> float:
    return statistics.fmean(values)


if __name__ == "__main__":
    main()
