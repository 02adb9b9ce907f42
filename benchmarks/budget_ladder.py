"""What a cheaper training costs in accuracy: the figures behind `tfxfer/training/ladder.py`.

EfficientNet-Lite0. One thing at a time is changed around a training in the middle: image size,
frontier, views, epochs. What was trained on smaller images is scored at full size as it is, and
after a last epoch there.

    python benchmarks/budget_ladder.py --data FOLDER [--sets elpv,flowers5] [--seeds 0]
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, read_record, write_record

FULL = 224
MIDDLE = {"size": 160, "frontier": 0.7, "views": 4, "epochs": 6}
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"size": 224},
    {"frontier": 0.8},
    {"views": 2},
    {"size": 128},
    {"frontier": 0.9},
    {"size": 192},
    {"epochs": 3},
    {"epochs": 12},
    {"views": 8},
    {"frontier": 0.5},
    {"epochs": 0, "size": 224, "views": 1},
)


def main() -> None:
    parser = make_parser(__doc__, name="budget_ladder")
    parser.add_argument("--sets", default="elpv,flowers5", help="names of benchmarks/sets.py")
    parser.add_argument("--seeds", default="0")
    options = parser.parse_args()

    from sets import load_set

    known = read_record(options.json)
    runs: list[dict[str, Any]] = known["runs"] if known else []
    done = {(run["set"], run["seed"], *(run[key] for key in MIDDLE)) for run in runs}
    for name in options.sets.split(","):
        for seed in map(int, options.seeds.split(",")):
            data = load_set(name, options.data, seed=seed, image_size=FULL)
            for variant in VARIANTS:
                plan = {**MIDDLE, **variant}
                if (name, seed, *plan.values()) in done:
                    continue
                runs.append({"set": name, "seed": seed, **plan, **train(data, seed, **plan)})
                print(runs[-1], flush=True)
                write_record(options.json, {"runs": runs})
    print_table(
        ("set", "size", "frontier", "views", "epochs", "at full size, %", "after a last epoch, %"),
        [
            (
                run["set"],
                *(run[key] for key in MIDDLE),
                f"{100 * run['scores']['as_it_is']['accuracy']:.1f}",
                f"{100 * run['scores']['last_epoch']['accuracy']:.1f}"
                if "last_epoch" in run["scores"]
                else "",
            )
            for run in runs
        ],
    )


def train(
    data: Any, seed: int, *, size: int, frontier: float, views: int, epochs: int
) -> dict[str, Any]:
    """Trains once and returns CPU seconds and scores: of validation and test images together."""
    import tfxfer
    from tfxfer.schedule import Phase
    from tfxfer.training.options import Augmentation

    started = time.process_time()
    small = tfxfer.build_model("efficientnet_lite0", labels=data.labels, image_size=size)
    tfxfer.fit(
        small,
        data.resized(size),
        schedule=tfxfer.two_phase(unfreeze_from=frontier, epochs=epochs),
        augment=Augmentation(views=views),
        seed=seed,
        verbose=0,
    )
    found: dict[str, Any] = {"cpu_s": time.process_time() - started}
    full = small
    if size != FULL:
        full = tfxfer.build_model("efficientnet_lite0", labels=data.labels, image_size=FULL)
        full.set_weights(small.get_weights())
    scores = {"as_it_is": score(full, data)}
    if size != FULL:
        last = Phase("full_size", 0.8, 1, 3e-4, views=1, average=True)
        tfxfer.fit(full, data, schedule=[last], seed=seed, verbose=0)
        scores["last_epoch"] = score(full, data)
    return {**found, "scores": scores}


def score(model: Any, data: Any) -> dict[str, float]:
    """Returns accuracy and macro-F1 of validation and test images in one: twice as many to see by.

    The epoch was chosen by the validation images, alike in every variant.
    """
    import numpy as np

    import tfxfer

    both = replace(
        data.test,
        records=(*data.val.records, *data.test.records),
        targets=np.concatenate([data.val.targets, data.test.targets]),
    )
    found = tfxfer.evaluate(model, both)
    return {key: found[key]["value"] for key in ("accuracy", "macro_f1")}


if __name__ == "__main__":
    main()
