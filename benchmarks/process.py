"""`tfxfer` as a process of its own, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

__all__ = ["measure_process"]

_PARENT = (
    "import json, resource, subprocess, sys, time; started = time.perf_counter();"
    "done = subprocess.run([sys.executable, '-m', 'tfxfer', *sys.argv[1:]], stdout=2);"
    "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(json.dumps({'code': done.returncode, 'seconds': time.perf_counter() - started,"
    "'cpu_s': used.ru_utime + used.ru_stime, 'peak_mib': used.ru_maxrss / 1024}))"
)
"""Counts one child alone: a process's own figures are those of all children that it ever had."""


def measure_process(*words: str) -> dict[str, float]:
    """Returns seconds, seconds of CPU, and the peak of resident memory in MiB.

    Args:
        words: of the command line after `tfxfer`.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found.pop("code") != 0:
        sys.exit(f"failed: tfxfer {' '.join(words)}")
    return found
