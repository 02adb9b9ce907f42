"""Where drawn pictures go: one name for each sample, and no file of a user's in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfxfer.errors import StorageError
from tfxfer.system.files import atomic_write, make_folder

__all__ = ["check_targets", "name_pictures", "save_picture"]

_STEM_BYTES = 180


def name_pictures(names: Sequence[str]) -> tuple[str, ...]:
    """Returns a file name for the picture of each sample.

    Example:
        >>> name_pictures(["photos/a/1.jpg", "photos/b/1.jpg", "2.png"])
        ('1_heat.png', '1_heat_2.png', '2_heat.png')
    """
    taken: Counter[str] = Counter()
    found = []
    for name in names:
        # A disk takes 255 bytes; names that are no text lose what they cannot say.
        stem = (
            Path(name)
            .stem.encode("utf-8", "surrogateescape")[:_STEM_BYTES]
            .decode("utf-8", "ignore")
        )
        taken[stem.lower()] += 1  # some disks do not tell capitals
        count = taken[stem.lower()]
        found.append(f"{stem}_heat.png" if count == 1 else f"{stem}_heat_{count}.png")
    return tuple(found)


def check_targets(folder: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Refuses a folder that cannot take pictures, before the work that makes them.

    Args:
        folder: that they go to; it need not be there.
        names: of the files.
        overwrite: whether a file of that name may be replaced.

    Raises:
        StorageError: a file lies in the way.
    """
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"--out {str(folder)!r}: expected a folder. Received: a file.")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise StorageError(
            f"--out {str(folder)!r}: expected no picture of these samples in it. Received: "
            f"{there[0]!r}{' and others' if len(there) > 1 else ''}. To replace: --overwrite"
        )


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """Writes a PNG file in one step, and makes its folder.

    Args:
        path: of the file.
        pixels: RGB.

    Shapes: pixels uint8 (height, width, 3).

    Raises:
        StorageError: the disk is full, or cannot be written.
    """
    from PIL import Image

    make_folder(path.parent)
    with atomic_write(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", optimize=True)
