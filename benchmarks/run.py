"""Runs benchmarks by name, one after the other, with one place for data and figures.

    python benchmarks/run.py [NAME…] --data FOLDER --weights FOLDER --reference FOLDER

Without a name, all but `gpu_training`, which wants a GPU. Each writes `runs/benchmarks/NAME.json`;
what takes hours goes on where it was. `mediapipe_agreement.py` wants a
finished run and is started by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
Arguments = Callable[[argparse.Namespace], list[str]]
FEW = "flowers5@5,flowers5@10,flowers5@20"
OTHERS = "hymenoptera,neu,elpv"  # of which the guide trains one seed

BENCHMARKS: dict[str, list[Arguments]] = {
    "startup": [lambda o: []],
    "convert_speed": [lambda o: []],
    "reference_latency": [
        lambda o: ["--reference", str(o.reference / "tf2_mobilenet_v2_1.0_224_ptq.tflite")]
    ],
    "decode_speed": [lambda o: ["--images", str(o.data / "flowers5")]],
    "head_phase": [lambda o: []],
    "two_phase_speed": [lambda o: []],
    "breakdown": [lambda o: []],
    "advice": [lambda o: []],
    "domain_gap": [lambda o: []],
    "adaptation": [lambda o: []],
    "adaptation_training": [lambda o: []],
    "keeping": [lambda o: []],
    "few_shots": [lambda o: []],
    "sources": [lambda o: []],
    "style": [lambda o: []],
    "int8_refit": [lambda o: []],
    "meta": [lambda o: []],
    "label_errors": [lambda o: ["--sets", "flowers5,hymenoptera", "--seeds", "0,1,2,3"]],
    "budget_ladder": [lambda o: []],
    "training": [
        lambda o: ["--sets", f"flowers5,{FEW}"],
        lambda o: ["--sets", OTHERS, "--ways", "ours,probe"],
        lambda o: ["--sets", OTHERS, "--ways", "guide_head,guide", "--seeds", "0"],
        lambda o: ["--sets", "flowers5,hymenoptera", "--ways", "ours,uncached"],
    ],
    "claims": [lambda o: []],
    "pictures": [lambda o: ["--out", str(o.out / "pictures")]],
    "scratch": [
        lambda o: ["--sets", "neu", "--image-size", "96", "--seeds", "0", "--ways", "ours,scratch"]
    ],
    "scratch_claims": [lambda o: ["--training", str(o.out / "scratch.json")]],
    "growth": [lambda o: []],
    "scale": [lambda o: []],
    "text": [lambda o: ["--keep"]],
    "text_cost": [lambda o: []],
    "text_edge": [
        lambda o: [
            str(o.out / "text_runs" / f"{name}-{seed}-ours")
            for name in ("sms", "rotten_tomatoes")
            for seed in range(3)
        ]
    ],
    "gpu_training": [lambda o: []],
}
"""Name of a record → the arguments of each of its calls."""
SCRIPTS = {"scratch": "training", "scratch_claims": "claims"}
"""Of records that are not named after theirs."""


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
        for arguments in BENCHMARKS[name]:
            command = [sys.executable, str(HERE / f"{SCRIPTS.get(name, name)}.py")]
            command += ["--data", str(options.data), "--weights", str(options.weights)]
            command += ["--json", str(options.out / f"{name}.json"), *arguments(options)]
            if subprocess.run(command, check=False).returncode != 0:
                failed.append(name)
                break
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
