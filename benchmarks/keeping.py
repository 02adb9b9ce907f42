"""What a model forgets of three classes while it learns two more, and what holds on to it.

A run learns three classes of `flowers5`. It goes on with photos of the two others alone, plainly
and with each `--keep`, and with ten photos of each earlier class. What is lost is accuracy on the
first run's test split, where the model may answer with any of the five.

Claimed: the best method without earlier photos at least halves what plain fine-tuning loses; with
`--replay 10` at most 3 points are lost.

    python benchmarks/keeping.py --data FOLDER [--seeds 0,1,2] [--image-size 128] [--photos 240]

A training that is in the record already is not repeated.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, read_runs, write_record

FIRST, SECOND = ("daisy", "rose", "tulip"), ("dandelion", "sunflower")
WAYS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "statistics": {"keep": "statistics", "schedule": "head"},
    "l2sp": {"keep": "l2sp"},
    "ewc": {"keep": "ewc"},
    "distill": {"keep": "distill"},
    "relations": {"keep": "relations"},
    "lora": {"keep": "lora"},
    "replay 10": {"replay": 10},
    "distill, replay 10": {"keep": "distill", "replay": 10},
    "relations, replay 10": {"keep": "relations", "replay": 10},
    "statistics, replay 10": {"keep": "statistics", "schedule": "head", "replay": 10},
}
WITHOUT_PHOTOS = ("statistics", "l2sp", "ewc", "distill", "relations", "lora")
MOST_LOST_POINTS = 3.0


def copy_classes(source: Path, target: Path, classes: Sequence[str], photos: int | None) -> Path:
    """Copies class folders, at most so many photos of each, the first by name."""
    for label in classes:
        (target / label).mkdir(parents=True)
        for path in sorted((source / label).iterdir())[:photos]:
            shutil.copy(path, target / label)
    return target


def parse_names(text: str) -> list[str]:
    """Returns the ways that are named; a comma and a space are part of some.

    Example:
        >>> parse_names("plain,distill, replay 10")
        ['plain', 'distill, replay 10']
    """
    return re.split(r",(?! )", text)


def train(data: Path, out: Path, **options: Any) -> tuple[Any, float]:
    """Returns a run, and the seconds that it took."""
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run

    started = time.monotonic()
    request = TrainRequest(str(data), "efficientnet_lite0", **options)
    return train_run(prepare(request), out, overwrite=True), time.monotonic() - started


def measure(run: Any, seconds: float) -> dict[str, Any]:
    """Returns what a run that went on has forgotten, and what it knows of its own test split."""
    from tfxfer.trust.forgetting import Forgetting

    found = Forgetting.read(run.trust)
    assert found is not None
    return {
        "forgetting": found.to_dict(),
        "accuracy": run.read_manifest().metrics["test"]["accuracy"],
        "seconds": seconds,
    }


def judge(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what is claimed, from the means over seeds.

    Args:
        rows: what `measure` returned, by `seed/way`.
    """
    lost: dict[str, list[float]] = {}
    for key, row in rows.items():
        way = key.split("/", 1)[1]
        lost.setdefault(way, []).append(row["forgetting"]["lost"]["value"])
    means = {way: sum(values) / len(values) for way, values in lost.items()}
    best = min((way for way in WITHOUT_PHOTOS if way in means), key=lambda way: means[way])
    kept = min((way for way in means if "replay 10" in way), key=lambda way: means[way])
    return {
        "lost_points": means,
        "best_without_photos": best,
        "halves": means[best] <= means["plain"] / 2,
        "best_with_photos": kept,
        "replay_holds": means[kept] <= MOST_LOST_POINTS,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each training is traced anew
    parser = make_parser(__doc__, name="keeping")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=int, help="of each class at most; all by default")
    parser.add_argument("--schedule", default="two_phase", choices=["two_phase", "head"])
    parser.add_argument("--ways", default=",".join(WAYS), help="of these")
    options = parser.parse_args(arguments)
    ways = {
        name: way
        for name, way in WAYS.items()
        if name in parse_names(options.ways)
        if options.schedule != "head" or way.get("keep") != "lora"
    }
    settings = {
        "image_size": options.image_size, "photos": options.photos, "schedule": options.schedule
    }  # fmt: skip
    record = read_runs(options.json, settings)
    runs: dict[str, Any] = record["runs"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        old, new = (
            copy_classes(options.data / "flowers5", place / name, classes, options.photos)
            for name, classes in (("first", FIRST), ("second", SECOND))
        )
        for seed in map(int, options.seeds.split(",")):
            if all(f"{seed}/{name}" in runs for name in ways):
                continue
            shared = {"seed": seed, "schedule": options.schedule}
            first = {**shared, "size": options.image_size, "keep": "statistics"}
            earlier, _ = train(old, place / "earlier", **first)
            for name, way in ways.items():
                key = f"{seed}/{name}"
                if key not in runs:
                    asked = {**shared, **way, "from_run": str(earlier.path)}
                    done = train(new, place / "later", **asked)
                    runs[key] = measure(*done)
                    write_record(options.json, record)
                    print(key, runs[key]["forgetting"]["lost"], flush=True)
    record["claims"] = judge(runs)
    write_record(options.json, record)
    claims = record["claims"]
    lost = claims["lost_points"]
    print_table(["way", "points lost"], [(way, f"{value:+.1f}") for way, value in lost.items()])
    print(f"halved without photos: {claims['halves']} ({claims['best_without_photos']})")
    print(
        f"at most {MOST_LOST_POINTS:g} points with 10 photos a class: {claims['replay_holds']} "
        f"({claims['best_with_photos']})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
