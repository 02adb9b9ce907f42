"""What text classifiers lose on the way to a phone, and whether MediaPipe answers as we do.

Each RUN is exported in float, and with weights of 8 bits; both files answer the whole test. Then
MediaPipe's `TextClassifier`, which reads nothing but the file and the text itself, answers some of
it, and is held against our own answers from the same file.

    python benchmarks/text_edge.py RUN… [--recipes float16,dynamic_w8] [--texts 500]

`text.py --keep` leaves such runs behind. `mediapipe` has to be installed.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from record import make_parser, print_table, write_record


def main() -> None:
    parser = make_parser(__doc__, name="text_edge")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--recipes", default="float16,dynamic_w8")
    parser.add_argument("--texts", type=int, default=500, help="that MediaPipe answers")
    options = parser.parse_args()
    rows = []
    for run in options.runs:
        rows += measure(run, options.recipes.split(","), options.texts)
        write_record(options.json, {"rows": rows})
    print_table(
        ("run", "recipe", "bytes", "accuracy, %", "macro-F1, %", "loses, points", "MediaPipe, %"),
        [
            (
                row["run"],
                row["recipe"],
                f"{row['bytes']:,}",
                f"{100 * row['accuracy']['value']:.2f}",
                f"{100 * row['macro_f1']['value']:.2f}",
                f"{row['drop_points']['value']:+.2f}",
                f"{100 * row['agreement']:.1f} of {row['texts']}",
            )
            for row in rows
        ],
    )


def measure(run: Path, recipes: list[str], count: int) -> list[dict[str, Any]]:
    """Returns a row for each recipe of a run."""
    texts, rows = read_test(run), []
    for recipe in recipes:
        # One at a time: of several, the file that is not chosen may not be kept.
        with tempfile.TemporaryDirectory() as folder:
            words = ["export", str(run), "--out", folder, "--max-drop", "100", "--recipe", recipe]
            command = [sys.executable, "-m", "tfxfer", *words, "--json"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            (found,) = json.loads(done.stdout)["candidates"]
            asked, agreed = compare_clients(Path(found["path"]), texts, count)
        rows.append(
            {
                "run": run.name,
                "recipe": found["recipe"],
                "bytes": found["bytes"],
                "accuracy": found["metrics"]["test"]["accuracy"],
                "macro_f1": found["metrics"]["test"]["macro_f1"],
                "drop_points": found["test_drop_points"],
                "agreement": agreed / asked,
                "texts": asked,
            }
        )
    return rows


def read_test(run: Path) -> list[str]:
    """Returns the test texts that a run answered."""
    table = run.with_suffix(".csv")
    with table.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file) if row["split"] == "test"]


def compare_clients(path: Path, texts: list[str], count: int) -> tuple[int, int]:
    """Returns how many texts both were asked about, and to how many they gave the same label."""
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.text import TextClassifier, TextClassifierOptions

    import tfxfer

    chosen = np.sort(np.random.default_rng(0).permutation(len(texts))[:count])
    asked = [texts[row] for row in chosen]
    samples = [tfxfer.Sample(f"text {row}", content=texts[row]) for row in chosen]
    ours = [prediction["label"] for prediction in tfxfer.predict(path, samples)]
    options = TextClassifierOptions(base_options=BaseOptions(model_asset_path=str(path)))
    with TextClassifier.create_from_options(options) as client:
        theirs = [
            max(client.classify(text).classifications[0].categories, key=lambda x: x.score)
            for text in asked
        ]
    agreed = sum(a == b.category_name for a, b in zip(ours, theirs, strict=True))
    return len(asked), agreed


if __name__ == "__main__":
    main()
