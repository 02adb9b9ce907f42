"""The guide that we compare with does train, in two phases, and goes on where it stopped."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tfxfer

FOLDER = Path(__file__).parents[1] / "benchmarks"
COLOURS = {"green": (40, 200, 60), "red": (210, 40, 50)}


@pytest.mark.slow
def test_the_second_phase_goes_on_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(np.array(colour) + rng.normal(0, 20, (48, 48, 3)), 0, 255)
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(tmp_path / "photos" / label / f"{number}.png")
    data = tfxfer.load_images(tmp_path / "photos", image_size=48, near_duplicates=False)
    monkeypatch.syspath_prepend(FOLDER)
    guide = importlib.import_module("guide")
    sys.modules.pop("guide")
    monkeypatch.setattr(guide, "HEAD_EPOCHS", 8)
    monkeypatch.setattr(guide, "FINE_EPOCHS", 1)

    def train(*, head_only: bool) -> dict[str, Any]:
        return guide.train_guide(
            data,
            backbone="efficientnet_lite0",
            seed=0,
            started=time.monotonic(),
            state=tmp_path / "state.npz",
            head_only=head_only,
        )

    head, whole = train(head_only=True), train(head_only=False)
    assert [x["phase"] for x in head["epochs"]] == ["head"] * 8
    assert whole["epochs"][:8] == head["epochs"]
    (last,) = whole["epochs"][8:]
    assert last["phase"] == "fine_tune"
    # The clock goes on, too: a second process does not start from nothing.
    assert last["seconds"] > head["seconds"]
    np.testing.assert_array_equal(whole["head_scores"], head["head_scores"])
    assert np.abs(whole["scores"] - head["scores"]).max() > 0
    right = head["head_scores"].argmax(1) == data.test.targets.argmax(1)
    assert right.mean() > 0.9
