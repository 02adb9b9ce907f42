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
    from tfxfer.doctor.environment import Leftover

__all__ = ["command"]


@tfxfer_command("doctor")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1)
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
@click.option(
    "--clean",
    is_flag=True,
    help="Only remove what processes that were killed have left behind, and say how much room "
    "that frees. Without it, it is listed.",
)
def command(
    output: Output, *, folders: tuple[str, ...], quick: bool, timeout_s: float, clean: bool
) -> None:
    """Say what is installed, what does not fit together, and the remedy.

    Temporary files of processes that are gone, and cached activations of runs that are gone or
    done, are looked for where the system keeps such files, in the cache, in the current folder and
    its runs, and in each FOLDER: a run, what holds runs, or a --cache-dir.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise click.UsageError(f"expected a folder as FOLDER. Received: {folder!r}.")
    try:
        from tfxfer.doctor import collect, find_problems
    except ModuleNotFoundError as error:
        raise SetupError(
            f"doctor: expected the package {error.name!r}, which it reads versions with. "
            f"Received: none. pip install {error.name}"
        ) from error

    if clean:
        _clean(output, [Path(folder) for folder in folders])
        return
    if not quick:
        output.detail("importing TensorFlow and the others in a process of its own …")
    environment = collect(
        registry=output.registry,
        timeout_s=None if quick else timeout_s,
        folders=[Path(folder) for folder in folders],
    )
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


def _clean(output: Output, folders: Sequence[Path]) -> None:
    """Removes what dead processes left behind, and says what and how much room that frees."""
    from tfxfer.doctor.leftovers import find_leftovers, list_places, remove_leftovers

    places = list_places(folders)
    with output.progress() as progress:
        progress("looking for what is left", 0, 2)
        found = find_leftovers(places)
        progress("removing it", 1, 2)
        removal = remove_leftovers(places)
        progress("removing it", 2, 2)
    removed = [each for each in found if each.path in removal.removed]
    restored = [each for each in found if each.path in removal.restored]
    settled = removal.removed | set(removal.restored)
    kept = [each for each in found if each.path not in settled and Path(each.path).exists()]
    freed_bytes = sum(each.size_bytes for each in removed)
    is_complete = all(each.is_complete for each in removed)
    output.emit(
        {
            "removed": [asdict(each) for each in removed],
            "restored": [
                {**asdict(each), "place": removal.restored[each.path]} for each in restored
            ],
            "kept": [asdict(each) for each in kept],
            "freed_bytes": freed_bytes,
            "is_complete": is_complete,
            "looked_in": [str(place) for place in places],
        }
    )
    for each in removed:
        output.show(f"removed {each.path} of process {each.pid}: {_write_size(each)}")
    for each in restored:
        place = removal.restored[each.path]
        output.show(
            f"put back {place}, which process {each.pid} had set aside: {_write_size(each)}"
        )
    for each in kept:
        why = "could not be removed"
        if each.life == "elsewhere":
            why = "of another machine or container: remove it if that process is gone"
        output.show(f"kept {each.path} of process {each.pid}, {_write_size(each)}: {why}")
    what = "1 file or folder" if len(removed) == 1 else f"{len(removed)} files and folders"
    more = "" if is_complete else "more than "
    output.show(f"{what} removed, {more}{freed_bytes / 1e6:,.1f} MB freed")


def _write_size(each: Leftover) -> str:
    return f"{'' if each.is_complete else 'more than '}{each.size_bytes / 1e6:,.1f} MB"


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
        "leftovers": [asdict(each) for each in environment.leftovers],
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
    for each in environment.leftovers:
        yield "left behind", _write_size(each), f"process {each.pid}, {each.life}: {each.path}"
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
