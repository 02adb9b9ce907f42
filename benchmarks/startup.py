"""How long `tfxfer --version` and `tfxfer plugins` take, beside starting Python alone.

python benchmarks/startup.py [--repeats 15]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from record import make_parser, print_table, write_record

BAR_S = 0.3
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import tfxfer": ["-c", "import tfxfer"],
    "tfxfer --version": ["-m", "tfxfer", "--version"],
    "tfxfer plugins": ["-m", "tfxfer", "plugins"],
}


def main() -> None:
    parser = make_parser(__doc__, name="startup")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print_table(
        ("command", "median s", "bar"),
        [
            (name, f"{value:.3f}", BAR_S if name.startswith("tfxfer") else "")
            for name, value in medians.items()
        ],
    )
    write_record(options.json, {"bar_s": BAR_S, "median_s": medians})


if __name__ == "__main__":
    main()
