"""Draws what `training.py` found: accuracy against time, and test accuracy of every set and way.

python benchmarks/pictures.py [--training runs/benchmarks/training.json] [--out docs/pictures]
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from claims import comparable, group
from record import make_parser, read_record

NAMES = {
    "ours": "tfxfer, defaults",
    "guide_head": "keras.io guide, head phase",
    "guide": "keras.io guide, whole",
    "probe": "logistic regression",
    "uncached": "tfxfer, no cache",
}
COLOURS = {
    "ours": "#0b5fa5",
    "guide_head": "#d9822b",
    "guide": "#b3402a",
    "probe": "#777777",
    "uncached": "#6a51a3",
}


def main() -> None:
    parser = make_parser(__doc__, name="pictures")
    parser.add_argument("--training", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    path = options.training or options.json.parent / "training.json"
    runs = group(read_record(path).get("runs", {}))
    if not runs:
        sys.exit(f"expected figures in {path}. Received: none. Run benchmarks/training.py first")
    options.out.mkdir(parents=True, exist_ok=True)
    for name, ways in runs.items():
        if {"ours", "guide_head"} <= set(ways):
            draw_time(name, ways, options.out / f"{name.replace('@', '_')}_time.svg")
    draw_quality(runs, options.out / "test_accuracy.svg")


def draw_time(name: str, ways: dict[str, dict[str, Any]], path: Path) -> None:
    """Draws the best validation accuracy so far against the seconds since the start."""
    figure, axes = new_figure(6.4, 3.6)
    for way in ("ours", "guide_head", "guide"):
        # Times on fewer cores say nothing beside ours.
        for number, (_, run) in enumerate(comparable(ways, way)):
            # The guide's own line goes on where that of its head phase ends.
            start = (
                sum(x.get("phase") == "head" for x in run["epochs"]) - 1 if way == "guide" else 0
            )
            seconds, best, top = [], [], 0.0
            for epoch in run["epochs"]:
                top = max(top, epoch["val_accuracy"])
                seconds.append(epoch["seconds"])
                best.append(100 * top)
            label = NAMES[way] if number == 0 else None
            axes.plot(seconds[start:], best[start:], color=COLOURS[way], label=label, lw=1.4)
    axes.set_xscale("log")
    ticks = [30, 60, 120, 300, 600, 1200, 2400]
    axes.set_xticks(ticks, [f"{x} s" if x < 120 else f"{x // 60} min" for x in ticks])
    axes.minorticks_off()
    axes.set_ylim(80, None)
    axes.set_xlabel("time since the start of the process, reading and caching included")
    axes.set_ylabel("best validation accuracy so far, %")
    axes.set_title(f"{name}, EfficientNet-Lite0, 2 CPU cores, one line a seed", loc="left")
    axes.legend(frameon=False, loc="lower right")
    save(figure, path)


def draw_quality(runs: dict[str, Any], path: Path) -> None:
    """Draws the mean test accuracy of each set and way, with every seed as a dot."""
    order = [way for way in NAMES if any(way in ways for ways in runs.values())]
    figure, axes = new_figure(6.4, 1.0 + 0.55 * len(runs))
    for row, ways in enumerate(runs.values()):
        for place, way in enumerate(order):
            if way not in ways:
                continue
            values = [100 * x["test"]["accuracy"]["value"] for x in ways[way].values()]
            height = [row + 0.14 * (place - len(order) / 2 + 0.5)] * len(values)
            axes.plot(values, height, ".", color=COLOURS[way], ms=4, alpha=0.6)
            mean = statistics.fmean(values)
            axes.plot(mean, height[0], "|", color=COLOURS[way], ms=10, mew=2.2, label=NAMES[way])
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(
        unique.values(), unique.keys(), frameon=False, fontsize=8, loc="outside upper left", ncols=3
    )
    axes.set_yticks(range(len(runs)), list(runs))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("test accuracy, %: bars are means, dots are seeds")
    save(figure, path)


def new_figure(width: float, height: float) -> Any:
    """Returns a figure with one pair of axes; sides in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """Writes the picture, alike for alike figures, and says where."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "tfxfer"}):
        figure.savefig(path, metadata={"Date": None})
    print(path)


if __name__ == "__main__":
    main()
