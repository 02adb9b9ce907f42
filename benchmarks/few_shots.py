"""What few photos a class are worth to each way of learning from them.

    python benchmarks/few_shots.py --data FOLDER [--sets flowers5,photo] [--draws 10]
        [--shots 1,2,5,10,20] [--ways features,views,two_phase,…] [--backbone efficientnet_lite0]
        [--image-size 224] [--test 60]

Each draw takes N photos a class to learn from, N more to choose an epoch by, and tests on 60 others
of each class; every way gets the same ones. `features` are ways that need no training: nearest
class mean, ridge and logistic regression, and a linear discriminant with the covariance of `--keep
statistics`, each on the pooled features of the plain photos. `views` are the same on the mean of
eight augmented views of each. All others train, each draw in a process of its own: `two_phase`,
with more epochs or stronger augmentation, `head` and `prototype` are schedules and heads of
tfxfer, and `guide` is the keras.io guide.

What is in the JSON file already is not measured again: interrupt it, and go on later. Intervals are
of the mean over draws, by Student's t.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_record, write_record

FOLDERS = {"flowers5": "flowers5", "photo": "pacs3/photo"}
MOST, VIEWS = 200, 8  # photos a class that are drawn among, and views of each
TRAINED: dict[str, dict[str, Any]] = {
    "two_phase": {},
    "head": {"schedule": "head"},
    "prototype": {"head": "prototype", "schedule": "head"},
    "prototype_two_phase": {"head": "prototype"},
    "two_phase_long": {"epochs": 32},
    "two_phase_strong": {"augment": "strong"},
}
WAYS = ("features", "views", *TRAINED, "guide")


def main() -> None:
    parser = make_parser(__doc__, name="few_shots")
    parser.add_argument("--sets", default=",".join(FOLDERS))
    parser.add_argument("--shots", default="1,2,5,10,20")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--test", type=int, default=60, help="photos a class that test")
    parser.add_argument("--one", nargs=3, metavar=("SET", "DRAW", "SHOTS/WAY,…"))
    options = parser.parse_args()
    if options.one:
        measure_draw(*options.one, options)
        return
    shots, ways = tuple(map(int, options.shots.split(","))), options.ways.split(",")
    settings = {"image_size": options.image_size, "test": options.test}
    if read_record(options.json).get("settings") != settings:
        write_record(options.json, {"settings": settings, "runs": {}})
    for kind in ("features", "views"):
        if kind in ways:
            measure_features(options, shots, kind)
    for draw in range(options.draws):
        for name in options.sets.split(","):
            add_trained(options, name, draw)
    show(read_record(options.json))


def list_photos(name: str, data: Path) -> tuple[list[Path], np.ndarray]:
    """Returns the photos of a set that are drawn among, and the number of each one's class."""
    folders = sorted(x for x in (data / FOLDERS[name]).iterdir() if x.is_dir())
    found = [sorted(folder.rglob("*.jpg"))[:MOST] for folder in folders]
    numbers = np.repeat(np.arange(len(found)), [len(paths) for paths in found])
    return [path for paths in found for path in paths], numbers


def draw_rows(numbers: np.ndarray, shots: int, draw: int, test: int) -> dict[str, np.ndarray]:
    """Returns which photos a draw has in each part; fewer shots are some of more."""
    rng = np.random.default_rng(draw)
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for number in range(numbers.max() + 1):
        rows = rng.permutation(np.flatnonzero(numbers == number))
        rest = rows[: len(rows) - test]
        half = len(rest) // 2
        parts["train"].append(rest[:half][:shots])
        parts["val"].append(rest[half:][:shots])
        parts["test"].append(rows[-test:])
    return {part: np.concatenate(rows) for part, rows in parts.items()}


def measure_features(options: Any, shots: tuple[int, ...], kind: str) -> None:
    """Measures every way that needs no training, on all draws."""
    for name in options.sets.split(","):
        paths, numbers = list_photos(name, options.data)
        done = read_record(options.json)["runs"]
        wanted = [
            (count, draw)
            for draw in range(options.draws)
            for count in shots
            if f"{name}/{count}/{draw}/cosine{SUFFIXES[kind]}" not in done
        ]
        if not wanted:
            continue
        place = options.json.with_name(
            f"few_shots_{name}_{options.backbone}_{options.image_size}.npz"
        )
        features = read_features(paths, options, place)
        rows: dict[str, Any] = {}
        for count, draw in wanted:
            parts = draw_rows(numbers, count, draw, options.test)
            learnt = features[parts["train"]]
            if kind == "views":
                learnt = embed_views([paths[row] for row in parts["train"]], options)
            truth = numbers[parts["test"]]
            for way, logits in score_ways(learnt, numbers[parts["train"]], features[parts["test"]]):
                accuracy = float((logits.argmax(axis=1) == truth).mean())
                rows[f"{name}/{count}/{draw}/{way}{SUFFIXES[kind]}"] = {"accuracy": accuracy}
        add_runs(options.json, rows)


SUFFIXES = {"features": "", "views": "_views"}


