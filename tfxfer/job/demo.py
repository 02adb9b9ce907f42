"""The demo's images: real, labelled, and on the machine once pip is done."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.data.record import Record, Source
from tfxfer.errors import DataError, RunError, StorageError
from tfxfer.job.request import TrainRequest
from tfxfer.run.directory import RunDirectory
from tfxfer.system.files import describe_storage_error
from tfxfer.system.folders import cache_folder

__all__ = [
    "DemoSource",
    "demo_command",
    "demo_request",
    "demo_source",
    "find_demo",
    "is_demo_run",
    "stored_source",
]

_DEMO_PREFIX = "demo:"  # what a run's request names as its data

_BUDGET_SECONDS = 240.0  # with the export, nobody waits longer; on a slow machine it trains less
_DEFECTIVE = 0.5  # the annotators' probability of a defect from which a cell counts as defective


@dataclass(frozen=True)
class DemoSource:
    """Images for the demo.

    Args:
        source: as `read_source` would list them.
        remarks: what a user must know of them, such as the licence.
        example: one image to try `predict` with.
    """

    source: Source
    remarks: tuple[str, ...]
    example: Path


def demo_source(name: str) -> DemoSource:
    """Returns the images of a demo.

    Args:
        name: `elpv` or `digits`.

    Raises:
        DataError: the pip package with the images is not installed.
        StorageError: the digits cannot be written.

    Source:
        elpv: Buerhop-Lutz et al. 2018, a benchmark of electroluminescence photos of solar cells,
        2,624 images; the pip package `elpv-dataset`. digits: `sklearn.datasets.load_digits`.
    """
    return _elpv() if name == "elpv" else _digits()


def stored_source(data: str) -> Source | None:
    """Returns the images of a run that names a demo as its data; None where it names a path."""
    name = find_demo(data)
    return None if name is None else demo_source(name).source


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


def demo_request(
    name: str, source: DemoSource, *, backbone: str, options: dict[str, Any]
) -> TrainRequest:
    """Returns what the demo trains.

    Args:
        name: `elpv` or `digits`.
        source: from `demo_source`.
        backbone: name of a backbone.
        options: of the command line: budget (four minutes where None), seed, device, cache_dir.
    """
    return TrainRequest(
        data=f"{_DEMO_PREFIX}{name}",
        backbone=backbone,
        budget_seconds=options["budget"] or _BUDGET_SECONDS,
        seed=options["seed"],
        device=options["device"],
        cache_dir=options["cache_dir"],
        # Digits are no digits in a mirror.
        view_options={} if name == "elpv" else {"flip": False},
        size=None if name == "elpv" else 96,
    )


def _elpv() -> DemoSource:
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise DataError(
            "demo: expected the pip package elpv-dataset, which carries the photos. Received: not "
            "installed. Run `pip install elpv-dataset`, or `tfxfer demo --data digits`."
        )
    root = Path(spec.origin).parent / "data"
    records = []
    try:
        for line in (root / "labels.csv").read_text(encoding="utf-8").splitlines():
            path, probability, _ = line.split()
            label = "defective" if float(probability) >= _DEFECTIVE else "functional"
            records.append(Record(path, label))
    except (OSError, ValueError) as error:
        raise DataError(
            f"demo: expected the photos of elpv-dataset in {str(root)!r}. Received: {error}. Run "
            "`pip install --force-reinstall elpv-dataset`, or `tfxfer demo --data digits`."
        ) from error
    return DemoSource(
        Source(root, tuple(records), "csv"),
        (
            "2,624 photos of solar cells from the pip package elpv-dataset (Buerhop-Lutz et al. "
            "2018), for non-commercial use: CC BY-NC-SA 4.0. For other use: --data digits",
        ),
        root / records[0].path,
    )


def _digits() -> DemoSource:
    # Drawn into files: they are 8 px arrays in the package, and a run reads files.
    root = cache_folder() / "digits"
    try:
        if not root.is_dir():
            root.parent.mkdir(parents=True, exist_ok=True)
            _draw_digits(root)
        paths = sorted(path.relative_to(root) for path in root.glob("*/*.png"))
    except OSError as error:
        raise StorageError(
            describe_storage_error(error, root, also=root.parents)
            or f"cannot write {str(root)!r}: {error.strerror}. Set XDG_CACHE_HOME to a folder."
        ) from error
    records = tuple(Record(path.as_posix(), path.parent.name) for path in paths)
    return DemoSource(
        Source(root, records, "folders"),
        (f"{len(records):,} handwritten digits of scikit-learn (BSD-3-Clause), drawn into {root}",),
        root / records[0].path,
    )


def _draw_digits(root: Path) -> None:
    """Draws all digits and then moves them to `root`, so that an interruption leaves nothing."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    with tempfile.TemporaryDirectory(prefix=".digits-", dir=root.parent) as scratch:
        folder = Path(scratch, "digits")
        for number, (image, target) in enumerate(zip(digits.images, digits.target, strict=True)):
            path = folder / str(target) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (image * (255 / 16)).round().astype("uint8")
            Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(path)
        try:
            folder.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was faster
                raise
