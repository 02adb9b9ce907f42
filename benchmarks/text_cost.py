"""What training on texts costs: what caching saves, and how time and memory grow.

*Cache*: the head phase, 20 epochs with the pass that fills the cache, against the same epochs
through the whole network; and an epoch of the last two blocks, on activations at the end of the
fourth, against one through the whole network; the same of the last two of twelve blocks, on fewer
texts and with random weights, which cost as much as learnt ones. The first epoch of a phase holds
what comes before it, so that it is told apart: an epoch is the median of the later ones.

*Growth*: `tfxfer train` as a process of its own on reviews put together anew, a head epoch and one
of all blocks, with the peak of its memory.

    python benchmarks/text_cost.py [--parts cache,growth] [--texts 5000,10000,50000] [--repeats 3]
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from epochs import extrapolate, time_epochs
from process import measure_process
from record import make_parser, print_table, read_record, write_record
from text import BACKBONE, load
from text_sets import SETS, write_table

HEAD_EPOCHS = 20
WHOLE_EPOCHS = 2  # that are run: the others take as long
UPPER_FROM = "block_4"
DEEP, DEEP_UPPER_FROM = "bert_base", "block_10"
DEEP_TEXTS, DEEP_VAL_TEXTS = 480, 64
PARTS = ("cache", "growth")


def main() -> None:
    parser = make_parser(__doc__, name="text_cost")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--texts", default="5000,10000,50000")
    parser.add_argument("--backbone", default=BACKBONE, help="of the growth")
    options = parser.parse_args()
    figures = {key: read_record(options.json).get(key, {}) for key in PARTS}
    if "cache" in options.parts.split(","):
        rounds = figures["cache"].get("rounds", [])
        while len(rounds) < options.repeats:
            rounds.append(measure_cache())
            figures["cache"] = {"rounds": rounds}
            write_record(options.json, figures)
    if "growth" in options.parts.split(","):
        for count in map(int, options.texts.split(",")):
            if str(count) not in figures["growth"]:
                figures["growth"][str(count)] = measure_growth(count, options.backbone)
                write_record(options.json, figures)
    show(figures)


def measure_cache() -> dict[str, float]:
    """Returns the seconds of one round, cached and not in turns."""
    import tfxfer

    pairs, parts = load("rotten_tomatoes", 0)
    few = {**parts, "train": parts["train"][:DEEP_TEXTS], "val": parts["val"][:DEEP_VAL_TEXTS]}
    with tempfile.TemporaryDirectory() as folder:
        all_texts = read_table(Path(folder, "texts.csv"), pairs, parts, BACKBONE)
        few_texts = read_table(Path(folder, "few.csv"), pairs, few, DEEP)
    head = run_epochs(all_texts, BACKBONE, tfxfer.BACKBONE_END, HEAD_EPOCHS, cache=True)
    whole_head = run_epochs(all_texts, BACKBONE, tfxfer.BACKBONE_END, WHOLE_EPOCHS, cache=False)
    found = {
        "head_cached_s": sum(head.seconds),
        "head_whole_s": extrapolate(whole_head, [HEAD_EPOCHS]),
    }
    for key, texts, backbone, stage, weights in (
        ("epoch", all_texts, BACKBONE, UPPER_FROM, "default"),
        ("deep", few_texts, DEEP, DEEP_UPPER_FROM, None),
    ):
        for way, cache in (("cached", True), ("whole", False)):
            timed = run_epochs(
                texts, backbone, stage, 1 + WHOLE_EPOCHS, cache=cache, weights=weights
            )
            found[f"{key}_{way}_s"] = statistics.median(timed.seconds[1:])
            if cache:
                found[f"{key}_fill_s"] = timed.seconds[0] - found[f"{key}_{way}_s"]
    return found


def read_table(path: Path, pairs: Any, parts: Any, name: str) -> Any:
    """Returns texts as a backbone reads them."""
    import tfxfer

    write_table(path, pairs, parts)
    backbone = tfxfer.get_backbone(name)
    return tfxfer.load_samples(
        path,
        modality=tfxfer.get_modality(backbone.modality),
        size=SETS["rotten_tomatoes"].tokens,
        contract=backbone.preprocessing,
    )


def run_epochs(
    data: Any,
    backbone: str,
    stage: str,
    epochs: int,
    *,
    cache: bool,
    weights: str | None = "default",
) -> Any:
    """Returns how long the epochs of one phase took."""
    import tfxfer

    return time_epochs(
        data,
        [tfxfer.Phase("only", stage, epochs, 5e-5)],
        backbone=backbone,
        size=SETS["rotten_tomatoes"].tokens,
        weights=weights,
        augment="none",
        cache=cache,
    )


def measure_growth(count: int, backbone: str) -> dict[str, float]:
    """Returns what a training on that many texts takes."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "texts.csv")
        write_new_texts(table, count)
        words = ["train", str(table), "--backbone", backbone, "--out", str(Path(folder, "run"))]
        words += ["--head-epochs", "1", "--epochs", "1", "--cache-dir", folder, "--no-report"]
        return measure_process(*words)


def write_new_texts(path: Path, count: int) -> None:
    """Writes texts of the lengths of reviews, each of the halves of two others."""
    pairs, _ = load("rotten_tomatoes", 0)
    halves: dict[str, list[list[str]]] = {label: [] for _, label in pairs}
    for text, label in pairs:
        halves[label].append(text.split())
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        for number in range(count):
            label = sorted(halves)[number % len(halves)]
            first, second = (halves[label][i] for i in rng.integers(0, len(halves[label]), 2))
            words = first[: len(first) // 2] + second[len(second) // 2 :]
            rows.writerow((" ".join(words), label))


def list_cache_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns a row for the head phase, and one for an epoch of the last two blocks of each."""
    rounds = found.get("rounds", [])
    rows: list[dict[str, Any]] = []
    for what, key in (
        ("head phase, 20 epochs", "head"),
        ("an epoch of the last two of 6 blocks", "epoch"),
        ("an epoch of the last two of 12 blocks", "deep"),
    ):
        cached, whole = ([x[f"{key}_{way}_s"] for x in rounds] for way in ("cached", "whole"))
        ratios = [w / c for c, w in zip(cached, whole, strict=True)]
        figures = {"cached_s": cached, "whole_s": whole, "times_faster": ratios}
        rows.append({"what": what, **{name: {"rounds": x} for name, x in figures.items()}})
    return rows if rounds else []


def show(figures: dict[str, Any]) -> None:
    """Prints both tables."""
    print_table(
        ("", "cached, s", "whole network, s", "times faster"),
        [
            (
                row["what"],
                *(f"{statistics.median(row[key]['rounds']):.3g}" for key in list(row)[1:]),
            )
            for row in list_cache_rows(figures["cache"])
        ],
    )
    print_table(
        ("texts", "CPU seconds", "CPU seconds per 1,000 texts", "peak memory, MiB"),
        [
            (
                count,
                f"{x['cpu_s']:.0f}",
                f"{1_000 * x['cpu_s'] / int(count):.1f}",
                f"{x['peak_mib']:.0f}",
            )
            for count, x in figures["growth"].items()
        ],
    )


if __name__ == "__main__":
    main()
