"""`tfxfer train --target --adapt`, of the methods that work while the network trains."""

from __future__ import annotations

import json
import shutil
import signal
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
OPTIONS = (
    "--head-epochs", 4, "--epochs", 4, "--batch-size", 8, "--views", 1, "--no-calibration",
)  # fmt: skip
COUNTS = (12, 12, 12)


def veil(image: Image.Image) -> Image.Image:
    """Returns an image as another camera takes it: red is stronger and blue weaker."""
    pixels = np.asarray(image, float) * (0.7, 0.55, 0.4) + (70, 12, 10)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> tuple[Path, Path, Path]:
    """A labelled look, another one whose folders are named as the labels, and with wrong names."""
    root, rng = tmp_path_factory.mktemp("looks"), np.random.default_rng(0)
    source, target, wrong = (root / name for name in ("source", "target", "wrong"))
    for channel, label in enumerate(LABELS):
        (source / label).mkdir(parents=True)
        # Under numbers, so that other names of the folders leave the samples in their order.
        (target / str(channel) / label).mkdir(parents=True)
        for number in range(20):
            paint(rng, channel).save(source / label / f"{number:02d}.png")
        for number in range(COUNTS[channel]):
            veil(paint(rng, channel)).save(target / str(channel) / label / f"{number:02d}.png")
        lie = LABELS[(channel + 1) % 3]
        shutil.copytree(target / str(channel) / label, wrong / str(channel) / lie)
    return source, target, wrong


@pytest.fixture(scope="module")
def plain(
    looks: tuple[Path, Path, Path], train: Run, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("plain") / "run"
    assert train(looks[0], "--out", out, *OPTIONS).code == 0
    return out


@pytest.fixture(scope="module")
def taught(
    looks: tuple[Path, Path, Path], train: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    """A run that learnt pseudo-labels, and what was said."""
    out = tmp_path_factory.mktemp("taught") / "run"
    asked = ("--target", looks[1], "--adapt", "pseudo_labels")
    done = train(looks[0], "--out", out, *OPTIONS, *asked)
    assert done.code == 0, done.stderr
    return out, done


def load(run: Path) -> Any:
    return keras.models.load_model(run / "model.keras")


@pytest.mark.parametrize(
    "method",
    [
        "deep_coral",
        pytest.param("mmd", marks=pytest.mark.slow),
        pytest.param("dann", marks=pytest.mark.slow),
        "pseudo_labels",
    ],
)
def test_the_target_is_learnt_in_a_network_of_the_same_layers(
    method: str,
    looks: tuple[Path, Path, Path],
    plain: Path,
    taught: tuple[Path, Any],
    train: Run,
    tmp_path: Path,
) -> None:
    out, done = taught
    if method != "pseudo_labels":
        out = tmp_path / "run"
        done = train(looks[0], "--out", out, *OPTIONS, "--target", looks[1], "--adapt", method)
        assert done.code == 0, done.stderr
    assert f"{method} while more than the head trains" in done.stderr
    assert f"adapted to the target by {method.replace('_', '-')}" in done.stdout
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert (found.asked, found.kept, found.samples) == (method, method, sum(COUNTS))
    kept, bare = load(out), load(plain)
    assert [layer.name for layer in kept.layers] == [layer.name for layer in bare.layers]
    assert [w.shape for w in kept.weights] == [w.shape for w in bare.weights]
    assert found.effect is not None
    if method == "pseudo_labels":
        assert found.effect.after.value > 0.9
        assert found.effect.before is not None
    else:
        assert (found.moved, found.effect.before) == (None, None)
        assert found.trials[0].gain is None
    document = json.loads((out / "run.json").read_text())
    assert document["metrics"]["target"]["accuracy"]["value"] == found.effect.after.value
    # Below the last layer, which is fitted afterwards.
    one, other = (np.array(x.get_layer("block_3_conv").kernel) for x in (kept, bare))
    assert np.abs(one - other).max() > 1e-4


def test_labels_of_the_target_train_nothing(
    looks: tuple[Path, Path, Path], taught: tuple[Path, Any], train: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    asked = ("--target", looks[2], "--adapt", "pseudo_labels")
    assert train(looks[0], "--out", out, *OPTIONS, *asked).code == 0
    right, wrong = load(taught[0]).get_weights(), load(out).get_weights()
    assert all((one == two).all() for one, two in zip(right, wrong, strict=True))
    # They do test: told wrong, they say that the model is.
    found = Adaptation.read(out / "trust")
    assert found is not None
    assert found.effect is not None
    assert found.effect.after.value < 0.1


def test_a_run_that_is_broken_off_beside_its_target_ends_as_if_it_had_not_been(
    looks: tuple[Path, Path, Path],
    taught: tuple[Path, Any],
    train: Run,
    tfxfer: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tfxfer.training.epoch_lines import EpochLines

    going_on = EpochLines.on_epoch_end

    def stop(self: Any, epoch: int, logs: Any = None) -> None:
        going_on(self, epoch, logs)
        if epoch == 5:  # the second one of the second phase
            signal.raise_signal(signal.SIGINT)

    out = tmp_path / "run"
    asked = ("--target", looks[1], "--adapt", "pseudo_labels")
    with monkeypatch.context() as patch:
        patch.setattr(EpochLines, "on_epoch_end", stop)
        assert train(looks[0], "--out", out, *OPTIONS, *asked).code == 130
    done = tfxfer("train", "--resume", "--out", out, "--no-report", "-v")
    assert done.code == 0, done.stderr
    assert "epoch 5/" not in done.stderr
    assert "epoch 8/8" in done.stderr
    whole, again = load(taught[0]).get_weights(), load(out).get_weights()
    assert all((one == two).all() for one, two in zip(whole, again, strict=True))
    assert Adaptation.read(out / "trust") == Adaptation.read(taught[0] / "trust")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--adapt", "dann", "--schedule", "head"), "--schedule head"),
        (("--adapt", "mmd", "--adapt-strength", "0"), "above 0"),
        (("--adapt", "mmd", "--adapt-strength", "nan"), "above 0"),
        (("--adapt", "coral", "--adapt-strength", "2"), "works while the network trains"),
        (("--adapt", "mmd", "--budget", "90s"), "without --target"),
        (("--adapt", "mmd", "--unfreeze-from", "backbone"), "expected a schedule that trains more"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_line(
    looks: tuple[Path, Path, Path], train: Run, tmp_path: Path, options: Any, words: str
) -> None:
    done = train(looks[0], "--out", tmp_path / "run", "--target", looks[1], *options)
    assert done.code == 2, done.stderr
    assert words in done.error
    assert not (tmp_path / "run").exists()
