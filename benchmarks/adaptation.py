"""What fitting the last layer to another look gains, in every direction between three looks.

    python benchmarks/adaptation.py --data FOLDER [--seeds 0,1,2] [--adapt-python PYTHON]

The features of each look are computed once and kept beside the record. Of each pair of looks a seed
draws three quarters of the labelled one, as the train split of a run has, and, with uneven shares,
which class of the other is how rare. Source only is logistic regression on the pooled features,
C = 0.01. `flowers5` is cut in halves, between which there is no gap; `flowers5, drawn` has the
second half in grey and four shades, a pair of looks that no constant was chosen on.

With `--adapt-python`, an interpreter that has the packages adapt 0.4.5 and tensorflow 2.15, DANN
and DeepCORAL of ADAPT are trained on the same features.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from PIL import Image, ImageOps
from record import make_parser, print_table, write_record

LOOKS = ("photo", "art_painting", "cartoon")
SHARES = (100, 80, 60, 40, 20, 10, 5)
FLOWERS = 200  # images a class
METHODS = ("coral", "self_training", "auto")
WIDTH_PX = 224

ADAPT_SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
from adapt.feature_based import DANN, DeepCORAL

data, layers, found = np.load(sys.argv[1]), tf.keras.layers, {}
for number in range(int(data["count"])):
    source, classes, target = (data[f"{name}{number}"] for name in ("source", "classes", "target"))
    # Of a length at which both train: of features as they come, DeepCORAL's loss drowns the task's.
    source, target = (4 * x / np.linalg.norm(x, axis=1, keepdims=True) for x in (source, target))
    for name, make, options in (("DANN", DANN, {"lambda_": 0.1}), ("DeepCORAL", DeepCORAL, {})):
        seed = int(data[f"seed{number}"])
        tf.keras.utils.set_random_seed(seed)
        encoder = tf.keras.Sequential([layers.Dense(256, activation="relu")])
        task = tf.keras.Sequential([layers.Dense(classes.shape[1], activation="softmax")])
        if make is DANN:
            options["discriminator"] = tf.keras.Sequential(
                [layers.Dense(64, activation="relu"), layers.Dense(1, activation="sigmoid")]
            )
        model = make(
            encoder=encoder, task=task, Xt=target, loss="categorical_crossentropy",
            optimizer=tf.keras.optimizers.Adam(1e-3), random_state=seed, verbose=0, **options,
        )
        model.fit(source, classes, epochs=30, batch_size=64, verbose=0)
        found[f"{name}{number}"] = np.asarray(model.predict(target, verbose=0))
    print(number, flush=True)
np.savez(sys.argv[2], **found)
"""


@dataclass(frozen=True, eq=False)
class Pair:
    """A labelled look and another one, whose labels only test.

    Args:
        kind: of the pair, under which results are averaged.
        name: of it.
        seed: that drew it.
        source: features of the labelled look.
        classes: its labels.
        target: features of the other look.
        truth: what its samples are.
    """

    kind: str
    name: str
    seed: int
    source: np.ndarray
    classes: np.ndarray
    target: np.ndarray
    truth: np.ndarray


def main() -> None:
    parser = make_parser(__doc__, name="adaptation")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--adapt-python", help="an interpreter that has adapt and tensorflow 2.15")
    options = parser.parse_args()
    place = options.json.with_name(f"adaptation_{options.backbone}.npz")
    features = read_features(options.data, options.backbone, place)
    seeds = tuple(map(int, options.seeds.split(",")))
    pairs = [*draw_pairs(features, seeds), *draw_flowers(features, seeds)]
    rows = []
    for pair in pairs:
        rows.append(measure(pair))
        print(rows[-1], file=sys.stderr, flush=True)
    if options.adapt_python:
        others = run_adapt(pairs, options.adapt_python)
        rows = [{**row, **more} for row, more in zip(rows, others, strict=True)]
    show(rows)
    write_record(options.json, {"runs": rows, "load": os.getloadavg()[0]})


def read_features(data: Path, backbone: str, place: Path) -> dict[str, np.ndarray]:
    """Returns the pooled features and the labels of each look, from an earlier call if any."""
    if place.is_file():
        with np.load(place) as file:
            return dict(file)
    import tfxfer

    model = tfxfer.build_model(backbone, labels=["a", "b"], size=WIDTH_PX)
    found: dict[str, np.ndarray] = {}
    for look in LOOKS:
        paths = sorted((data / "pacs3" / look).rglob("*.jpg"))
        found[look] = tfxfer.embed(model, paths)
        found[f"{look}_labels"] = number_labels(paths)
    folders = sorted(path for path in (data / "flowers5").iterdir() if path.is_dir())
    paths = [path for folder in folders for path in sorted(folder.rglob("*.jpg"))[:FLOWERS]]
    found["flowers5"], found["flowers5_labels"] = tfxfer.embed(model, paths), number_labels(paths)
    found["flowers5_drawn"] = tfxfer.embed(model, np.stack([redraw(path) for path in paths]))
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, **found)
    return found


