"""Handwritten digits of scikit-learn, drawn into files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tfxfer.data.record import Record, Source
from tfxfer.demo import Demo, DemoSamples
from tfxfer.errors import StorageError
from tfxfer.progress import Progress
from tfxfer.system.files import describe_storage_error
from tfxfer.system.folders import cache_folder
from tfxfer.system.scratch import scratch_folder

__all__ = ["Digits"]


class Digits(Demo):
    """1,797 digits, `sklearn.datasets.load_digits`."""

    name = "digits"
    # Digits are no digits in a mirror.
    request: ClassVar[Mapping[str, Any]] = {"view_options": {"flip": False}, "size": 96}

    def find_samples(self, *, progress: Progress | None = None) -> DemoSamples:
        """Returns the digits, drawn if they have not been yet."""
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
        count = f"{len(records):,} handwritten digits"
        return DemoSamples(
            Source(root, records, "folders"),
            (f"{count} of scikit-learn (BSD-3-Clause), drawn into {root}",),
            str(root / records[0].path),
        )


def _draw_digits(root: Path) -> None:
    """Draws all digits and then moves them to `root`, so that an interruption leaves nothing."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    with scratch_folder("digits", parent=root.parent) as scratch:
        folder = scratch / "digits"
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
