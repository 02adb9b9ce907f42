"""What few photos a class are worth to each way of learning from them.

    python benchmarks/few_shots.py --data FOLDER [--sets flowers5,pacs3_photo] [--draws 10]
        [--shots 1,2,5,10,20] [--ways features,two_phase,…] [--backbone efficientnet_lite0]

Each draw takes N photos a class to learn from, N more to choose an epoch by, and tests on 60 others
of each class; every way gets the same ones. `features` are all ways that need no training: nearest
class mean, ridge and logistic regression, and a linear discriminant with the covariance of `--keep
statistics`, each on the pooled features of the plain photos, and on the mean of eight augmented
views of each. The others train, each in a process of its own: `two_phase`, `head` and `prototype`
are schedules and heads of tfxfer, `guide` the keras.io guide.

What is in the JSON file already is not measured again: interrupt it, and go on later. Intervals are
of the mean over draws, by Student's t.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_record, write_record

FOLDERS = {"flowers5": "flowers5", "pacs3_photo": "pacs3/photo"}
FRACTIONS = (0.3, 0.25, 0.45)
TEST_A_CLASS = 60
VIEWS = 8
SHRINKAGES = (0.4, 0.9)
STRENGTHS = (0.1, 1.0)
"""Of logistic regression: scikit-learn's C, on features of length 1 times 10."""
TRAINED: dict[str, dict[str, Any]] = {
    "two_phase": {},
    "head": {"schedule": "head"},
    "prototype_two_phase": {"head": "prototype"},
    "two_phase_strong": {"augment": "strong"},
}


def main() -> None:
    parser = make_parser(__doc__, name="few_shots")
    parser.add_argument("--sets", default=",".join(FOLDERS))
    parser.add_argument("--shots", default="1,2,5,10,20")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--ways", default="features,two_phase,head,prototype_two_phase,guide")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--one", nargs=4, metavar=("SET", "SHOTS", "DRAW", "WAY"))
    options = parser.parse_args()
    if options.one:
        name, shots, draw, way = options.one
        print(json.dumps(measure_trained(name, int(shots), int(draw), way, options)))
        return
    shots, ways = tuple(map(int, options.shots.split(","))), options.ways.split(",")
    if "features" in ways:
        measure_features(options, shots)
    for draw in range(options.draws):
        for name in options.sets.split(","):
            for count in shots:
                for way in ways:
                    if way != "features":
                        add_run(options, f"{name}/{count}/{draw}/{way}")
    show(read_record(options.json))


def load_draw(name: str, options: Any, *, shots: int, draw: int) -> Any:
    """Returns N training photos of each class, as many to choose by, and 60 to test with."""
    from dataclasses import replace

    from sets import few_images

    import tfxfer

    data = tfxfer.load_images(
        options.data / FOLDERS[name], image_size=224, seed=draw, fractions=FRACTIONS
    )
    kept = few_images(replace(data, train=data.test), TEST_A_CLASS, seed=draw).train
    return replace(few_images(data, shots, seed=draw), test=kept)


def measure_features(options: Any, shots: tuple[int, ...]) -> None:
    """Measures every way that needs no training, on all draws."""
    import tfxfer

    done = read_record(options.json).get("runs", {})
    model = tfxfer.build_model(options.backbone, labels=["a", "b"], size=224)
    for name in options.sets.split(","):
        wanted = [
            (count, draw)
            for draw in range(options.draws)
            for count in shots
            if f"{name}/{count}/{draw}/cosine" not in done
        ]
        if not wanted:
            continue
        found, paths = tfxfer.embed(model, options.data / FOLDERS[name], return_paths=True)
        known = {Path(path).resolve(): row for path, row in zip(paths, found, strict=True)}
        for count, draw in wanted:
            data = load_draw(name, options, shots=count, draw=draw)
            views = data.train.read_views(
                range(len(data.train)), views=range(1, VIEWS + 1), level="light"
            )
            varied = tfxfer.embed(model, views.reshape(-1, *views.shape[2:]))
            rows = {
                f"{name}/{count}/{draw}/{way}": {"accuracy": accuracy}
                for way, accuracy in score_ways(
                    pick(known, data.train),
                    varied.reshape(len(data.train), VIEWS, -1),
                    data.train.targets,
                    pick(known, data.test),
                    data.test.targets.argmax(axis=1),
                ).items()
            }
            add_runs(options.json, rows)
            print(name, count, draw, file=sys.stderr, flush=True)


def pick(known: dict[Path, np.ndarray], split: Any) -> np.ndarray:
    return np.stack([known[(split.root / path).resolve()] for path in split.paths])


