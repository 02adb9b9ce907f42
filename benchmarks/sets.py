"""The sets of images that are measured on, split alike for every way of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FOLDERS", "few_images", "load_set"]

FOLDERS = {
    "flowers5": "flowers5",
    "hymenoptera": "hymenoptera",
    "neu": "neu_surface_defects",
    "elpv": None,  # comes with pip
}


def load_set(name: str, root: Path, *, seed: int, image_size: int = 224) -> Any:
    """Returns a set as `tfxfer.load_images` does: 70 % train, 15 % val, 15 % test.

    Args:
        name: of `FOLDERS`; with `@N` behind it, N training images of each class.
        root: folder that holds the sets.
        seed: of the split.
        image_size: side of the square, in pixels.
    """
    import tfxfer
    from tfxfer.job.demo import demo_source

    name, _, count = name.partition("@")
    folder = FOLDERS[name]
    source = demo_source("elpv").source if folder is None else root / folder
    data = tfxfer.load_images(source, image_size=image_size, seed=seed)
    return few_images(data, int(count), seed=seed) if count else data


def few_images(data: Any, count: int, *, seed: int) -> Any:
    """Returns the same with `count` training images of each class, and as many to choose by.

    Who has five images of a class has no hundred to validate with.
    """
    from dataclasses import replace

    rng = np.random.default_rng(seed)

    def draw(split: Any) -> Any:
        labels = np.array(split.raw_labels)
        chosen = np.sort(
            np.concatenate(
                [rng.permutation(np.flatnonzero(labels == x))[:count] for x in sorted(set(labels))]
            )
        )
        return replace(
            split,
            records=tuple(split.records[i] for i in chosen),
            targets=split.targets[chosen],
        )

    return replace(data, train=draw(data.train), val=draw(data.val))
