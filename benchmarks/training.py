"""Trains every set in every way, each in a process of its own, and keeps what came of it.

    python benchmarks/training.py --data FOLDER [--sets flowers5,hymenoptera] [--seeds 0,1,2]
        [--ways ours,probe,guide,uncached] [--image-size 224]

`ours` is `tfxfer.build_model` and `tfxfer.fit` with their defaults; `uncached` the same schedule
through the whole network; `probe` logistic regression on pooled features; `guide` the keras.io
guide, and `guide_head` its first phase alone, from which `guide` goes on; `scratch` the same
network from random weights. The defaults were chosen against `ours_4_views` (with 12 epochs after
the head) and `ours_not_averaged`.

What is in the JSON file already is not trained again: interrupt it, and go on later.
`benchmarks/claims.py` reads it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import (
    current_commit,
    make_parser,
    print_table,
    read_record,
    scores_folder,
    write_record,
)

STARTED = time.monotonic()  # nothing heavy has been imported yet
OURS = ("ours", "uncached", "scratch", "ours_4_views", "ours_not_averaged")
STRENGTHS = tuple(10.0**power for power in range(-6, 2))
"""Of the probe: scikit-learn's `C`, on standardized features."""
WAYS = (*OURS, "probe", "guide_head", "guide")


def main() -> None:
    parser = make_parser(__doc__, name="training")
    parser.add_argument("--sets", default="flowers5,hymenoptera,neu,elpv", help="NAME or NAME@N")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", default="ours,probe,guide_head,guide")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=224, help="in pixels")
    parser.add_argument("--one", nargs=3, metavar=("SET", "SEED", "WAY"), help="in this process")
    options = parser.parse_args()
    if options.one:
        name, seed, way = options.one
        print(json.dumps(train_one(name, int(seed), way, options)))
        return
    for seed in options.seeds.split(","):
        for name in options.sets.split(","):
            for way in options.ways.split(","):
                train_missing(f"{name}/{seed}/{way}", options)
    show(read_record(options.json))


