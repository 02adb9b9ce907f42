"""What learning of another look while the network trains gains, between three looks.

In each direction between the looks of `pacs3` a run is trained for each method, with the images of
the other look as its target, whose labels test. Source only is the run of `auto` before its last
layer is fitted: a plain training.

    python benchmarks/adaptation_training.py --data FOLDER [--seeds 0,1,2] [--uneven]
        [--directions photo:cartoon,…] [--methods auto,mmd,…] [--strengths 1,10]
        [--image-size 224] [--photos 100] [--epochs N]

With `--uneven` the classes of the target are there 100, 80, 60, 40, 20, 10 and 5 times, of 100
photos; the seed draws which is how rare. Each strength is a row of its own. A training that is in
the record already is not repeated.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_runs, write_record

LOOKS = ("photo", "art_painting", "cartoon")
DIRECTIONS = tuple(f"{one}:{other}" for one, other in itertools.permutations(LOOKS, 2))
SHARES = (100, 80, 60, 40, 20, 10, 5)
METHODS = ("auto", "deep_coral", "mmd", "dann", "pseudo_labels")
PLAIN = "source only"


def copy_look(source: Path, out: Path, counts: Sequence[int]) -> Path:
    """Copies so many photos of each class, the first by name."""
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    for folder, count in zip(folders, counts, strict=True):
        (out / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:count]:
            shutil.copy(path, out / folder.name)
    return out


def count_photos(photos: int, seed: int, *, is_uneven: bool) -> list[int]:
    """Returns how many photos of each class a target has.

    Example:
        >>> count_photos(40, 0, is_uneven=False)
        [40, 40, 40, 40, 40, 40, 40]
    """
    if not is_uneven:
        return [photos] * len(SHARES)
    drawn = np.random.default_rng(seed).permutation(SHARES).tolist()
    return [max(1, round(share * photos / max(SHARES))) for share in drawn]


def list_ways(methods: Sequence[str], strengths: Sequence[float]) -> Iterator[tuple[str, Any]]:
    """Yields the name and the options of each training.

    Example:
        >>> [name for name, _ in list_ways(["auto", "mmd"], [1, 10])]
        ['auto', 'mmd x 1', 'mmd x 10']
    """
    for method in methods:
        if method == "auto" or not strengths:
            yield method, {"adapt": method}
            continue
        for strength in strengths:
            yield f"{method} x {strength:g}", {"adapt": method, "adapt_strength": strength}


def train(source: Path, target: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Returns what a run says of both looks, and the seconds that it took."""
    from tfxfer.adaptation.record import Adaptation
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run

    started = time.monotonic()
    request = TrainRequest(str(source), "efficientnet_lite0", target=str(target), **options)
    run = train_run(prepare(request), out, overwrite=True)
    found = Adaptation.read(run.trust)
    assert found is not None
    assert found.effect is not None
    metrics = run.read_manifest().metrics
    before = found.effect.before
    return {
        "target": 100 * metrics["target"]["accuracy"]["value"],
        "before": None if before is None else 100 * before.value,
        "own": 100 * metrics["test"]["accuracy"]["value"],
        "kept": found.kept,
        "agreement": {trial.method: trial.agreement for trial in found.trials},
        "seconds": time.monotonic() - started,
    }


def summarize(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Returns the accuracy on the target, a number for each seed, by way and direction.

    Args:
        runs: what `train` returned, by `direction/seed/way`.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for key, row in runs.items():
        direction, _, way = key.split("/", 2)
        if way == "auto":
            found.setdefault(PLAIN, {}).setdefault(direction, []).append(row["before"])
        found.setdefault(way, {}).setdefault(direction, []).append(row["target"])
    return found


def show(runs: Mapping[str, Mapping[str, Any]]) -> None:
    found = summarize(runs)
    directions = list(dict.fromkeys(key.split("/", 1)[0] for key in runs))
    rows = []
    for way, by_direction in found.items():
        means = [np.mean(by_direction.get(name, [np.nan])) for name in directions]
        cells = [f"{mean:.1f}" for mean in (*means, np.mean(means))]
        gains = [
            one - other
            for name, values in by_direction.items()
            for one, other in zip(values, found.get(PLAIN, {}).get(name, ()), strict=False)
        ]
        rows.append((way, *cells, f"{min(gains):+.1f}" if gains else ""))
    print_table(["way", *directions, "mean", "worst gain"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each training is traced anew
    parser = make_parser(__doc__, name="adaptation_training")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--directions", default=",".join(DIRECTIONS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--strengths", default="", help="the methods' own by default")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=int, default=100, help="of each class")
    parser.add_argument("--epochs", type=int, help="of the second phase; as advised by default")
    parser.add_argument("--uneven", action="store_true")
    options = parser.parse_args(arguments)
    settings = {
        "image_size": options.image_size, "photos": options.photos, "epochs": options.epochs,
        "uneven": options.uneven,
    }  # fmt: skip
    strengths = [float(x) for x in options.strengths.split(",") if x]
    record = read_runs(options.json, settings)
    runs: dict[str, Any] = record["runs"]
    shared = {"size": options.image_size, "epochs": options.epochs}
    for direction in options.directions.split(","):
        first, other = (options.data / "pacs3" / name for name in direction.split(":"))
        for seed in map(int, options.seeds.split(",")):
            counts = count_photos(options.photos, seed, is_uneven=options.uneven)
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                source = copy_look(first, place / "source", [options.photos] * len(SHARES))
                target = copy_look(other, place / "target", counts)
                for name, way in list_ways(options.methods.split(","), strengths):
                    key = f"{direction}/{seed}/{name}"
                    if key not in runs:
                        asked = {**shared, **way, "seed": seed}
                        runs[key] = train(source, target, place / "run", **asked)
                        write_record(options.json, record)
                        print(key, {**runs[key], "agreement": None}, file=sys.stderr, flush=True)
    show(runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
