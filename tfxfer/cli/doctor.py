"""`tfxfer doctor`: what is installed, what does not fit together, and the exact remedy."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfxfer.cli.options import TIME
from tfxfer.cli.output import Output, tfxfer_command
from tfxfer.errors import SetupError

if TYPE_CHECKING:
    from tfxfer.doctor import Environment, Problem

__all__ = ["command"]


@tfxfer_command("doctor")
@click.option(
    "--quick",
    is_flag=True,
    help="Import none of the large packages: look at metadata and disks only.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=TIME,
    default="60s",
    show_default=True,
    help="How long importing TensorFlow and the others may take.",
)
def command(output: Output, *, quick: bool, timeout_s: float) -> None:
    """Say what is installed, what does not fit together, and the remedy."""
    try:
        from tfxfer.doctor import collect, find_problems
    except ModuleNotFoundError as error:
        raise SetupError(
            f"doctor: expected the package {error.name!r}, which it reads versions with. "
            f"Received: none. pip install {error.name}"
        ) from error

    if not quick:
        output.detail("importing TensorFlow and the others in a process of its own …")
    environment = collect(registry=output.registry, timeout_s=None if quick else timeout_s)
    found = find_problems(environment)
    problems = [each for each in found if each.severity == "problem"]
    notes = [each for each in found if each.severity == "note"]
    output.emit(_describe(environment, problems, notes))
    output.show_table(("WHAT", "FOUND", "FOR"), _list_rows(environment))
    for each in found:
        output.show(f"\n{each.severity}: {each.what}\n  remedy: {each.remedy}")
    _show_pip(output, found)
    if problems:
        listed = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SetupError(
            f"doctor: expected an environment that fits together. Received: {listed}; each is "
            "listed with its remedy."
        )
    output.show("\nEverything fits together. To import every plugin, too: tfxfer plugins --check")


def _describe(
    environment: Environment, problems: Sequence[Problem], notes: Sequence[Problem]
) -> dict[str, Any]:
    from tfxfer.doctor.environment import WATCHED

    packages: dict[str, str | None] = dict.fromkeys(WATCHED)
    for name in environment.watched:
        if name in environment.packages:
            packages[name] = environment.packages[name].version
    return {
        "ok": not problems,
        "python": environment.python,
        "platform": environment.platform,
        "packages": packages,
        "devices": [asdict(device) for device in environment.devices or ()],
        "backend": environment.backend,
        "gpus": list(environment.gpus),
        "cuda": _list_cuda(environment),
        "imports": {trial.module: trial.error for trial in environment.trials},
        "disk": [asdict(volume) for volume in environment.volumes],
        "caches": [asdict(cache) for cache in environment.caches],
        "plugins": [component.to_dict() for component in environment.components],
        "problems": [{"what": each.what, "remedy": each.remedy} for each in problems],
        "notes": [{"what": each.what, "remedy": each.remedy} for each in notes],
    }


def _list_rows(environment: Environment) -> Iterator[tuple[str, str, str]]:
    from tfxfer.doctor.environment import WATCHED

    yield "Python", environment.python, environment.platform
    for name in environment.watched:
        package = environment.packages.get(name)
        if package or name in WATCHED:
            yield name, package.version if package else "-", WATCHED.get(name, "")
    devices = environment.devices
    names = ", ".join(device.name for device in devices or ())
    yield "devices", "not asked" if devices is None else names or "none", environment.backend
    yield "GPUs of the driver", ", ".join(environment.gpus) or "none", "NVIDIA"
    cuda = _list_cuda(environment)
    yield "CUDA libraries", f"{len(cuda)} packages" if cuda else "none", "from pip"
    if environment.trials:
        failed = [trial.module for trial in environment.trials if trial.error]
        fine = f"{len(environment.trials) - len(failed)} of {len(environment.trials)} fine"
        yield "imports", fine, ", ".join(failed)
    for volume in environment.volumes:
        yield "free disk", f"{volume.free_bytes / 1e9:.1f} GB", f"{volume.use}: {volume.path}"
    for cache in environment.caches:
        size = f"{'' if cache.is_complete else 'over '}{cache.size_bytes / 1e6:.0f} MB"
        yield f"cache: {cache.name}", size, cache.path
    counts = Counter((c.kind, c.status) for c in environment.components)
    for (kind, status), count in counts.items():
        yield f"{kind}s", str(count), status


def _list_cuda(environment: Environment) -> dict[str, str]:
    packages = environment.packages
    return {name: packages[name].version for name in sorted(packages) if name.startswith("nvidia-")}


def _show_pip(output: Output, found: Sequence[Problem]) -> None:
    """Says which pip is meant, where the one on PATH would change another environment."""
    pip = shutil.which("pip")
    here = Path(sys.executable).parent
    if any("pip " in each.remedy for each in found) and (
        pip is None or Path(pip).parent.resolve() != here.resolve()
    ):
        output.show(f"\nFor this Python, pip is: {sys.executable} -m pip")
