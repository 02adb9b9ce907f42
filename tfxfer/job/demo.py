"""What `tfxfer demo` trains, and what a run says that was made by it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.data.record import Source
from tfxfer.demo import Demo, DemoSamples
from tfxfer.errors import ContractError, RunError
from tfxfer.job.request import TrainRequest
from tfxfer.progress import Progress
from tfxfer.registry.lookup import default_registry
from tfxfer.run.directory import RunDirectory

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = [
    "demo_command",
    "demo_request",
    "demo_source",
    "find_demo",
    "is_demo_run",
    "stored_source",
]

_DEMO_PREFIX = "demo:"  # what a run's request names as its data

_BUDGET_SECONDS = 240.0  # with the export, nobody waits longer; on a slow machine it trains less

_ASKED = frozenset({"data", "budget_seconds", "seed", "device", "cache_dir"})
"""What of a request the command line answers, and no demo."""


def demo_source(
    name: str, *, registry: Registry | None = None, progress: Progress | None = None
) -> DemoSamples:
    """Returns the samples of a demo.

    Args:
        name: of an installed demo.
        registry: where it is looked up; None is what is installed.
        progress: told how far a download is, where there is one.

    Raises:
        PluginError: nothing installed has the name, or what has it cannot be used.
        DataError: what brings the samples is not installed.
        StorageError: they cannot be written.
    """
    demo = (registry or default_registry()).load_demo(name)
    return demo.find_samples(progress=progress)


def stored_source(data: str, registry: Registry | None = None) -> Source | None:
    """Returns the samples of a run that names a demo as its data; None where it names a path.

    Raises:
        TfxferError: see `demo_source`.
    """
    name = find_demo(data)
    return None if name is None else demo_source(name, registry=registry).source


def find_demo(data: str) -> str | None:
    """Returns the name of the demo that a run names as its data; None where it names a path."""
    return data.removeprefix(_DEMO_PREFIX) if data.startswith(_DEMO_PREFIX) else None


def demo_command(name: str, request: TrainRequest) -> str:
    """Returns the command that repeats a demo.

    Example:
        >>> demo_command("digits", TrainRequest("demo:digits", "tiny", budget_seconds=60.0, seed=3))
        'tfxfer demo --data digits --budget 60s --seed 3'
    """
    words = f"tfxfer demo --data {name}"
    if request.budget_seconds is not None and request.budget_seconds != _BUDGET_SECONDS:
        words += f" --budget {request.budget_seconds:g}s"
    return f"{words} --seed {request.seed}" if request.seed else words


def is_demo_run(out: str | Path) -> bool:
    """Returns whether a folder holds an earlier demo, which a new one may replace."""
    try:
        manifest = RunDirectory.open(out).read_manifest()
    except RunError:
        return False
    return str(manifest.request.get("data", "")).startswith(_DEMO_PREFIX)


def demo_request(demo: Demo, *, registry: Registry, options: dict[str, Any]) -> TrainRequest:
    """Returns what the demo trains.

    Args:
        demo: whose samples it trains on.
        registry: says which backbone is taken where the demo names none.
        options: of the command line: budget (four minutes where None), seed, device, cache_dir.

    Raises:
        ContractError: the demo settles what is not its own.
        PluginError: no backbone is declared.
    """
    known = {field.name for field in fields(TrainRequest)} - _ASKED
    foreign = sorted(set(demo.request) - known)
    if foreign:
        raise ContractError(
            f"demo {demo.name!r}: expected a request of {', '.join(sorted(known))}. "
            f"Received: {', '.join(foreign)}."
        )
    settled = dict(demo.request)
    return TrainRequest(
        data=f"{_DEMO_PREFIX}{demo.name}",
        backbone=settled.pop("backbone", None) or registry.default("backbone"),
        budget_seconds=options["budget"] or _BUDGET_SECONDS,
        seed=options["seed"],
        device=options["device"],
        cache_dir=options["cache_dir"],
        **settled,
    )
