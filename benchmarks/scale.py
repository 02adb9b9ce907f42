"""Whether many samples are a matter of time alone: time and memory by their number.

Each point is a whole `tfxfer train`: audit, split, cache, an epoch of the head and one of the upper
blocks. The images are small and all different; their folders hold 10 to 20,000 of them, or nearly
all lie in one, and their names are of many scripts and up to 255 bytes long. A table names as many
samples as it has rows, of which none is there: what is measured is reading it.

    python benchmarks/scale.py [--images 50,5000,20000,100000] [--one-class 90000] [--rows 1000000]

Memory is told above that of the fewest images, which is TensorFlow and the network; of a table,
above that of the process before.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from process import measure_process
from record import make_parser, print_table, read_record, write_record

SIDE_PX = 32
FOLDERS = (10, 100, 1_000, 5_000, 20_000)
"""Images in each of five folders, and so on."""
WORDS = ("photo", "снимок", "写真", "사진", "صورة", "छवि", "εικόνα", "bild ö")
MOST_BYTES = 255


def main() -> None:
    parser = make_parser(__doc__, name="scale")
    parser.add_argument("--images", default="50,5000,20000,100000")
    parser.add_argument("--one-class", type=int, default=90_000, help="images in one of two")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    points = {f"{int(count):,} images": deal_out(int(count)) for count in options.images.split(",")}
    if options.one_class:
        name = f"{options.one_class:,} images of one class, 1,000 of another"
        points[name] = [options.one_class, 1_000]
    for name, sizes in points.items():
        measure_once(options, name, lambda sizes=sizes: measure_images(sizes))
    if options.rows:
        measure_once(options, f"{options.rows:,} rows", lambda: measure_rows(options.rows))
    show(read_record(options.json)["points"])


def measure_once(options: argparse.Namespace, name: str, measure: Any) -> None:
    """Measures a point that is not in the file yet, and puts it there."""
    done = read_record(options.json).get("points", {})
    if name not in done:
        print(f"== {name}", flush=True)
        write_record(options.json, {"points": {**done, name: measure()}})


def deal_out(count: int) -> list[int]:
    """Returns how many images each folder holds.

    Example:
        >>> deal_out(1500)
        [10, 100, 1000, 390]
    """
    sizes = []
    for size in itertools.cycle(FOLDERS):
        sizes.append(min(size, count - sum(sizes)))
        if sum(sizes) == count:
            break
    # A class of a few is left out of a training; the one before takes them.
    if len(sizes) > 1 and sizes[-1] < FOLDERS[0]:
        sizes[-2:] = [sum(sizes[-2:])]
    return sizes if len(sizes) > 1 else [count // 2, count - count // 2]


def list_names() -> Iterator[str]:
    """Yields names of files without end: of many scripts, each tenth as long as may be."""
    for number, word in enumerate(itertools.cycle(WORDS)):
        name = f"{word} {number:07}"
        if number % 10 == 0:
            times = (MOST_BYTES - len(f" {number:07}.png")) // len(word.encode())
            name = f"{word * times} {number:07}"
        yield f"{name}.png"


def write_images(folder: Path, sizes: list[int]) -> None:
    """Writes images that are all different, of 8 x 8 blocks each."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    names = list_names()
    for label, size in enumerate(sizes):
        (place := folder / f"class {label:03}").mkdir(parents=True)
        for name in itertools.islice(names, size):
            blocks = rng.integers(0, 256, (8, 8, 3), np.uint8)
            pixels = blocks.repeat(SIDE_PX // 8, 0).repeat(SIDE_PX // 8, 1)
            Image.fromarray(pixels).save(place / name, compress_level=1)


def measure_images(sizes: list[int]) -> dict[str, Any]:
    """Returns what a training takes."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder, "images"), sizes)
        words = ["train", f"{folder}/images", "--backbone", "efficientnet_lite0"]
        words += ["--out", f"{folder}/run", "--size", str(SIDE_PX), "--cache-dir", folder]
        words += ["--head-epochs", "1", "--epochs", "1", "--views", "2", "--no-report"]
        return {"samples": sum(sizes), **measure_process(*words)}


def measure_rows(count: int) -> dict[str, Any]:
    """Returns what reading a table takes, in this process."""
    from tfxfer import get_modality
    from tfxfer.data import read_source

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        with table.open("w", encoding="utf-8") as file:
            file.write("path,label\n")
            file.writelines(
                f"folder {row % 50}/image {row}.jpg,class {row % 5}\n" for row in range(count)
            )
        modality = get_modality("image")
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        source = read_source(table, modality)
        seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    if len(source.records) != count:
        sys.exit(f"table: expected {count} samples. Received: {len(source.records)}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "samples": count,
        "seconds": seconds,
        "cpu_s": spent,
        "peak_mib": after.ru_maxrss / 1024,
        "before_mib": before.ru_maxrss / 1024,
    }


def list_rows(points: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns a row for each point, with its memory above the baseline, in MiB."""
    least = min(point["peak_mib"] for point in points.values() if "before_mib" not in point)
    return [
        {
            "point": name,
            "seconds": point["seconds"],
            "cpu_s": point["cpu_s"],
            "cpu_s_per_1000": 1000 * point["cpu_s"] / point["samples"],
            "above_mib": point["peak_mib"] - point.get("before_mib", least),
        }
        for name, point in points.items()
    ]


def show(points: dict[str, Any]) -> None:
    """Prints a row for each point."""
    print_table(
        ("point", "seconds", "CPU s", "CPU s per 1,000", "memory above the baseline, MiB"),
        [
            (
                row["point"],
                f"{row['seconds']:.0f}",
                f"{row['cpu_s']:.0f}",
                f"{row['cpu_s_per_1000']:.2f}",
                f"{row['above_mib']:,.0f}",
            )
            for row in list_rows(points)
        ],
    )


if __name__ == "__main__":
    main()
