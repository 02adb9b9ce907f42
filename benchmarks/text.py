"""Texts: fine-tuned MiniLM against word counts and a linear probe, with many texts and with few.

Each way learns from the same texts and answers the same test. Ours is `tfxfer train` as a user
calls it, one process each: nothing is asked for but the size. Word counts are TF-IDF of single
words and pairs (sublinear, C = 100); the probe is logistic regression on the mean of MiniLM's token
vectors, its C chosen on validation, as our best epoch is.

    python benchmarks/text.py [--sets sms,sms@8] [--seeds 0,1,2] [--ways tfidf,probe,ours]

`@8` stands for 8 texts of each label to learn from, and as many to choose by. What is in the JSON
file already is not trained again. `--keep` leaves the runs beside it, for `text_edge.py`.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, read_record, write_record
from text_sets import SETS, draw_few, read_texts, split_texts, write_table

FEW = (8, 16, 64)
BACKBONE = "minilm_l6"
_DRAWS = 2_000
_PROBE_C = (0.1, 1.0, 10.0, 100.0)

Pairs = list[tuple[str, str]]
Parts = dict[str, np.ndarray]


def main() -> None:
    parser = make_parser(__doc__, name="text")
    every = [*SETS, *(f"{name}@{count}" for name in SETS for count in FEW)]
    parser.add_argument("--sets", default=",".join(every))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--keep", action="store_true", help="leave the runs beside the JSON file")
    options = parser.parse_args()
    runs: dict[str, Any] = read_record(options.json).get("runs", {})
    folder = options.json.with_name(f"{options.json.stem}_runs")
    for name in options.sets.split(","):
        for seed in map(int, options.seeds.split(",")):
            for way in options.ways.split(","):
                key = f"{name}/{seed}/{way}"
                if key in runs:
                    continue
                started = time.perf_counter()
                pairs, parts = load(name, seed)
                found = WAYS[way](pairs, parts, name, folder / key.replace("/", "-"))
                truth = np.array([pairs[row][1] for row in parts["test"]])
                answers = found.pop("answers")
                runs[key] = {
                    **score(truth, answers),
                    "texts": {part: len(rows) for part, rows in parts.items()},
                    "right": "".join(map(str, (truth == answers).astype(int))),
                    "seconds": time.perf_counter() - started,
                    **found,
                }
                write_record(options.json, {"runs": runs})
                print(key, *(f"{m} {runs[key][m]['value']:.4f}" for m in METRICS), flush=True)
                if not options.keep:
                    shutil.rmtree(folder, ignore_errors=True)
    show(runs)


def load(name: str, seed: int) -> tuple[Pairs, Parts]:
    """Returns the texts of a set and their parts; `NAME@8` has few to learn from."""
    name, _, count = name.partition("@")
    pairs = read_texts(name)
    labels = np.array([label for _, label in pairs])
    parts = split_texts(labels, seed=seed)
    return pairs, draw_few(parts, labels, int(count), seed=seed) if count else parts


def count_words(pairs: Pairs, parts: Parts, name: str, place: Path) -> dict[str, Any]:
    """Returns the answers of logistic regression on TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=100, max_iter=5_000),
    )
    texts, labels = (np.array(x, object) for x in zip(*pairs, strict=True))
    model.fit(texts[parts["train"]], labels[parts["train"]].astype(str))
    return {"answers": model.predict(texts[parts["test"]])}


def probe(pairs: Pairs, parts: Parts, name: str, place: Path) -> dict[str, Any]:
    """Returns the answers of logistic regression on mean token vectors, and its C."""
    from sklearn.linear_model import LogisticRegression

    vectors = embed_texts(name.partition("@")[0], pairs, place.parent.parent)
    labels = np.array([label for _, label in pairs])
    tried = []
    for strength in _PROBE_C:
        model = LogisticRegression(C=strength, max_iter=5_000)
        model.fit(vectors[parts["train"]], labels[parts["train"]])
        tried.append((model.score(vectors[parts["val"]], labels[parts["val"]]), -strength, model))
    _, strength, best = max(tried, key=lambda item: item[:2])
    return {"answers": best.predict(vectors[parts["test"]]), "c": -strength}


def embed_texts(name: str, pairs: Pairs, folder: Path) -> np.ndarray:
    """Returns the mean token vector of each text of a set, computed once.

    Shapes: float32 (texts, 384).
    """
    path = folder / f"text_vectors_{name}.npy"
    if not path.is_file():
        import tfxfer

        model = tfxfer.build_model(BACKBONE, labels=["a", "b"], size=SETS[name].tokens)
        folder.mkdir(parents=True, exist_ok=True)
        samples = [
            tfxfer.Sample(f"text {row}", content=text) for row, (text, _) in enumerate(pairs)
        ]
        np.save(path, tfxfer.embed(model, samples))
    found: np.ndarray = np.load(path)
    return found


