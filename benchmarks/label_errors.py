"""How many labels that were made wrong on purpose are found, on real photos.

    python benchmarks/label_errors.py --data FOLDER [--sets flowers5] [--share 0.03] [--seeds 0,1,2]

A share of the labels is replaced by another one, drawn by the seed. What the backbone makes of the
images is computed once and kept beside the record. `shuffled` is the same with the features of
other images, where nothing but chance is left.
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

import numpy as np
from record import make_parser, print_table, write_record


def main() -> None:
    parser = make_parser(__doc__, name="label_errors")
    parser.add_argument("--sets", default="flowers5")
    parser.add_argument("--share", type=float, default=0.03, help="of labels that are made wrong")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    from sets import load_set

    rows: list[dict[str, Any]] = []
    for name in options.sets.split(","):
        data = load_set(name, options.data, seed=0)
        place = options.json.with_name(f"label_errors_{name}_{options.backbone}.npz")
        features = read_features(data, options.backbone, place)
        rows += [
            {"set": name, "seed": seed, **measure(data, features, options.share, seed)}
            for seed in map(int, options.seeds.split(","))
        ]
        rows.append({"set": name, "seed": None, **measure(data, features, 0.0, 0)})
        shuffled = np.random.default_rng(0).permutation(features)
        found = measure(data, shuffled, options.share, 0)
        rows.append({"set": f"{name}, shuffled", "seed": 0, **found})
    print_table(
        ("set", "seed", "images", "made wrong", "in first 2 x", "look wrong", "of them made", "s"),
        [
            (
                row["set"], "-" if row["seed"] is None else row["seed"], row["images"],
                row["made"], "-" if row["found"] is None else f"{100 * row['found']:.1f} %",
                row["confident"], row["confident_made"], f"{row['seconds']:.1f}",
            )
            for row in rows
        ],
    )  # fmt: skip
    write_record(options.json, {"share": options.share, "runs": rows, "load": os.getloadavg()[0]})


def read_features(data: Any, backbone: str, place: Path) -> np.ndarray:
    """Returns what a backbone makes of all images, from an earlier call where there was one."""
    import tfxfer

    if place.is_file():
        with np.load(place) as file:
            if str(file["fingerprint"]) == data.fingerprint:
                return file["features"]
    features = tfxfer.embed(tfxfer.build_model(backbone, labels=data.labels), data)
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, features=features, fingerprint=data.fingerprint)
    return features


def measure(data: Any, features: np.ndarray, share: float, seed: int) -> dict[str, Any]:
    """Returns how many of the labels that were made wrong are found, and how many look so."""
    import tfxfer
    from tfxfer.trust.label_errors import judge_labels
    from tfxfer.trust.label_search import list_groups

    parts = [data.train, data.val, data.test]
    targets = np.concatenate([part.targets for part in parts])
    wrong, spoilt = spoil(targets, share, seed)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    made = [replace(p, targets=x) for p, x in zip(parts, np.split(spoilt, ends), strict=True)]
    started = time.monotonic()
    errors = judge_labels(
        features, made, head=tfxfer.get_head("classification"), groups=list_groups(data), seed=0
    )
    seconds = time.monotonic() - started
    paths = [path for part in parts for path in part.paths]
    is_made = {paths[i] for i in wrong}
    first = {error.path for error in errors[: 2 * len(wrong)]}
    return {
        "images": len(targets),
        "made": len(wrong),
        "found": len(first & is_made) / len(wrong) if len(wrong) else None,
        "confident": sum(error.confident for error in errors),
        "confident_made": sum(error.confident and error.path in is_made for error in errors),
        "seconds": seconds,
    }


def spoil(targets: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns which samples get another class, drawn evenly, and the targets with it."""
    rng = np.random.default_rng(seed)
    samples, classes = targets.shape
    wrong = rng.choice(samples, round(share * samples), replace=False)
    numbers = targets.argmax(axis=1)
    numbers[wrong] = (numbers[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return wrong, np.eye(classes, dtype=targets.dtype)[numbers]


if __name__ == "__main__":
    main()