def train_missing(key: str, options: Any) -> None:
    """Trains what is not in the record yet, in a process of its own, and writes it there."""
    done = read_record(options.json).get("runs", {}).get(key)
    if done is not None:
        for name in ("backbone", "image_size"):
            if done[name] != getattr(options, name):
                sys.exit(
                    f"{key} in {options.json}: expected {name}={getattr(options, name)}. "
                    f"Received: {done[name]}. Name another --json."
                )
        return
    print(f"== {key} {time.strftime('%H:%M:%S')}", flush=True)
    command = [sys.executable, __file__, "--one", *key.split("/"), "--backbone", options.backbone]
    command += ["--data", str(options.data), "--json", str(options.json)]
    command += ["--image-size", str(options.image_size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{key}: ended with exit code {done.returncode}")
    record = read_record(options.json)
    runs = {**record.get("runs", {}), key: json.loads(done.stdout.splitlines()[-1])}
    write_record(options.json, {"runs": runs})


def train_one(name: str, seed: int, way: str, options: Any) -> dict[str, Any]:
    """Trains one set in one way, and returns its figures; test scores go beside the record."""
    import numpy as np

    if way not in WAYS:
        sys.exit(f"ways: expected some of {', '.join(WAYS)}. Received: {way!r}")
    from sets import load_set

    from tfxfer.evaluation import score_predictions
    from tfxfer.registry.lookup import get_head

    data = load_set(name, options.data, seed=seed, image_size=options.image_size)
    scores = scores_folder(options.json)
    if way in ("guide", "guide_head"):
        from guide import train_guide

        found = train_guide(
            data,
            backbone=options.backbone,
            seed=seed,
            started=STARTED,
            state=scores / f"{name}-{seed}-guide-state.npz",
            head_only=way == "guide_head",
        )
    elif way == "probe":
        found = train_probe(data, backbone=options.backbone, seed=seed)
    else:
        found = train_ours(data, way, backbone=options.backbone, seed=seed)
    place = scores / f"{name}-{seed}-{way}.npz"
    place.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: found.pop(key) for key in ("scores", "head_scores") if key in found}
    np.savez(place, targets=data.test.targets, **arrays)
    for key, scores in arrays.items():
        found[key.replace("scores", "test")] = {
            metric: value
            for metric, value in score_predictions(
                data.test.targets, scores, head=get_head("classification"), labels=data.labels
            ).items()
            if metric in ("accuracy", "macro_f1")
        }
    counts = {split: len(getattr(data, split)) for split in ("train", "val", "test")}
    about: dict[str, Any] = {
        "backbone": options.backbone,
        "image_size": options.image_size,
        "images": counts,
        "commit": current_commit(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if hasattr(os, "sched_getaffinity"):
        about["cores"] = len(os.sched_getaffinity(0))  # `taskset` runs two of them side by side
    return {**found, **about, "load_1min": os.getloadavg()[0]}


def train_ours(data: Any, way: str, *, backbone: str, seed: int) -> dict[str, Any]:
    """Trains with the defaults of `tfxfer.fit`, or with one thing changed.

    Args:
        data: of `tfxfer.load_images`.
        way: of `OURS`. `uncached` trains through the whole network, `scratch` is `--weights none
            --schedule scratch`.
        backbone: its name.
        seed: of the head's weights and the order of images.
    """
    from dataclasses import replace

    import keras

    import tfxfer
    from tfxfer.inference.keras_model import wrap_model
    from tfxfer.inference.scoring import score_split

    epochs: list[dict[str, float]] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            accuracy, loss = float(logs["val_accuracy"]), float(logs["val_loss"])
            seconds = time.monotonic() - STARTED
            epochs.append({"seconds": seconds, "val_accuracy": accuracy, "val_loss": loss})
            print(f"{epoch + 1}: val_accuracy {accuracy:.4f}", file=sys.stderr, flush=True)

    model = tfxfer.build_model(
        backbone,
        labels=data.labels,
        targets=data.train.targets,
        seed=seed,
        size=data.train.size,
        weights=None if way == "scratch" else "default",
    )
    changed: dict[str, Any] = {
        "uncached": {"cache": False},
        "scratch": {"schedule": tfxfer.from_scratch(), "cache": False},
        "ours_4_views": {
            "schedule": tfxfer.two_phase(epochs=12),
            "augment": tfxfer.Augmentation(views=4),
        },
        "ours_not_averaged": {
            "schedule": [replace(phase, average=False) for phase in tfxfer.two_phase()]
        },
    }.get(way, {})
    history = tfxfer.fit(model, data, seed=seed, verbose=0, callbacks=[Clock()], **changed)
    seconds = time.monotonic() - STARTED
    phases = [
        {"name": x.name, "epochs": x.epochs, "seconds": x.seconds} for x in history.state.records
    ]
    scores = score_split(wrap_model(model), data.test)
    return {"epochs": epochs, "seconds": seconds, "phases": phases, "scores": scores}


def train_probe(data: Any, *, backbone: str, seed: int) -> dict[str, Any]:
    """Fits logistic regression on the pooled features, its strength chosen on validation."""
    import keras
    import numpy as np
    from sklearn.preprocessing import StandardScaler

    import tfxfer

    model = tfxfer.build_model(backbone, labels=data.labels, seed=seed, size=data.train.size)
    features = keras.Model(model.inputs[0], model.get_layer("pool").output)

    def read(split: Any) -> Any:
        return np.concatenate(
            [features.predict_on_batch(x[:, 0].astype(np.float32)) for _, x in split.iter_views()]
        )

    train, val, test = (read(getattr(data, name)) for name in ("train", "val", "test"))
    scale = StandardScaler().fit(train)
    probe, accuracy = choose_probe(
        (scale.transform(train), data.train.targets.argmax(1)),
        (scale.transform(val), data.val.targets.argmax(1)),
    )
    scores = probe.predict_proba(scale.transform(test))
    seconds = time.monotonic() - STARTED
    return {"val_accuracy": accuracy, "C": probe.C, "seconds": seconds, "scores": scores}


def choose_probe(train: tuple[Any, Any], val: tuple[Any, Any]) -> tuple[Any, float]:
    """Returns the best of `STRENGTHS` on validation, fitted, and its accuracy there.

    Of strengths that are right as often, the one with the lowest loss is taken.

    Shapes: train and val are features (images, channels) and classes 0, 1, … (images,).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    def judge(probe: Any) -> tuple[float, float]:
        likely = probe.predict_proba(val[0])
        accuracy = float((likely.argmax(1) == val[1]).mean())
        return accuracy, -log_loss(val[1], likely, labels=probe.classes_)

    probes = [LogisticRegression(C=strength, max_iter=2000).fit(*train) for strength in STRENGTHS]
    best = max(probes, key=judge)
    return best, judge(best)[0]


def show(record: dict[str, Any]) -> None:
    """Prints every run."""
    rows = []
    for key, run in sorted(record.get("runs", {}).items()):
        test = run["test"]
        rows.append(
            (
                key,
                f"{run['seconds']:.0f}",
                "{value:.3f} [{low:.3f}, {high:.3f}]".format(**test["accuracy"]),
                f"{test['macro_f1']['value']:.3f}",
                f"{run['head_test']['accuracy']['value']:.3f}" if "head_test" in run else "",
            )
        )
    print_table(("set/seed/way", "seconds", "test accuracy", "macro-F1", "head phase's best"), rows)


if __name__ == "__main__":
    main()
