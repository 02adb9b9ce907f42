"""How time and memory of `tfxfer train` grow with images, classes and pixels.

Every point is a whole process with two head and two fine-tuning epochs, so that the cost of
reading, caching and a step shows and the number of epochs does not. Photos of `flowers5` are cut
into as many different pieces as are needed; for many classes they are dealt out.

    python benchmarks/growth.py --data FOLDER [--images 500,2000,10000] [--classes 2,100,1000]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from process import measure_process
from record import make_parser, print_table, read_record, write_record

PLAIN = {"images": 2000, "classes": 5, "size": 224}


def main() -> None:
    parser = make_parser(__doc__, name="growth")
    parser.add_argument("--images", default="500,1000,2000,5000,10000")
    parser.add_argument("--classes", default="2,20,100,1000")
    parser.add_argument("--sizes", default="96,160,224,384", help="in pixels")
    options = parser.parse_args()
    points = [
        {**PLAIN, key: int(value)}
        for key, values in (
            ("images", options.images),
            ("classes", options.classes),
            ("size", options.sizes),
        )
        for value in values.split(",")
    ]
    for point in points:
        if point["classes"] > 100:
            point["images"] = max(point["images"], 8 * point["classes"])
        name = "{images} images, {classes} classes, {size} px".format(**point)
        done = read_record(options.json).get("points", {})
        if name not in done:
            print(f"== {name}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                write_photos(options.data / "flowers5", Path(folder, "photos"), point)
                done = {**done, name: {**point, **measure(Path(folder), point)}}
            write_record(options.json, {"points": done})
    print_table(
        ("point", "seconds", "seconds per 1,000 images", "peak memory, MiB"),
        [
            (
                name,
                f"{x['seconds']:.0f}",
                f"{1000 * x['seconds'] / x['images']:.1f}",
                f"{x['peak_mib']:.0f}",
            )
            for name, x in read_record(options.json)["points"].items()
        ],
    )


def write_photos(source: Path, target: Path, point: dict[str, int]) -> None:
    """Writes different pieces of photos into class folders."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    files = sorted(source.glob("*/*.jpg"))
    for number in range(point["images"]):
        folder = target / f"class_{number % point['classes']:04}"
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(files[number % len(files)]) as photo:
            width, height = photo.size
            share = rng.uniform(0.5, 0.95)
            left, top = (int(rng.uniform(0, (1 - share) * length)) for length in (width, height))
            box = (left, top, left + int(share * width), top + int(share * height))
            photo.convert("RGB").crop(box).save(folder / f"{number:05}.jpg", quality=88)


def measure(folder: Path, point: dict[str, int]) -> dict[str, Any]:
    """Trains in a process of its own, and returns what it took."""
    arguments = ["train", str(folder / "photos"), "--backbone", "efficientnet_lite0"]
    arguments += ["--out", str(folder / "run"), "--image-size", str(point["size"])]
    arguments += ["--head-epochs", "2", "--epochs", "2", "--cache-dir", str(folder)]
    return measure_process(*arguments)


if __name__ == "__main__":
    main()