def read_features(paths: list[Path], options: Any, place: Path) -> np.ndarray:
    """Returns the pooled features of photos, from an earlier call if any."""
    if place.is_file():
        with np.load(place) as file:
            return np.asarray(file["features"])
    import tfxfer

    model = tfxfer.build_model(options.backbone, labels=["a", "b"], size=options.image_size)
    features = tfxfer.embed(model, paths)
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, features=features)
    return features


def embed_views(paths: list[Path], options: Any) -> np.ndarray:
    """Returns the mean of the features of augmented views of each photo."""
    import tfxfer
    from tfxfer.images.augment import make_views
    from tfxfer.images.decode import open_image
    from tfxfer.preprocessing import Resize

    views = [
        make_views(
            open_image(path), size_px=options.image_size, resize=Resize(), level="light",
            views=range(1, VIEWS + 1), seed=0, index=number,
        )
        for number, path in enumerate(paths)
    ]  # fmt: skip
    model = tfxfer.build_model(options.backbone, labels=["a", "b"], size=options.image_size)
    found = tfxfer.embed(model, np.concatenate(views))
    return found.reshape(len(paths), VIEWS, -1).mean(axis=1)


def score_ways(
    features: np.ndarray, classes: np.ndarray, test: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the logits of the test photos in each way.

    Shapes: features (photos, features), classes (photos,), test (test photos, features).
    """
    from sklearn.linear_model import LogisticRegression

    from tfxfer.adaptation.ridge import Ridge
    from tfxfer.keeping.statistics import fit_discriminant, measure_statistics
    from tfxfer_heads import Prototype

    count = int(classes.max()) + 1
    hot, names = np.eye(count)[classes], tuple(map(str, range(count)))
    zeros = [np.zeros((features.shape[1], count)), np.zeros(count)]
    for metric in ("cosine", "euclidean"):
        kernel, bias = Prototype(metric=metric).closed_form().fit(features, hot, zeros)
        yield metric, test @ kernel + bias
    unit, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, test))
    centre = unit.mean(axis=0)
    kernel = Ridge.of(unit - centre, np.ones(len(unit)), penalty=1.0).fit(hot)
    yield "ridge", (other - centre) @ kernel
    probe = LogisticRegression(C=1.0, max_iter=2000).fit(10 * unit, classes)
    yield "logistic", probe.decision_function(10 * other)
    if len(features) > count:
        kernel, bias = fit_discriminant(measure_statistics(features, classes, names), names)
        yield "discriminant", test @ kernel + bias


def add_trained(options: Any, name: str, draw: int) -> None:
    """Trains on a draw in a process of its own, in the ways that are not in the record yet."""
    done = read_record(options.json)["runs"]
    ways = [way for way in options.ways.split(",") if way not in SUFFIXES]
    wanted = [
        f"{shots}/{way}"
        for shots in options.shots.split(",")
        for way in ways
        if f"{name}/{shots}/{draw}/{way}" not in done
    ]
    if not wanted:
        return
    print(f"== {name}, draw {draw} {time.strftime('%H:%M:%S')}", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", name, str(draw), ",".join(wanted)]
    command += ["--data", str(options.data), "--json", str(options.json)]
    command += ["--backbone", options.backbone]
    command += ["--image-size", str(options.image_size), "--test", str(options.test)]
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(f"{name}, draw {draw}: ended with exit code {code}")


def add_runs(path: Path, rows: dict[str, Any]) -> None:
    record = read_record(path)
    write_record(path, {**record, "runs": {**record["runs"], **rows}})


def measure_draw(name: str, draw: str, wanted: str, options: Any) -> None:
    """Trains on a draw in several ways, and adds each to the record as it ends."""
    import keras

    for shots, way in (key.split("/") for key in wanted.split(",")):
        row = measure_trained(name, int(shots), int(draw), way, options)
        add_runs(options.json, {f"{name}/{shots}/{draw}/{way}": row})
        keras.utils.clear_session()


def measure_trained(name: str, shots: int, draw: int, way: str, options: Any) -> dict[str, Any]:
    """Trains in one way, and returns its accuracy."""
    import tfxfer

    started = time.monotonic()
    paths, numbers = list_photos(name, options.data)
    parts = draw_rows(numbers, shots, draw, options.test)
    with tempfile.TemporaryDirectory() as folder:
        for part, rows in parts.items():
            for row in rows:
                place = Path(folder, part, paths[row].parent.name)
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(paths[row], place)
        data = tfxfer.load_images(folder, image_size=options.image_size, near_duplicates=False)
        return train(data, way, draw, options, started)


def train(data: Any, way: str, draw: int, options: Any, started: float) -> dict[str, Any]:
    """Trains on a draw in one way, and returns its accuracy."""
    import tfxfer
    from tfxfer.inference.keras_model import wrap_model
    from tfxfer.inference.scoring import score_split

    truth = data.test.targets.argmax(axis=1)
    if way == "guide":
        from guide import train_guide

        with tempfile.TemporaryDirectory() as folder:
            scores = train_guide(
                data, backbone=options.backbone, seed=draw, started=started,
                state=Path(folder, "state.npz"), head_only=False,
            )["scores"]  # fmt: skip
    else:
        changed = dict(TRAINED[way])
        model = tfxfer.build_model(
            options.backbone, labels=data.labels, head=changed.pop("head", None),
            size=options.image_size, targets=data.train.targets, seed=draw,
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
