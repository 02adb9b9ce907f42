"""What following `tfxfer advise` gains or loses: against the fixed default, and the best of four.

Each set is trained as advised, by default, and with nothing, the last third, the last two thirds
or all of the network unfrozen; the commands of a user, one process each. The regret is what the
advised training has less than the best of the four, in points of test accuracy.

    python benchmarks/advice.py --data FOLDER [--sets NAME,…] [--seeds 0] [--image-size 128]

Small pictures make all of it affordable on 2 cores: whole networks are trained, too. What is in the
JSON file already is not trained again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, read_record, write_record

SETS = {
    "flowers5": "flowers5",
    "hymenoptera": "hymenoptera",
    "neu": "neu_surface_defects",
    "pacs3_art": "pacs3/art_painting",
    "elpv": None,  # comes with pip
}
WAYS: dict[str, tuple[str, ...]] = {
    "default": (),
    "frozen": ("--schedule", "head"),
    "last_third": ("--unfreeze-from", "0.67"),
    "two_thirds": ("--unfreeze-from", "0.33"),
    "all": ("--unfreeze-from", "0"),
}
OF_FOUR = ("frozen", "last_third", "two_thirds", "all")


def main() -> None:
    parser = make_parser(__doc__, name="advice")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--ways", default=",".join(("advised", *WAYS)))
    parser.add_argument("--image-size", default="128")
    options = parser.parse_args()
    runs: dict[str, Any] = read_record(options.json).get("runs", {})
    for name in options.sets.split(","):
        for seed in options.seeds.split(","):
            for way in options.ways.split(","):
                key = f"{name}/{options.image_size}/{seed}/{way}"
                if key not in runs:
                    runs[key] = train(find_data(name, options.data), seed, way, options.image_size)
                    print(key, runs[key]["accuracy"], flush=True)
                    write_record(options.json, {"runs": runs})
    show(runs)


def find_data(name: str, root: Path) -> str:
    """Returns what `tfxfer train` takes for a set."""
    folder = SETS[name]
    return "demo:elpv" if folder is None else str(root / folder)


def train(data: str, seed: str, way: str, image_size: str) -> dict[str, Any]:
    """Trains one set in one way; returns its test accuracy and what was asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch, "run")
        backbone = ("--backbone", "efficientnet_lite0", "--seed", seed, "--image-size", image_size)
        words: tuple[str, ...]
        advice = None
        if way == "advised":
            plan = Path(scratch, "plan.json")
            advice = call("advise", data, *backbone, "--out", str(plan))
            words = ("--plan", str(plan))
        else:
            words = (data, *backbone, *WAYS[way])
        document = call("train", *words, "--out", str(run))
    return {
        "accuracy": document["metrics"]["test"]["accuracy"],
        "seconds": sum(phase["seconds"] for phase in document["phases"]),
        "asked": None if advice is None else advice["request"],
        "reasons": None if advice is None else advice["reasons"],
    }


def call(*words: str) -> dict[str, Any]:
    """Returns the document of one command."""
    command = [sys.executable, "-m", "tfxfer", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def find_regret(accuracies: dict[str, float]) -> float | None:
    """Returns what the advised training has less than the best of the four, in points.

    Args:
        accuracies: by way; None is returned where one of the four or the advised one is missing.
    """
    if not {"advised", *OF_FOUR} <= set(accuracies):
        return None
    return 100 * (max(accuracies[way] for way in OF_FOUR) - accuracies["advised"])


def show(runs: dict[str, Any]) -> None:
    """Prints a row per set and seed."""
    rows = []
    for place in sorted({key.rpartition("/")[0] for key in runs}):
        found = {
            way: runs[f"{place}/{way}"]["accuracy"]["value"]
            for way in ("advised", *WAYS)
            if f"{place}/{way}" in runs
        }
        regret = find_regret(found)
        cells = [f"{100 * found[way]:.1f}" if way in found else "" for way in ("advised", *WAYS)]
        rows.append((place, *cells, "" if regret is None else f"{regret:+.1f}"))
    print_table(("set/px/seed", "advised, %", *WAYS, "regret"), rows)


if __name__ == "__main__":
    main()
