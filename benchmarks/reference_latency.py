"""Latency and size of our int8 MobileNetV2 1.0 at 224 px against a published file of the same.

The published one is per-channel int8 post-training quantization too, from the Coral test data. Both
run on one thread, each round in a process of its own, taking turns. The float32 file of the same
network stands beside them.

    python benchmarks/reference_latency.py --reference tf2_mobilenet_v2_1.0_224_ptq.tflite
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from convert_speed import build
from record import make_parser, print_table, write_record

BAR = 1.05  # times the published file's latency, and its size


def main() -> None:
    parser = make_parser(__doc__, name="reference_latency")
    parser.add_argument("--reference", type=Path, required=True, help="the published file")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=50, help="images a round")
    options = parser.parse_args()

    import numpy as np

    from tfxfer_edge import TFLiteModel, convert
    from tfxfer_edge.timing.latency import measure

    outputs = TFLiteModel(options.reference).outputs
    weights = options.weights / "mobilenet_v2_1.0_224_notop.weights.h5"
    if not weights.is_file():
        parser.error(f"--weights: expected {weights.name} in {options.weights}. Received: none")
    model = build(224, weights, outputs=outputs)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 224, 224, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        paths = {"published": options.reference}
        for recipe in ("int8", "float32"):
            paths[recipe] = Path(folder, f"{recipe}.tflite")
            # The speed of a kernel does not depend on the values: noise may calibrate here.
            convert(model, recipe=recipe, calibration=pixels, preprocessing="in_graph").save(
                paths[recipe]
            )
        found = measure(list(paths.values()), threads=1, runs=options.runs, rounds=options.rounds)
    rows = {name: item.to_dict() | {"path": name} for name, item in zip(paths, found, strict=True)}
    published = rows["published"]
    for row in rows.values():
        row["latency_ratio"] = row["latency_ms"]["median"] / published["latency_ms"]["median"]
        row["size_ratio"] = row["bytes"] / published["bytes"]
    print_table(
        ("file", "bytes", "median ms", "p95 ms", "latency ratio", "size ratio"),
        [
            (
                name,
                f"{row['bytes']:,}",
                f"{row['latency_ms']['median']:.2f}",
                f"{row['latency_ms']['p95']:.2f}",
                f"{row['latency_ratio']:.3f}",
                f"{row['size_ratio']:.3f}",
            )
            for name, row in rows.items()
        ],
    )
    write_record(options.json, {"bar": BAR, "outputs": outputs, "rows": list(rows.values())})


if __name__ == "__main__":
    main()
