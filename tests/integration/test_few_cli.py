"""Few samples a class: a computed head in a whole run, and what `--shots auto` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.fine_tuning import FewShots, FineTuning
from tfxfer.trust.forgetting import Forgetting

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, paint: Callable[..., Any]) -> Path:
    """Two images of each of three classes to learn from, and others to test with."""
    root = tmp_path_factory.mktemp("few")
    rng = np.random.default_rng(3)
    for part, count in (("train", 2), ("val", 2), ("test", 8)):
        for channel, label in enumerate(("apple", "mango", "zebra")):
            (root / part / label).mkdir(parents=True)
            for number in range(count):
                paint(rng, channel).save(root / part / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def computed(few: Path, train: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("computed") / "run"
    options = ("--head", "prototype", "--schedule", "head", "--json")
    done = train(few, "--out", out, *options)
    assert done.code == 0, done.stderr
    return out, done


def test_two_a_class_are_learnt_without_an_epoch_of_training(
    computed: tuple[Path, Any], tfxfer: Run
) -> None:
    out, done = computed
    manifest = done.document
    assert manifest["head"] == "prototype"
    assert [(x["name"], x["epochs"]) for x in manifest["phases"]] == [("head", 1)]
    # Two images of each suffice where every image is like its class.
    assert manifest["metrics"]["test"]["accuracy"]["value"] > 0.9
    words = " ".join(done.stderr.split())
    assert "parameters, computed without training" in words
    kernel, bias = keras.models.load_model(out / "model.keras").get_layer("head_dense").weights
    assert not np.asarray(bias).any()
    lengths = np.linalg.norm(np.asarray(kernel), axis=0)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
    # A training of one epoch that trains nothing is a page like any other.
    assert tfxfer("report", out).code == 0


def test_what_few_samples_call_for_stands_in_the_plan(
    few: Path, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (FewShots(2, "measured", schedule="head", is_computed=True, augment="none"),)
    advice = FineTuning(few_shots=rules)
    monkeypatch.setattr("tfxfer.backbone.Backbone.fine_tuning", advice)
    out = tmp_path / "run"
    done = train(few, "--out", out, "--shots", "auto", "--json")
    assert done.code == 0, done.stderr
    asked = done.document["request"]
    assert (asked["shots"], asked["head"], asked["schedule"]) == ("auto", "prototype", "head")
    assert asked["augment"] == "none"
    taken = "2 a class to learn from: --head prototype --schedule head --augment none, measured"
    assert f"shots {taken}" in " ".join(done.stderr.split())


def test_a_new_class_leaves_the_means_of_those_that_are_known(
    computed: tuple[Path, Any], tfxfer: Run, tmp_path: Path, paint: Callable[..., Any]
) -> None:
    """No photo of an earlier class is at hand, and nothing is forgotten."""
    rng = np.random.default_rng(5)
    (tmp_path / "new" / "lemon").mkdir(parents=True)
    for number in range(8):
        pixels = np.asarray(paint(rng, 0)).copy()
        pixels[..., 1] = pixels[..., 0]  # two channels are the brightest
        Image.fromarray(pixels).save(tmp_path / "new" / "lemon" / f"{number}.png")
    out = tmp_path / "run"
    done = tfxfer(
        "train", tmp_path / "new", "--from", computed[0], "--schedule", "head", "--out", out,
        "--no-report", "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.document["labels"] == ["apple", "mango", "zebra", "lemon"]
    kernels = [
        np.asarray(keras.models.load_model(x / "model.keras").get_layer("head_dense").kernel)
        for x in (computed[0], out)
    ]
    before, after = (x / np.linalg.norm(x, axis=0) for x in kernels)
    np.testing.assert_allclose(after[:, :3], before, atol=1e-5)
    found = Forgetting.read(out / "trust")
    assert found is not None
    assert found.samples == 24
    assert found.after is not None
    assert found.after.value > 0.9
