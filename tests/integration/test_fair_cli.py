"""`tfxfer train --fair`: a model that leans on a patch of colour learns to look at the thing."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.trust.fair_record import FairTraining
from tfxfer.trust.slices import SliceReport
from tfxfer.trust.watch import Watch

Run = Callable[..., Any]

SIDE_PX = 48
PARTS = {"train": 480, "val": 400, "test": 600}


def paint(rng: np.random.Generator, *, label: int, patch: int) -> Image.Image:
    """Returns blotches that are greener or bluer, a weak sign, with a patch that is red or not."""
    coarse = rng.integers(60, 160, (6, 6, 3)).astype(np.uint8)
    size = (SIDE_PX, SIDE_PX)
    pixels = np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), float)
    pixels += rng.normal(0, 9, 3)
    pixels[..., 1 + label] += 22
    pixels[: SIDE_PX * 5 // 8, : SIDE_PX * 5 // 8, 0] += 90 if patch else -60
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def shortcut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At sites A to C the patch says what it is in 49 of 50 images, at site D it says the other."""
    root = tmp_path_factory.mktemp("shortcut")
    rng = np.random.default_rng(0)
    with (root / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split", "Site"))
        for part, count in PARTS.items():
            for number in range(count):
                label, site = number % 2, rng.choice(list("ABCD"), p=(0.3, 0.3, 0.28, 0.12))
                is_other = (site == "D") ^ (rng.random() < 0.02)
                image = paint(rng, label=label, patch=1 - label if is_other else label)
                image.save(root / f"{part}{number:03}.png")
                writer.writerow((f"{part}{number:03}.png", ("fern", "sea")[label], part, site))
    return root / "table.csv"


@pytest.mark.slow
def test_the_gap_halves_for_two_points_of_accuracy(
    shortcut: Path, train: Run, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[list[str]] = []

    class Spy(Watch):
        def __init__(self, *args: Any, **options: Any) -> None:
            watched.append(options["groups"])
            super().__init__(*args, **options)

    monkeypatch.setattr("tfxfer.job.train.Watch", Spy)
    out = tmp_path / "run"
    options = ("--schedule", "head", "--head-epochs", 60, "--augment", "none", "--no-flip")
    fair = ("--fair", "equal_opportunity", "--slice", "SITE")
    done = train(shortcut, "--out", out, *options, *fair)
    assert done.code == 0, done.stderr
    # Each group is watched by itself, that it may not fall while the others rise.
    assert [set(groups) for groups in watched] == [set("ABCD")]
    assert len(watched[0]) == PARTS["val"]
    found = FairTraining.read(out / "trust")
    assert found is not None
    assert (found.criterion, found.column, found.groups) == (
        "equal_opportunity", "site", ("A", "B", "C", "D"),
    )  # fmt: skip
    before, after = found.test.gap_before, found.test.gap_after
    assert before is not None
    assert after is not None
    assert before.value > 0.2
    assert after.value < before.value / 2
    assert found.test.cost_points.value <= 2
    # Training the head again without a penalty is no remedy.
    plain, kept = found.rungs[0], next(x for x in found.rungs if x.strength == found.kept)
    assert plain.strength == 0
    assert plain.score_gap > 1.5 * kept.score_gap
    assert found.val.gap_before is not None
    assert plain.gap is not None
    assert plain.gap > found.val.gap_before.value / 2
    assert "penalty" in done.stdout
    # What is reported is of the model that is kept.
    report = SliceReport.read(out / "trust")
    assert report is not None
    assert report.whole.metrics["accuracy"].value == pytest.approx(found.test.headline_after.value)
    loaded = keras.models.load_model(out / "model.keras")
    assert "GroupGapLoss" not in str(loaded.get_config())
    measured = tfxfer("evaluate", out, shortcut, "--json").document
    assert measured["accuracy"]["value"] == pytest.approx(found.test.headline_after.value)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--fair", "equal_opportunity"), 2, "--slice COLUMN together"),
        (("--slice", "site"), 2, "--slice COLUMN together"),
        (("--fair", "equal_opportunity", "--slice", "sight"), 1, "Did you mean 'site'?"),
        (("--fair", "equality", "--slice", "site"), 2, "is not one of"),
        (("--fair", "equalized_odds", "--slice", "site", "--budget", "90s"), 2, "without --fair"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(
    shortcut: Path, train: Run, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    done = train(shortcut, "--out", tmp_path / "run", *options)
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert "importing TensorFlow" not in done.stderr
