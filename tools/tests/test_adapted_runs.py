"""What was fitted to another look, or holds on to what it knew, is exported like any other run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.adaptation.record import Adaptation
from tfxfer.job.prepare import prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.forgetting import Forgetting
from tfxfer_edge import export

SIDE_PX = 48
TARGET = {"green": (45, 180, 45), "amber": (235, 150, 40), "violet": (125, 50, 190)}
NEW = {"white": (230, 230, 230), "black": (20, 20, 20)}


def save_photos(root: Path, colours: dict[str, tuple[int, int, int]], count: int) -> Path:
    rng = np.random.default_rng(3)
    for label, colour in colours.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            noise = rng.normal(0, 25, (SIDE_PX, SIDE_PX, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{label}{number}.png")
    return root


def train(data: Path, out: Path, **options: Any) -> RunDirectory:
    request = TrainRequest(
        data=str(data), backbone="efficientnet_lite0", size=SIDE_PX, head_epochs=4,
        augment="none", **{"schedule": "head", **options},
    )  # fmt: skip
    return train_run(prepare(request), out)


def check_export(run: RunDirectory, out: Path, plain: RunDirectory) -> None:
    """Exports a run, and holds it to the parity and the size of a plain one."""
    # Statistics of a few plain colours are worth nothing on the labelled look: the file is asked
    # whether it says what the model says, and not whether that is right.
    documents = []
    for name, each in (("adapted", run), ("plain", plain)):
        found = export(each, out / name, recipes=("float32",), max_drop=None, force=True)
        documents.append(found.document)
    document, other = documents
    parity = document["parity"]
    assert parity["contract"] is None
    assert parity["interpreter"]["largest"] < 1e-3
    (candidate,), (bare,) = document["candidates"], other["candidates"]
    assert (candidate["drop_points"], candidate["agreement"]) == (0, 1)
    # Not a byte of it is a layer more; labels differ.
    assert abs(candidate["bytes"] - bare["bytes"]) < 20_000


@pytest.mark.parametrize("method", ["self_training", "adabn"])
def test_a_run_that_was_fitted_to_a_target(
    method: str, colour_run: RunDirectory, tmp_path: Path
) -> None:
    photos = Path(colour_run.read_manifest().request["data"])
    target = save_photos(tmp_path / "target", TARGET, 12)
    run = train(photos, tmp_path / "run", target=str(target), adapt=method)
    found = Adaptation.read(run.trust)
    assert found is not None
    assert found.kept == method
    check_export(run, tmp_path, colour_run)


@pytest.mark.parametrize(
    "options",
    [
        {"keep": "statistics"},
        {"keep": "distill", "schedule": "two_phase", "epochs": 1},
        {"keep": "lora", "schedule": "two_phase", "epochs": 1},
    ],
    ids=lambda options: options["keep"],
)
def test_a_run_that_goes_on_from_another(
    options: dict[str, Any], colour_run: RunDirectory, tmp_path: Path
) -> None:
    new = save_photos(tmp_path / "new", NEW, 12)
    run = train(new, tmp_path / "run", from_run=str(colour_run.path), **options)
    found = Forgetting.read(run.trust)
    assert found is not None
    assert len(run.read_labels()) == 5
    check_export(run, tmp_path, colour_run)
