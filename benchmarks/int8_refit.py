"""What int8 costs, with the head as it was trained and with the head fitted to the integer network.

Each backbone is trained shortly on each set, the head alone and both phases, and exported twice.
What is lost is accuracy on the test split, in points of the float32 file's.

    python benchmarks/int8_refit.py --data FOLDER --weights FOLDER [--sets flowers5,elpv,…]
        [--backbones efficientnet_lite0,…] [--schedules head,two_phase] [--image-size 224]
        [--seeds 0] [--photos 200]

Of EfficientNet-B0 and MobileNetV3-Small there are no weights in any package: they are trained from
random ones, with `--schedules scratch --image-size 96 --epochs 12`.

Claimed: the mean loss is at most 0.3 points with the fitted head, and none loses more than 1 point
on the validation split. What is in the record already is not trained again.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_runs, write_record
from sets import FOLDERS

BACKBONES = {
    "efficientnet_lite0": None,
    "mobilenet_v2": "mobilenet_v2_1.0_224_notop.weights.h5",
    "resnet50": "resnet50_224_notop_float16.weights.h5",
    "efficientnet_b0": "none",
    "mobilenet_v3_small": "none",
}
PRETRAINED = tuple(name for name, file in BACKBONES.items() if file != "none")
MOST_LOST_POINTS, MOST_REFUSED_POINTS = 0.3, 1.0


def copy_photos(source: Path, target: Path, photos: int | None) -> Path:
    """Copies class folders, at most so many photos of each, the first by name."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        for path in sorted(folder.rglob("*.*"))[:photos]:
            shutil.copy(path, target / folder.name)
    return target


def train(data: str, backbone: str, out: Path, options: Any, **asked: Any) -> Any:
    """Returns a run."""
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run

    file = BACKBONES[backbone]
    weights = "default" if file is None else file if file == "none" else options.weights / file
    request = TrainRequest(data, backbone, weights=str(weights), size=options.image_size, **asked)
    return train_run(prepare(request), out, overwrite=True)


def measure(run: Any, out: Path) -> dict[str, Any]:
    """Returns what both files are worth."""
    from tfxfer_edge import export

    found: dict[str, Any] = {}
    for name, refit in (("as trained", False), ("fitted", True)):
        notes: list[str] = []
        document = export(
            run, out, recipes=("int8",), max_drop=None, refit=refit, overwrite=True, force=True,
            say=notes.append,
        ).document  # fmt: skip
        (row,) = document["candidates"]
        found[name] = {
            "lost": row["test_drop_points"], "val": row["val_drop_points"],
            "agreement": row["agreement"], "notes": [x for x in notes if "head" in x],
        }  # fmt: skip
        found["float"] = document["float"]["metrics"]["test"]
    return found


def list_runs(options: Any) -> Iterator[tuple[str, str, str, int]]:
    """Yields set, backbone, schedule and seed of each training."""
    for seed in map(int, options.seeds.split(",")):
        for name in options.sets.split(","):
            for backbone in options.backbones.split(","):
                for schedule in options.schedules.split(","):
                    yield name, backbone, schedule, seed


def judge(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what is claimed.

    Args:
        runs: what `measure` returned, by `set/backbone/schedule/seed`.
    """
    lost = {
        name: [row[name]["lost"]["value"] for row in runs.values()]
        for name in ("as trained", "fitted")
    }
    val = [row["fitted"]["val"]["value"] for row in runs.values()]
    return {
        "mean_lost_points": {name: float(np.mean(values)) for name, values in lost.items()},
        "holds": float(np.mean(lost["fitted"])) <= MOST_LOST_POINTS,
        "refused": sum(value > MOST_REFUSED_POINTS for value in val),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each training is traced anew
    parser = make_parser(__doc__, name="int8_refit")
    parser.add_argument("--sets", default=",".join(FOLDERS))
    parser.add_argument("--backbones", default=",".join(PRETRAINED))
    parser.add_argument("--schedules", default="head,two_phase")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=3, help="of the second phase")
    parser.add_argument("--photos", type=int, help="of each class at most; all by default")
    options = parser.parse_args(arguments)
    settings = {
        "image_size": options.image_size, "photos": options.photos, "epochs": options.epochs
    }  # fmt: skip
    record = read_runs(options.json, settings)
    runs: dict[str, Any] = record["runs"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, backbone, schedule, seed in list_runs(options):
            key = f"{name}/{backbone}/{schedule}/{seed}"
            if key in runs:
                continue
            source = FOLDERS[name]
            data = "demo:elpv" if source is None else str(place / name)
            if source is not None and not (place / name).exists():
                copy_photos(options.data / source, place / name, options.photos)
            asked: dict[str, Any] = {"schedule": schedule, "seed": seed}
            if schedule != "head":
                asked |= {"epochs": options.epochs, "views": 2 if schedule == "two_phase" else None}
            run = train(data, backbone, place / "run", options, **asked)
            runs[key] = measure(run, place / "edge")
            write_record(options.json, record)
            print(key, runs[key], file=sys.stderr, flush=True)
    record["claims"] = judge(runs)
    write_record(options.json, record)
    columns = ("set, backbone, schedule, seed", "float32", "as trained", "fitted")
    rows = [
        (
            key,
            f"{100 * row['float']['accuracy']['value']:.1f}",
            *(f"{row[x]['lost']['value']:+.1f}" for x in ("as trained", "fitted")),
        )
        for key, row in runs.items()
    ]
    print_table(columns, rows)
    print(record["claims"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
