"""The whole two-phase default against the same epochs without the frontier cache.

EfficientNet-Lite0 on `flowers5`; everything from building the model to the last epoch counts. Ours
runs through. Without the cache two epochs of each phase are timed: what it takes until the end of
a phase's first epoch counts once, its second for each of the others that ours ran. Whether both
answer alike is what `training.py --ways ours,uncached` and `claims.py` compare.

    python benchmarks/two_phase_speed.py --data FOLDER [--set flowers5] [--repeats 3]
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

from epochs import extrapolate, time_epochs
from record import make_parser, print_table, write_record

BAR = 4.0


def main() -> None:
    parser = make_parser(__doc__, name="two_phase_speed")
    parser.add_argument("--set", default="flowers5", help="a name of benchmarks/sets.py")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    from sets import load_set

    import tfxfer

    data = load_set(options.set, options.data, seed=0)
    rounds = []
    for _ in range(options.repeats):
        ours = time_epochs(data, tfxfer.two_phase())
        short = tfxfer.two_phase(head_epochs=2, epochs=2)
        whole = time_epochs(data, short, cache=False)
        rounds.append(
            {
                "epochs": ours.phases,
                "cached_s": sum(ours.seconds),
                "whole_s": extrapolate(whole, ours.phases),
                "whole_epochs_s": whole.seconds,
            }
        )
        print(rounds[-1], flush=True)
    ratio = statistics.median(item["whole_s"] / item["cached_s"] for item in rounds)
    print_table(
        ("set", "epochs", "cached, s", "whole network, s", "times faster", "bar"),
        [
            (
                options.set,
                " + ".join(map(str, item["epochs"])),
                f"{item['cached_s']:.0f}",
                f"{item['whole_s']:.0f}",
                f"{item['whole_s'] / item['cached_s']:.1f}",
                BAR,
            )
            for item in rounds
        ],
    )
    write_record(options.json, {"set": options.set, "rounds": rounds, "times_faster": ratio})


if __name__ == "__main__":
    main()
