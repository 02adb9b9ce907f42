"""Runs benchmarks by name, one after the other, with one place for data and figures.

    python benchmarks/run.py [NAME…] --data FOLDER --weights FOLDER --reference FOLDER

Without a name, all but `gpu_training`, which wants a GPU. Each writes `runs/benchmarks/NAME.json`;
what takes hours goes on where it was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
Arguments = Callable[[argparse.Namespace], list[str]]

BENCHMARKS: dict[str, Arguments] = {
    "startup": lambda o: [],
    "convert_speed": lambda o: [],
    "reference_latency": lambda o: [
        "--reference",
        str(o.reference / "tf2_mobilenet_v2_1.0_224_ptq.tflite"),
    ],
    "decode_speed": lambda o: ["--images", str(o.data / "flowers5")],
    "head_phase": lambda o: [],
    "two_phase_speed": lambda o: [],
    "breakdown": lambda o: [],
    "training": lambda o: [],
    "claims": lambda o: [],
    "growth": lambda o: [],
    "gpu_training": lambda o: [],
}
"""Name of a script beside this one → its arguments."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--weights", type=Path, default=Path("weights"))
    parser.add_argument("--reference", type=Path, default=Path("reference"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    options = parser.parse_args()
    failed = []
    for name in options.names or [name for name in BENCHMARKS if name != "gpu_training"]:
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *BENCHMARKS[name](options)]
        command += ["--data", str(options.data), "--weights", str(options.weights)]
        command += ["--json", str(options.out / f"{name}.json")]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
