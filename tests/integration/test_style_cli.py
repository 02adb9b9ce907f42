"""`tfxfer train --style`: the look of samples without labels, given to those that have them."""

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

from tfxfer.adaptation.style_record import StyleRecord

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]

OPTIONS = ("--head-epochs", 3, "--epochs", 2, "--batch-size", 8, "--views", 3)
OPTIONS = (*OPTIONS, "--unfreeze-from", "block_1", "--no-calibration")
COUNT = 30


@pytest.fixture(scope="module")
def look(paint: Paint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("look"), np.random.default_rng(4)
    for number in range(COUNT):
        pixels = np.asarray(paint(rng, number % 3), float) * 0.6 + 90
        folder = root / ("day" if number % 2 else "night")
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    (root / "broken.png").write_bytes(b"no picture at all")
    return root


def read_weights(run: Path) -> list[np.ndarray]:
    weights: list[np.ndarray] = keras.models.load_model(run / "model.keras").get_weights()
    return weights


def are_equal(one: Path, other: Path) -> bool:
    return all(map(np.array_equal, read_weights(one), read_weights(other)))


@pytest.fixture(scope="module")
def styled(
    photos: Path, look: Path, train: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("styled") / "run"
    done = train(photos, "--out", out, *OPTIONS, "--style", look, "--style-method", "both")
    assert done.code == 0, done.stderr
    return out, done


def test_a_look_is_given_and_what_was_given_is_told(
    styled: tuple[Path, Any], look: Path, photos: Path
) -> None:
    out, done = styled
    found = StyleRecord.read(out / "trust")
    assert found == StyleRecord("both", str(look), COUNT, 1, 0, 0.5, ("fine_tune",))
    assert "30 others was given to 50 % of the varied views (fda) and activations" in done.stdout
    assert "1 could not be read" in done.stdout
    assert "half of the varied views get it and activations of phase fine_tune are" in done.stderr
    request = json.loads((out / "run.json").read_text())["request"]
    assert (request["style"], request["style_method"]) == (str(look), "both")
    # The network is the one that it would have been.
    model = keras.models.load_model(out / "model.keras")
    assert [layer.name for layer in model.layers[-2:]] == ["head_dense", "head_softmax"]


@pytest.mark.parametrize("method", ["fda", "mixstyle"])
def test_each_method_is_another_training(
    styled: tuple[Path, Any], photos: Path, look: Path, train: Run, tmp_path: Path, method: str
) -> None:
    plain, given = tmp_path / "plain", tmp_path / method
    assert train(photos, "--out", plain, *OPTIONS).code == 0
    done = train(photos, "--out", given, *OPTIONS, "--style", look, "--style-method", method)
    assert done.code == 0, done.stderr
    assert not are_equal(plain, given)
    assert not are_equal(styled[0], given)
    assert StyleRecord.read(plain / "trust") is None


def test_the_same_seed_gives_the_same_network(
    styled: tuple[Path, Any], photos: Path, look: Path, train: Run, tmp_path: Path
) -> None:
    words = ("--style", look, "--style-method", "both")
    again = tmp_path / "again"
    assert train(photos, "--out", again, *OPTIONS, *words).code == 0
    assert are_equal(styled[0], again)


def test_a_training_goes_on_with_the_look(
    styled: tuple[Path, Any], photos: Path, look: Path, train: Run, tfxfer: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from tfxfer.training.snapshot import Recorder

    out, epochs = tmp_path / "run", 0
    own = shutil.copytree(look, tmp_path / "look")
    end = Recorder.on_epoch_end

    def stop(self: Any, epoch: int, logs: Any = None) -> None:
        nonlocal epochs
        end(self, epoch, logs)
        epochs += 1
        if epochs == 4:  # three of the head, and one of two
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_epoch_end", stop)
        done = train(photos, "--out", out, *OPTIONS, "--style", own, "--style-method", "both")
        assert done.code == 130, done.stderr
    added = own / "added.png"
    Image.fromarray(np.full((40, 40, 3), 77, np.uint8)).save(added)
    done = tfxfer("train", "--resume", "--out", out, "--no-report")
    assert done.code == 1
    assert "expected the samples of --style that it was started with" in done.error
    added.unlink()
    done = tfxfer("train", "--resume", "--out", out, "--no-report")
    assert done.code == 0, done.stderr
    assert are_equal(styled[0], out)


def test_one_folder_may_be_style_and_target(
    photos: Path, look: Path, train: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ("--style", look, "--target", look, "--adapt", "coral")
    done = train(photos, "--out", out, *OPTIONS, *words)
    assert done.code == 0, done.stderr
    assert "the look of 30 others" in done.stdout
    assert "adapted to the target by coral" in done.stdout


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("nothing", 1, "nothing at that path"),
        ("file", 1, "a file"),
        ("empty", 1, "expected images in it. Received: none"),
        ("source", 1, "the same folder"),
        ("copies", 1, "all of which are labelled samples, too"),
        ("unreadable", 1, "images that can be read. Received: none among 3"),
        ("method_alone", 2, "--style FOLDER"),
        ("budget", 2, "without --style"),
        ("plain", 2, "Received: --augment none. Leave it out"),
        ("one_view", 2, "Received: --views 1. Leave it out"),
        ("head", 2, "Received: --schedule head. Leave that out, or take --style-method fda"),
        ("no_cache", 2, "Received: --no-cache. Leave that out"),
    ],
)
def test_what_cannot_be_a_style_is_told_in_a_line(
    photos: Path, look: Path, train: Run, tmp_path: Path, case: str, code: int, words: str
) -> None:
    style = tmp_path / "style"
    more: tuple[str, ...] = {
        "budget": ("--budget", "90s"),
        "plain": ("--augment", "none", "--style-method", "fda"),
        "one_view": ("--views", "1", "--style-method", "both"),
        "head": ("--schedule", "head", "--style-method", "mixstyle"),
        "no_cache": ("--no-cache", "--style-method", "mixstyle"),
    }.get(case, ())
    if case == "file":
        style.write_text("x")
    elif case == "source":
        style = photos
    elif case == "copies":
        shutil.copytree(photos, style)
    elif case in ("empty", "unreadable"):
        style.mkdir()
        for number in range(3 if case == "unreadable" else 0):
            (style / f"{number}.png").write_bytes(b"nothing")
    elif more:
        style = look
    given = ("--style", style, *more) if case != "method_alone" else ("--style-method", "fda")
    done = train(photos, "--out", tmp_path / "run", *given)
    assert done.code == code, done.stderr
    assert words in done.error
    assert not (tmp_path / "run").exists()