def score_ways(
    plain: np.ndarray, varied: np.ndarray, targets: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    """Returns the accuracy of each way on features.

    Shapes: plain (samples, features), varied (samples, views, features), targets (samples,
        classes), test (test samples, features), truth (test samples,).
    """
    from sklearn.linear_model import LogisticRegression

    from tfxfer.adaptation.ridge import Ridge
    from tfxfer.keeping.statistics import fit_discriminant, measure_statistics
    from tfxfer_heads import Prototype

    classes = targets.argmax(axis=1)
    names = tuple(map(str, range(targets.shape[1])))
    zeros = [np.zeros((plain.shape[1], len(names))), np.zeros(len(names))]
    length = np.linalg.norm

    def unit(x: np.ndarray) -> np.ndarray:
        return x / length(x, axis=-1, keepdims=True)

    found: dict[str, float] = {}

    def note(way: str, logits: np.ndarray) -> None:
        found[way] = float((logits.argmax(axis=1) == truth).mean())

    every = varied.reshape(-1, varied.shape[-1])
    kinds = {
        "": (plain, classes),
        "_mean_view": (varied.mean(axis=1), classes),
        "_views": (every, np.repeat(classes, varied.shape[1])),
    }
    for kind, (x, y) in kinds.items():
        hot = np.eye(len(names))[y]
        for metric in ("euclidean", "cosine"):
            kernel, bias = Prototype(metric=metric).closed_form().fit(x, hot, zeros)
            note(metric + kind, test @ kernel + bias)
        centre = x.mean(axis=0)
        kernel, bias = Prototype(metric="cosine").closed_form().fit(x - centre, hot, zeros)
        note("centred_cosine" + kind, (test - centre) @ kernel)
        for penalty in (1.0, 10.0):
            u = unit(x)
            kernel = Ridge.of(u - u.mean(axis=0), np.ones(len(u)), penalty=penalty).fit(hot)
            note(f"ridge_{penalty:g}{kind}", (unit(test) - u.mean(axis=0)) @ kernel)
        for strength in STRENGTHS:
            probe = LogisticRegression(C=strength, max_iter=2000).fit(10 * unit(x), y)
            note(f"logistic_{strength:g}{kind}", probe.decision_function(10 * unit(test)))
        if len(x) > len(names):
            for shrinkage in SHRINKAGES:
                kernel, bias = fit_discriminant(
                    measure_statistics(x, y, names), names, shrinkage=shrinkage
                )
                note(f"discriminant_{shrinkage:g}{kind}", test @ kernel + bias)
    return found


def add_run(options: Any, key: str) -> None:
    """Trains what is not in the record yet, in a process of its own."""
    if key in read_record(options.json).get("runs", {}):
        return
    print(f"== {key} {time.strftime('%H:%M:%S')}", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", *key.split("/"), "--data", str(options.data)]
    command += ["--json", str(options.json), "--backbone", options.backbone]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{key}: ended with exit code {done.returncode}")
    add_runs(options.json, {key: json.loads(done.stdout.splitlines()[-1])})


def add_runs(path: Path, rows: dict[str, Any]) -> None:
    write_record(path, {"runs": {**read_record(path).get("runs", {}), **rows}})


def measure_trained(name: str, shots: int, draw: int, way: str, options: Any) -> dict[str, Any]:
    """Trains in one way, and returns its accuracy."""
    import tfxfer
    from tfxfer.inference.keras_model import wrap_model
    from tfxfer.inference.scoring import score_split

    started = time.monotonic()
    data = load_draw(name, options, shots=shots, draw=draw)
    truth = data.test.targets.argmax(axis=1)
    if way == "guide":
        from guide import train_guide

        state = options.json.with_name(f"few_shots_guide_{name}_{shots}_{draw}.npz")
        found = train_guide(
            data, backbone=options.backbone, seed=draw, started=started, state=state,
            head_only=False,
        )  # fmt: skip
        state.unlink()
        scores = found["scores"]
    else:
        changed = dict(TRAINED[way])
        model = tfxfer.build_model(
            options.backbone, labels=data.labels, head=changed.pop("head", None), size=224,
            targets=data.train.targets, seed=draw,
        )  # fmt: skip
        tfxfer.fit(model, data, seed=draw, verbose=0, **changed)
        scores = score_split(wrap_model(model), data.test)
    accuracy = float((scores.argmax(axis=1) == truth).mean())
    return {"accuracy": accuracy, "seconds": round(time.monotonic() - started, 1)}


def show(record: dict[str, Any]) -> None:
    """Prints a table of each set: the mean over draws, and its interval."""
    from scipy.stats import t

    runs = record.get("runs", {})
    found: dict[tuple[str, str, int], list[float]] = {}
    for key, run in runs.items():
        name, shots, _, way = key.split("/")
        found.setdefault((name, way, int(shots)), []).append(100 * run["accuracy"])
    counts = sorted({count for _, _, count in found})
    for name in dict.fromkeys(name for name, _, _ in found):
        rows = []
        for way in dict.fromkeys(way for other, way, _ in found if other == name):
            cells = []
            for count in counts:
                values = np.array(found.get((name, way, count), []))
                half = 0.0
                if len(values) > 1:
                    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
                shown = f"{values.mean():.1f} ± {half:.1f} ({len(values)})" if len(values) else ""
                cells.append(shown)
            rows.append((way, *cells))
        print(f"\n{name}: accuracy in percent\n")
        print_table(("way", *(f"{count} a class" for count in counts)), rows)


if __name__ == "__main__":
    main()
