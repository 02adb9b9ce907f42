"""How often MediaPipe, reading only a file's metadata, answers as we do, and what it costs.

On test photos that we resized to the input, and on the files as they are, which MediaPipe resizes
itself, close to nearest-neighbour. Accuracy stands beside, paired by image.

    python benchmarks/mediapipe_agreement.py RUN… [--file export/model_int8.tflite] [--images 200]

Each RUN has been exported: `tfxfer export RUN --recipe int8`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record


def main() -> None:
    parser = make_parser(__doc__, name="mediapipe_agreement")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--file", help="inside a run  [default: the newest of its exports]")
    parser.add_argument("--images", type=int, help="of the test split  [default: all]")
    options = parser.parse_args()
    rows = [compare(run, options.file, options.images) for run in options.runs]
    print_table(
        ("run", "images", "resized: agrees", "raw: agrees", "ours", "MediaPipe raw", "points lost"),
        [
            (
                row["run"],
                row["images"],
                f"{100 * row['agreement_resized']:.1f} %",
                f"{100 * row['agreement_raw']:.1f} %",
                f"{100 * row['accuracy_ours']:.1f} %",
                f"{100 * row['accuracy_raw']:.1f} %",
                "{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(**row["points_lost_raw"]),
            )
            for row in rows
        ],
    )
    write_record(options.json, {"rows": rows})


def compare(path: Path, file: str | None, count: int | None) -> dict[str, Any]:
    """Returns agreement and accuracy of one run's file."""
    import numpy as np

    from tfxfer.evaluation import paired_difference
    from tfxfer.images.decode import open_image, resize_image
    from tfxfer.inference.loading import load_predictor
    from tfxfer.run.directory import RunDirectory
    from tfxfer_edge.proof.mediapipe import MediaPipeClassifier
    from tfxfer_edge.proof.run_images import load_run_images
    from tfxfer_edge.tflite.interpreter import TFLiteModel

    run = RunDirectory.open(path)
    predictor = load_predictor(path)
    tflite = path / file if file else Path(run.read_manifest().exports[-1]["path"])
    model = TFLiteModel(tflite)
    test = load_run_images(run, predictor).test
    chosen = np.arange(len(test))
    if count is not None and count < len(test):
        chosen = np.sort(np.random.default_rng(0).permutation(len(test))[:count])
    ours, resized, raw = [], [], []
    with MediaPipeClassifier(model) as client:
        for index in chosen:
            photo = open_image(test.root / test.paths[index])
            square = resize_image(photo, model.image_size, predictor.contract.resize)
            ours.append(model.score(square[None])[0])
            resized.append(client.classify(square)[0])
            raw.append(client.classify(np.asarray(photo))[0])
    targets = test.targets[chosen]
    right = {
        name: np.argmax(np.stack(scores), 1)
        for name, scores in (("ours", ours), ("resized", resized), ("raw", raw))
    }
    truth = targets.argmax(1)
    lost = paired_difference(
        targets, np.stack(ours), np.stack(raw), head=predictor.head, metric="accuracy"
    )
    return {
        "run": path.name,
        "file": tflite.name,
        "images": len(chosen),
        "agreement_resized": float((right["resized"] == right["ours"]).mean()),
        "agreement_raw": float((right["raw"] == right["ours"]).mean()),
        "accuracy_ours": float((right["ours"] == truth).mean()),
        "accuracy_raw": float((right["raw"] == truth).mean()),
        "points_lost_raw": lost,
    }


if __name__ == "__main__":
    main()
