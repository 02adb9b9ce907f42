"""What a training gains on another look by `--style`, on the looks of `pacs3`.

A run learns one look, with the photos of another one as style, and is tested on the photos of that
one that it has not seen: the photos of each class are halved, the first half gives its look, the
second tests. Plainly, and with each `--style-method`; with `--adapt` also together with `--target`,
which is the folder of the style.

    python benchmarks/style.py --data FOLDER [--directions photo:cartoon,…] [--seeds 0,1,2]
        [--ways plain,fda,mixstyle,both] [--adapt auto] [--image-size 224] [--photos 100]

A training that is in the record already is not repeated.
"""

from __future__ import annotations

import itertools
import logging
import os
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

LOOKS = ("photo", "art_painting", "cartoon")
WAYS = ("plain", "fda", "mixstyle", "both")


def copy_photos(source: Path, target: Path, photos: slice) -> Path:
    """Copies some photos of each class folder, by their places in the order of names."""
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[photos]:
            shutil.copy(path, target / folder.name)
    return target


def train(data: Path, out: Path, **options: Any) -> tuple[Any, float]:
    """Returns a run, and the seconds that it took."""
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run

    started = time.monotonic()
    request = TrainRequest(str(data), "efficientnet_lite0", **options)
    return train_run(prepare(request), out, overwrite=True), time.monotonic() - started


def measure(run: Any, seconds: float, other: Path) -> dict[str, Any]:
    """Returns how right a run is about its own look and about another one."""
    from tfxfer import evaluate
    from tfxfer.data.loading import load_split
    from tfxfer.inference.keras_model import load_model
    from tfxfer.stages import get_info

    model = load_model(run.path)
    info = get_info(model)
    split = load_split(
        other, modality=info.modality, size=info.size, contract=info.preprocessing,
        head=info.head, labels=info.labels,
    )  # fmt: skip
    found = evaluate(model, split)
    return {
        "target": found["accuracy"],
        "source": run.read_manifest().metrics["test"]["accuracy"],
        "seconds": seconds,
    }


def tabulate(runs: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Returns the table of means over seeds, in percent: a row a direction, a column a way.

    Args:
        runs: what `measure` returned, by `direction/way/seed`.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for key, row in runs.items():
        direction, way, _ = key.split("/")
        found.setdefault(direction, {}).setdefault(way, []).append(100 * row["target"]["value"])
    ways = list(dict.fromkeys(way for row in found.values() for way in row))
    rows = [
        [direction, *(_show(row.get(way, [])) for way in ways)] for direction, row in found.items()
    ]
    if len(found) > 1:
        means = [[_mean(row[way]) for row in found.values() if way in row] for way in ways]
        rows.append(["mean", *(_show(x if len(x) == len(found) else []) for x in means)])
    return ["look → other", *ways], rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _show(values: Sequence[float]) -> str:
    return f"{_mean(values):.1f}" if values else ""


def main(arguments: Sequence[str] | None = None) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each training is traced anew
    everything = ",".join(":".join(pair) for pair in itertools.permutations(LOOKS, 2))
    parser = make_parser(__doc__, name="style")
    parser.add_argument("--directions", default=everything)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--adapt", help="also fit each model to the look, by this method")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=int, default=100, help="of each class and look at most")
    parser.add_argument("--epochs", type=int, help="of the second phase")
    options = parser.parse_args(arguments)
    settings = {
        "image_size": options.image_size, "photos": options.photos, "epochs": options.epochs
    }  # fmt: skip
    record = read_runs(options.json, settings)
    runs: dict[str, Any] = record["runs"]
    half = options.photos // 2
    for direction in options.directions.split(","):
        name, other_name = direction.split(":")
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            looks = options.data / "pacs3"
            source = copy_photos(looks / name, place / "source", slice(options.photos))
            style = copy_photos(looks / other_name, place / "style", slice(half))
            tested = slice(half, options.photos)
            other = copy_photos(looks / other_name, place / "other", tested)
            for seed, way in itertools.product(
                map(int, options.seeds.split(",")), options.ways.split(",")
            ):
                label = way if options.adapt is None else f"{way}, {options.adapt}"
                key = f"{direction}/{label}/{seed}"
                if key in runs:
                    continue
                asked: dict[str, Any] = {
                    "seed": seed, "size": options.image_size, "epochs": options.epochs
                }  # fmt: skip
                if way != "plain":
                    asked |= {"style": str(style), "style_method": way}
                if options.adapt is not None:
                    asked |= {"target": str(style), "adapt": options.adapt}
                runs[key] = measure(*train(source, place / "run", **asked), other)
                write_record(options.json, record)
                print(key, runs[key], file=sys.stderr, flush=True)
    print_table(*tabulate(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
