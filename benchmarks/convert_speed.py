"""Times the way from a Keras model to an int8 file: ours with both engines, and TensorFlow's own.

MobileNetV2 1.0 at 224 px, 100 calibration images, everything included; alternating, medians.

    python benchmarks/convert_speed.py [--weights FOLDER] [--repeats 3] [--json FILE]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record

BARS = {"quantizer": 5.0, "converter": 3.0}  # times faster than from_keras_model


def main() -> None:
    parser = make_parser(__doc__, name="convert_speed")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    import numpy as np

    weights = options.weights / "mobilenet_v2_1.0_224_notop.weights.h5"
    if not weights.is_file():
        parser.error(f"--weights: expected {weights.name} in {options.weights}. Received: none")
    model = build(options.image_size, weights)
    rng = np.random.default_rng(0)
    side = options.image_size // 16
    coarse = rng.uniform(0, 255, (options.images, side, side, 3))
    pixels = np.kron(coarse, np.ones((1, 16, 16, 1))).astype(np.uint8)

    ways: dict[str, Callable[[], bytes]] = {
        "quantizer": lambda: ours(model, pixels, "quantizer"),
        "converter": lambda: ours(model, pixels, "converter"),
        "from_keras_model": lambda: theirs(model, pixels),
    }
    import litert_quantizer.quantizer  # noqa: F401  imports are not what is timed

    seconds: dict[str, list[float]] = {name: [] for name in ways}
    sizes: dict[str, int] = {}
    for _ in range(options.repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            sizes[name] = len(way())
            seconds[name].append(time.perf_counter() - start)
            print(f"{name:18} {seconds[name][-1]:8.2f} s", flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows = [
        {
            "way": name,
            "seconds": round(medians[name], 2),
            "all_seconds": [round(value, 2) for value in seconds[name]],
            "bytes": sizes[name],
            "times_faster": round(medians["from_keras_model"] / medians[name], 2),
            "bar": BARS.get(name),
        }
        for name in ways
    ]
    print_table(
        ("way", "seconds", "bytes", "times faster", "bar"),
        [
            (
                row["way"],
                f"{row['seconds']:.2f}",
                f"{row['bytes']:,}",
                f"{row['times_faster']:.2f}",
                row["bar"] or "",
            )
            for row in rows
        ],
    )
    write_record(
        options.json, {"images": options.images, "image_size": options.image_size, "rows": rows}
    )


def build(image_size: int, weights: Path, *, outputs: int = 1000) -> Any:
    """Returns MobileNetV2 1.0 with pretrained weights and a random classifier."""
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="rescale_pixels")(pixels)
    base = keras.applications.MobileNetV2(
        input_tensor=x, include_top=False, weights=weights, pooling="avg"
    )
    return keras.Model(pixels, keras.layers.Dense(outputs, activation="softmax")(base.output))


def ours(model: Any, pixels: Any, engine: Any) -> bytes:
    from tfxfer_edge import convert

    return convert(
        model, recipe="int8", calibration=pixels, preprocessing="in_graph", engine=engine
    ).content


def theirs(model: Any, pixels: Any) -> bytes:
    import numpy as np
    import tensorflow as tf

    from tfxfer_edge.conversion.quiet import quiet

    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[None].astype(np.float32)] for image in pixels
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        return bytes(converter.convert())


if __name__ == "__main__":
    main()
