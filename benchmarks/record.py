"""What every benchmark writes beside its figures: when, on what, with which versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "current_commit",
    "make_parser",
    "print_table",
    "read_record",
    "scores_folder",
    "write_record",
]

_PACKAGES = ("tfxfer", "tensorflow", "keras", "jax", "torch", "ai-edge-litert", "numpy")


def make_parser(description: str | None, *, name: str) -> argparse.ArgumentParser:
    """Returns a parser with what all benchmarks take.

    Args:
        description: the module's docstring.
        name: of the benchmark, and of its JSON file.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--json", type=Path, default=Path(f"runs/benchmarks/{name}.json"), help="for the figures"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder that holds the sets of images"
    )
    parser.add_argument(
        "--weights", type=Path, default=Path("weights"), help="folder that holds weights"
    )
    return parser


def read_record(path: Path) -> dict[str, Any]:
    """Returns the figures of an earlier, perhaps unfinished, run; empty where there are none."""
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def read_runs(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns a record with its `settings` and `runs`; without runs where those were of others.

    Args:
        path: of the record.
        settings: what all of its runs have in common.
    """
    record = read_record(path)
    if record.get("settings") != settings:
        record = {"settings": settings, "runs": {}}
    return record


def write_record(path: Path, figures: dict[str, Any]) -> None:
    """Writes figures with machine and versions, in one step."""
    document = {
        **figures,
        "machine": _machine(),
        "commit": current_commit(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def current_commit() -> str | None:
    """Returns the commit these scripts are at, with `+` where they were changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None  # no git here
    return done.stdout.strip() or None


def scores_folder(path: Path) -> Path:
    """Returns where the test scores of a record's runs lie."""
    return path.with_name(f"{path.stem}_scores")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a Markdown table."""
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for number, row in enumerate(cells):
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def _machine() -> dict[str, Any]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