def number_labels(paths: list[Path]) -> np.ndarray:
    return np.unique([path.parent.name for path in paths], return_inverse=True)[1]


def redraw(path: Path) -> np.ndarray:
    """Returns an image in grey and four shades."""
    with Image.open(path) as image:
        small = image.convert("L").resize((WIDTH_PX, WIDTH_PX), Image.Resampling.BILINEAR)
    return np.asarray(ImageOps.posterize(ImageOps.autocontrast(small), 2).convert("RGB"))


def draw_pairs(features: dict[str, np.ndarray], seeds: tuple[int, ...]) -> Iterator[Pair]:
    """Yields each direction between the looks, with equal shares and with uneven ones."""
    for is_uneven, (first, other), seed in itertools.product(
        (False, True), itertools.permutations(LOOKS, 2), seeds
    ):
        rng = np.random.default_rng(seed)
        labels = features[f"{first}_labels"]
        drawn = np.sort(rng.permutation(len(labels))[: len(labels) * 3 // 4])
        truth = features[f"{other}_labels"]
        chosen = np.arange(len(truth))
        if is_uneven:
            counts = rng.permutation(SHARES)
            chosen = np.concatenate(
                [rng.permutation(np.flatnonzero(truth == k))[:n] for k, n in enumerate(counts)]
            )
        yield Pair(
            "uneven shares" if is_uneven else "equal shares", f"{first} to {other}", seed,
            features[first][drawn], labels[drawn], features[other][chosen], truth[chosen],
        )  # fmt: skip


def draw_flowers(features: dict[str, np.ndarray], seeds: tuple[int, ...]) -> Iterator[Pair]:
    """Yields halves of one set, the second as it is, and drawn in grey."""
    labels = features["flowers5_labels"]
    for kind, seed in itertools.product(("flowers5", "flowers5_drawn"), seeds):
        order = np.random.default_rng(seed).permutation(len(labels))
        one, two = order[: len(order) // 2], order[len(order) // 2 :]
        yield Pair(
            kind, "halves", seed, features["flowers5"][one], labels[one], features[kind][two],
            labels[two],
        )  # fmt: skip


def measure(pair: Pair) -> dict[str, Any]:
    """Returns the share of right answers with each method, in percent."""
    from sklearn.linear_model import LogisticRegression

    from tfxfer.adaptation.choice import choose_adaptation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an end that is not reached to the last digit
        plain = LogisticRegression(C=0.01, max_iter=300, tol=1e-3).fit(pair.source, pair.classes)
    before = plain.predict_proba(pair.target)
    classes = np.eye(int(pair.classes.max()) + 1)[pair.classes]
    row: dict[str, Any] = {"kind": pair.kind, "name": pair.name, "seed": pair.seed}
    row["source only"] = count_right(before, pair.truth)
    for asked in METHODS:
        found = choose_adaptation(
            pair.source, classes, pair.target, before, asked=asked, seed=pair.seed
        )
        row[asked] = count_right(found.answers, pair.truth)
        if asked == "auto":
            row["kept"] = found.method
    return row


def run_adapt(pairs: Sequence[Pair], python: str) -> list[dict[str, float]]:
    """Returns the same of ADAPT's estimators, in a process and an environment of their own."""
    given: dict[str, Any] = {"count": len(pairs)}
    for number, pair in enumerate(pairs):
        classes = np.eye(int(pair.classes.max()) + 1, dtype=np.float32)[pair.classes]
        parts = {"source": pair.source, "classes": classes, "target": pair.target}
        given |= {f"{name}{number}": values for name, values in parts.items()}
        given[f"seed{number}"] = pair.seed
    with tempfile.TemporaryDirectory() as folder:
        asked, made = Path(folder) / "pairs.npz", Path(folder) / "answers.npz"
        np.savez(asked, **given)
        command = [python, "-c", ADAPT_SCRIPT, str(asked), str(made)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        with np.load(made) as answers:
            return [
                {
                    name: count_right(answers[f"{name}{number}"], pair.truth)
                    for name in ("DANN", "DeepCORAL")
                }
                for number, pair in enumerate(pairs)
            ]


def count_right(answers: np.ndarray, truth: np.ndarray) -> float:
    return 100 * float((answers.argmax(axis=1) == truth).mean())


def show(rows: list[dict[str, Any]]) -> None:
    names = [name for name in ("source only", *METHODS, "DANN", "DeepCORAL") if name in rows[0]]
    table = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of_kind = [row for row in rows if row["kind"] == kind]
        pairs = list(dict.fromkeys(row["name"] for row in of_kind))
        for name in (*pairs, *(["mean"] if len(pairs) > 1 else [])):
            some = [row for row in of_kind if name in ("mean", row["name"])]
            means = [f"{np.mean([row[x] for row in some]):.1f}" for x in names]
            worst = min(row["auto"] - row["source only"] for row in some)
            table.append((kind, name, *means, f"{worst:+.1f}"))
    print_table(("kind", "pair", *names, "auto, worst gain"), table)


if __name__ == "__main__":
    main()
