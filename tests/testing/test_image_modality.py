"""The built-in modality goes through the kit of everybody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer import Preprocessing, Registry, Resize
from tfxfer.testing import check_modality


@pytest.mark.parametrize("resize", [Resize(), Resize(fit="crop", method="bicubic")])
def test_images_pass_the_kit_with_nothing_left_out(
    picture: Callable[..., Any], resize: Resize
) -> None:
    def write(folder: Path) -> list[Path]:
        paths = [folder / name for name in ("a.png", "b.jpg", "c.bmp")]
        for seed, path in enumerate(paths):
            picture(seed, (90, 70)).save(path)
        return paths

    contract = Preprocessing.from_mean_std(mean=(124, 116, 104), std=57.5, resize=resize)
    report = check_modality("image", samples=write, contract=contract, registry=Registry())
    assert {item.name: item.message for item in report.results if item.outcome != "passed"} == {}
    assert report.distribution == "tfxfer"