def train(pairs: Pairs, parts: Parts, name: str, place: Path) -> dict[str, Any]:
    """Returns the answers of `tfxfer train`, and what became of its phases."""
    place.parent.mkdir(parents=True, exist_ok=True)
    table = place.with_suffix(".csv")
    write_table(table, pairs, parts)
    size = SETS[name.partition("@")[0]].tokens
    words = ["train", str(table), "--backbone", BACKBONE, "--size", str(size), "--out", str(place)]
    command = [sys.executable, "-m", "tfxfer", *words, "--overwrite", "--no-report", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    document = json.loads(done.stdout)
    with (place / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    # A text's name ends in its line, and the table was written in the order of the texts.
    rows.sort(key=lambda row: int(row["path"].rpartition(":")[2]))
    order = np.argsort(parts["test"])
    if [row["truth"] for row in rows] != [pairs[row][1] for row in parts["test"][order]]:
        sys.exit(f"{place}: expected the test's texts, whole. Received: others")
    answers = np.empty(len(order), object)
    answers[order] = [row["label"] for row in rows]
    return {
        "answers": answers.astype(str),
        "phases": [
            {key: phase[key] for key in ("name", "epochs", "seconds", "best_epoch", "cached")}
            for phase in document["phases"]
        ],
        "asked": document["metrics"]["test"],
    }


WAYS: dict[str, Callable[[Pairs, Parts, str, Path], dict[str, Any]]] = {
    "tfidf": count_words,
    "probe": probe,
    "ours": train,
}
METRICS = ("accuracy", "macro_f1")


def score(truth: np.ndarray, answers: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns accuracy and macro-F1 with 95 % intervals: the percentiles of a bootstrap.

    Shapes: truth and answers (texts,) of labels.
    """
    labels = sorted(set(truth.tolist()))
    true, said = (np.stack([x == label for label in labels], axis=1) for x in (truth, answers))
    rows = np.random.default_rng(0).integers(0, len(truth), (_DRAWS, len(truth)))
    found = {"accuracy": (truth == answers).mean(), "macro_f1": f1(true, said)}
    drawn = {
        "accuracy": (truth == answers)[rows].mean(axis=1),
        "macro_f1": np.array([f1(true[draw], said[draw]) for draw in rows]),
    }
    return {
        name: {
            "value": float(value),
            **dict(
                zip(("low", "high"), np.quantile(drawn[name], (0.025, 0.975)).tolist(), strict=True)
            ),
        }
        for name, value in found.items()
    }


def f1(true: np.ndarray, said: np.ndarray) -> float:
    """Returns the mean over labels of 2 · hits / (true + said); one that is in neither has 0."""
    sums = true.sum(axis=0) + said.sum(axis=0)
    return float(np.mean(2 * (true & said).sum(axis=0) / np.maximum(sums, 1)))


def compare(first: Sequence[str], second: Sequence[str]) -> dict[str, float]:
    """Returns by how many points of accuracy the first is better, paired by text, over seeds.

    Args:
        first: a string of 0 and 1 a seed, as `right` has them.
        second: of the other way, alike.
    """
    ours, theirs = (np.array([int(x) for x in "".join(each)]) for each in (first, second))
    gains = (ours - theirs).astype(float)
    half = 1.96 * gains.std() / np.sqrt(len(gains))
    mean = gains.mean()
    return {"value": 100 * mean, "low": 100 * (mean - half), "high": 100 * (mean + half)}


def summarise(runs: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns a row for each set and way: means over seeds, and what ours gains over it.

    The interval of a mean is that of independent tests; those of the seeds overlap, so that it is
    a little too narrow.
    """
    rows = []
    for place in dict.fromkeys(key.split("/")[0] for key in runs):
        for way in WAYS:
            seeds = [k.split("/")[1] for k in runs if k.startswith(f"{place}/") and k.endswith(way)]
            if not seeds:
                continue
            each = [runs[f"{place}/{seed}/{way}"] for seed in seeds]
            row: dict[str, Any] = {"set": place, "way": way, "seeds": len(seeds)}
            for name in METRICS:
                value = np.mean([x[name]["value"] for x in each])
                halves = np.array([x[name]["high"] - x[name]["low"] for x in each]) / 2
                half = np.sqrt((halves**2).sum()) / len(each)
                row[name] = {"value": value, "low": value - half, "high": min(1.0, value + half)}
                row[f"{name}_each"] = [x[name]["value"] for x in each]
            shared = [seed for seed in seeds if f"{place}/{seed}/ours" in runs]
            if way != "ours" and shared:
                ours, theirs = (
                    [runs[f"{place}/{seed}/{x}"]["right"] for seed in shared] for x in ("ours", way)
                )
                row["gain"] = compare(ours, theirs)
            rows.append(row)
    return rows


def show(runs: dict[str, Any]) -> None:
    """Prints a row for each set and way."""

    def spread(figure: dict[str, float] | None, factor: float = 100) -> str:
        if figure is None:
            return ""
        value, low, high = (factor * figure[key] for key in ("value", "low", "high"))
        return f"{value:.1f} [{low:.1f}, {high:.1f}]"

    print_table(
        ("set", "way", "seeds", "accuracy, %", "macro-F1, %", "ours gains, points"),
        [
            (
                row["set"], row["way"], row["seeds"], spread(row["accuracy"]),
                spread(row["macro_f1"]), spread(row.get("gain"), 1),
            )
            for row in summarise(runs)
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
