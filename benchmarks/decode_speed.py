"""Images decoded and augmented per second: ours against Keras's own pipeline.

Keras: `keras.utils.image_dataset_from_directory` with a random zoom and flip mapped behind it.
Ours crops, flips and resizes, too, and changes the aspect ratio and the colours besides. Each is
set up once, then they take turns; medians of wall time, and processor time beside it.

    python benchmarks/decode_speed.py --images FOLDER [--repeats 3]

FOLDER holds class folders with JPEGs. They are brought to 224 px, where they have another size, and
enlarged to 2,000 px, which makes them smoother than photos of that size.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record

BARS = {2000: 1.5, 224: 1.0}
SIZE_PX, BATCH_IMAGES = 224, 32


def main() -> None:
    parser = make_parser(__doc__, name="decode_speed")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="of 2,000 px; five times of 224")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    rows = []
    for side in BARS:
        with tempfile.TemporaryDirectory() as folder:
            count = options.count * (1 if side > SIZE_PX else 5)
            resize_all(options.images, Path(folder), side=side, count=count)
            rows.append(compare(Path(folder), side=side, repeats=options.repeats))
    print_table(
        ("JPEGs of", "ours, images/s", "Keras, images/s", "times faster", "by CPU time", "bar"),
        [
            (
                f"{row['side_px']} px",
                f"{row['ours']:.0f}",
                f"{row['keras']:.0f}",
                f"{row['times_faster']:.2f}",
                f"{row['times_faster_cpu']:.2f}",
                row["bar"],
            )
            for row in rows
        ],
    )
    write_record(options.json, {"rows": rows})


def resize_all(source: Path, target: Path, *, side: int, count: int) -> None:
    """Writes some JPEGs of each class at a size."""
    from PIL import Image

    classes = sorted(path for path in source.iterdir() if path.is_dir())
    for folder in classes:
        (target / folder.name).mkdir()
        files = sorted(folder.glob("*.jp*g"))[: count // len(classes)]
        for file in files:
            with Image.open(file) as photo:
                scale = side / max(photo.size)
                size = tuple(max(1, round(length * scale)) for length in photo.size)
                photo.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(
                    target / folder.name / file.name, quality=90
                )


def compare(folder: Path, *, side: int, repeats: int) -> dict[str, Any]:
    """Reads the folder in both ways, taking turns."""
    import keras
    import tensorflow as tf

    import tfxfer

    data = tfxfer.load_images(folder, image_size=SIZE_PX, seed=0, near_duplicates=False)
    splits = (data.train, data.val, data.test)
    crop = keras.layers.RandomZoom((-0.25, 0.0), (-0.25, 0.0))
    flip = keras.layers.RandomFlip("horizontal")

    def ours() -> int:
        return sum(
            len(batch)
            for split in splits
            for _, batch in split.iter_views(batch_size=BATCH_IMAGES, views=(1,), level="light")
        )

    batches = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE_PX, SIZE_PX), batch_size=BATCH_IMAGES, verbose=False
    )
    augmented = batches.map(
        lambda x, y: (flip(crop(x, training=True), training=True), y),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(tf.data.AUTOTUNE)

    def theirs() -> int:
        return sum(len(x) for x, _ in augmented)

    ways: dict[str, Callable[[], int]] = {"ours": ours, "keras": theirs}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        for name, way in ways.items():
            started, used = time.perf_counter(), time.process_time()
            images = way()
            if number:  # the first round fills the page cache
                wall[name].append((time.perf_counter() - started) / images)
                cpu[name].append((time.process_time() - used) / images)
    each = {name: statistics.median(values) for name, values in wall.items()}
    each_cpu = {name: statistics.median(values) for name, values in cpu.items()}
    return {
        "side_px": side,
        "ours": 1 / each["ours"],
        "keras": 1 / each["keras"],
        "times_faster": each["keras"] / each["ours"],
        "times_faster_cpu": each_cpu["keras"] / each_cpu["ours"],
        "bar": BARS[side],
    }


if __name__ == "__main__":
    main()
