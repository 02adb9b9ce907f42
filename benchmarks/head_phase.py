"""The head phase on cached features against the same epochs through the whole network.

EfficientNet-Lite0 on `flowers5`, 20 epochs; reading the images and filling the cache counts. The
whole network is timed for a few epochs: what it takes until the end of the first counts once, the
median of the others for each of the rest.

    python benchmarks/head_phase.py --data FOLDER [--epochs 20] [--whole-epochs 2] [--repeats 3]
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from epochs import extrapolate, time_epochs
from record import make_parser, print_table, write_record

BARS = {"none": 20.0, "light": 5.0}


def main() -> None:
    parser = make_parser(__doc__, name="head_phase")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--whole-epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--augment", default="none,light", help="levels of augmentation")
    options = parser.parse_args()
    if options.whole_epochs < 2:
        parser.error("--whole-epochs: expected 2 or more; the first holds the start")

    from sets import load_set

    import tfxfer

    def head(epochs: int) -> Any:
        return (tfxfer.Phase("head", tfxfer.BACKBONE_END, epochs, 1e-3),)

    data = load_set("flowers5", options.data, seed=0)
    seconds: dict[str, dict[str, list[float]]] = {
        level: {"cached": [], "whole": []} for level in options.augment.split(",")
    }
    for _ in range(options.repeats):
        for level, found in seconds.items():
            cached = time_epochs(data, head(options.epochs), augment=level)
            found["cached"].append(sum(cached.seconds))
            whole = time_epochs(data, head(options.whole_epochs), augment=level, cache=False)
            found["whole"].append(extrapolate(whole, [options.epochs]))
            print(level, {name: round(values[-1], 1) for name, values in found.items()}, flush=True)
    rows = []
    for level, found in seconds.items():
        cached, whole = (statistics.median(found[name]) for name in ("cached", "whole"))
        rows.append(
            {
                "augment": level,
                "cached_s": cached,
                "whole_s": whole,
                "times_faster": whole / cached,
                "bar": BARS[level],
                "all": found,
            }
        )
    print_table(
        ("augmentation", "cached, s", "whole network, s", "times faster", "bar"),
        [
            (
                row["augment"],
                f"{row['cached_s']:.0f}",
                f"{row['whole_s']:.0f}",
                f"{row['times_faster']:.1f}",
                row["bar"],
            )
            for row in rows
        ],
    )
    write_record(options.json, {"epochs": options.epochs, "rows": rows})


if __name__ == "__main__":
    main()
