"""`tfxfer train --target`: a model is fitted to a look that nobody has labelled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.adaptation.record import Adaptation

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]

LABELS = ("apple", "mango", "zebra")
OPTIONS = ("--schedule", "head", "--head-epochs", 8, "--batch-size", 8, "--views", 1)
COUNTS = (18, 12, 8)


def veil(image: Image.Image) -> Image.Image:
    """Returns an image as another camera takes it: red is stronger and blue weaker."""
    pixels = np.asarray(image, float) * (0.7, 0.55, 0.4) + (70, 12, 10)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def save_look(root: Path, paint: Paint, *, named: bool, seed: int = 5) -> Path:
    """Writes a target; its folders are named as the labels, or its files say nothing."""
    rng = np.random.default_rng(seed)
    for channel, count in enumerate(COUNTS):
        for number in range(count):
            name = f"{rng.integers(10**9):09d}{number:02d}.png"
            folder = root / LABELS[channel] if named else root
            folder.mkdir(parents=True, exist_ok=True)
            veil(paint(rng, channel)).save(folder / name)
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> Path:
    root, rng = tmp_path_factory.mktemp("source"), np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for number in range(20):
            paint(rng, channel).save(root / label / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def adapted(
    source: Path, paint: Paint, train: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Any]:
    folder = tmp_path_factory.mktemp("adapted")
    target = save_look(folder / "target", paint, named=True)
    (target / "broken.png").write_bytes(b"no picture at all")
    (target / "apple" / "broken.png").write_bytes(b"no picture either")
    options = ("--adapt", "self_training", "--no-calibration")
    done = train(source, "--out", folder / "run", *OPTIONS, "--target", target, *options)
    assert done.code == 0, done.stderr
    return folder / "run", target, done


def test_the_target_is_learnt_and_its_labels_test(adapted: tuple[Path, Path, Any]) -> None:
    out, _, done = adapted
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert (found.kept, found.samples, found.left_out) == ("self_training", sum(COUNTS), 2)
    assert found.effect is not None
    assert found.effect.samples == sum(COUNTS)
    assert found.effect.before.value < 0.8
    assert found.effect.after.value > 0.9
    assert found.moved > 0.15
    document = json.loads((out / "run.json").read_text())
    assert document["metrics"]["target"]["accuracy"]["value"] == found.effect.after.value
    assert document["metrics"]["target"]["images"] == sum(COUNTS)
    assert "adapted to the target by self-training" in done.stdout
    assert "2 could not be read" in done.stdout
    assert "the last layer is fitted to it afterwards: self_training" in done.stderr


def test_the_saved_network_is_the_one_it_was(adapted: tuple[Path, Path, Any], tfxfer: Run) -> None:
    out, target, _ = adapted
    model = keras.models.load_model(out / "model.keras")
    assert [layer.name for layer in model.layers[-3:]] == [
        "head_dropout", "head_dense", "head_softmax",
    ]  # fmt: skip
    assert model.count_params() == model.layers[-2].count_params() + sum(
        layer.count_params() for layer in model.layers[:-2]
    )
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert found.effect is not None
    measured = tfxfer("evaluate", out, target, "--json").document
    assert measured["accuracy"]["value"] == pytest.approx(found.effect.after.value)


def test_labels_of_the_target_train_nothing(
    source: Path, adapted: tuple[Path, Path, Any], train: Run, tmp_path: Path
) -> None:
    out, target, _ = adapted
    # The same samples, of which the folders now lie.
    other = tmp_path / "target"
    for label, lie in zip(LABELS, (*LABELS[1:], LABELS[0]), strict=True):
        shutil.copytree(target / label, other / lie)
    (other / "broken.png").write_bytes(b"no picture at all")
    options = ("--adapt", "self_training", "--no-calibration")
    done = train(source, "--out", tmp_path / "run", *OPTIONS, "--target", other, *options)
    assert done.code == 0, done.stderr
    first, second = (
        keras.models.load_model(path / "model.keras").get_weights()
        for path in (out, tmp_path / "run")
    )
    for one, two in zip(first, second, strict=True):
        # The order of samples, and with it that of sums, is another one.
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)
    before, after = (Adaptation.read(path / "trust") for path in (out, tmp_path / "run"))
    assert before is not None
    assert after is not None
    assert before.shares == pytest.approx(after.shares, abs=1e-3)
    # They do test: told wrong, they say that the model is.
    assert before.effect is not None
    assert after.effect is not None
    assert after.effect.after.value < 0.1 < before.effect.after.value


def test_auto_may_keep_the_model_as_it_was(
    source: Path, paint: Paint, train: Run, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    (tmp_path / "target").mkdir()
    for number in range(36):
        paint(rng, number % 3).save(tmp_path / "target" / f"{number}.png")
    out = tmp_path / "run"
    # Trained until it is right about its own look, there is nothing left to gain.
    options = ("--schedule", "head", "--head-epochs", 60, "--batch-size", 8, "--views", 1)
    done = train(source, "--out", out, *options, "--target", tmp_path / "target")
    assert done.code == 0, done.stderr
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert (found.asked, found.kept, found.moved, found.effect) == ("auto", "none", 0, None)
    assert "target" not in json.loads((out / "run.json").read_text())["metrics"]
    assert "no method is surely better than none" in done.stdout


def test_statistics_of_the_target_take_the_place_of_those_that_came_with_the_weights(
    source: Path, paint: Paint, train: Run, tmp_path: Path
) -> None:
    target, out = save_look(tmp_path / "target", paint, named=False), tmp_path / "run"
    done = train(source, "--out", out, *OPTIONS, "--target", target, "--adapt", "adabn")
    assert done.code == 0, done.stderr
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert found.kept == "adabn"
    model = keras.models.load_model(out / "model.keras")
    # The weights of this backbone bring none: 0 and 1.
    mean = model.get_layer("block_1_bn").get_weights()[2]
    assert np.abs(mean).max() > 0.05


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("nothing", 1, "nothing at that path"),
        ("file", 1, "a file"),
        ("source", 1, "the same folder"),
        ("few", 1, "expected 20 images or more"),
        ("copies", 1, "all of which are labelled samples, too"),
        ("one_label", 1, "of two labels or more. Received: 24 of 'apple' alone"),
        ("unreadable", 1, "or more that can be read. Received: 0"),
        ("adapt_alone", 2, "--target FOLDER"),
        ("budget", 2, "without --target"),
        ("head", 2, "whose last layer can be fitted"),
    ],
)
def test_what_cannot_be_a_target_is_told_in_a_line(
    source: Path, paint: Paint, train: Run, tmp_path: Path, case: str, code: int, words: str
) -> None:
    target, rng = tmp_path / "target", np.random.default_rng(3)
    more: tuple[str, ...] = ()
    if case == "file":
        target.write_text("x")
    elif case == "source":
        target = source
    elif case == "few":
        target.mkdir()
        paint(rng, 0).save(target / "0.png")
    elif case == "copies":
        shutil.copytree(source, target)
    elif case == "unreadable":
        target.mkdir()
        for number in range(24):
            (target / f"{number}.png").write_bytes(b"nothing")
    elif case != "nothing":
        (target / "apple").mkdir(parents=True)
        for number in range(24):
            paint(rng, 0).save(target / "apple" / f"{number}.png")
        more = {
            "budget": ("--budget", "90s"),
            "head": ("--head", "multilabel"),
        }.get(case, ())
    given = ("--target", target, *more) if case != "adapt_alone" else ("--adapt", "coral")
    done = train(source, "--out", tmp_path / "run", *given)
    assert done.code == code, done.stderr
    assert words in done.error
    assert not (tmp_path / "run").exists()
