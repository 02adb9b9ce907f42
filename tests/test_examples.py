"""Every script in examples/ runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict

EXAMPLES = Path(__file__).parent.parent / "examples"
SIZE = 48


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of stripes, upright and level, 24 images each."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    stripes = np.where(np.arange(SIZE) // 6 % 2, 200, 40)
    for label, pattern in (("level", stripes[:, None, None]), ("upright", stripes[None, :, None])):
        (folder / label).mkdir()
        for number in range(24):
            noisy = pattern + rng.normal(0, 30, (SIZE, SIZE, 3))
            pixels = np.clip(noisy, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model.keras"
    accuracy = load("01_train_from_a_folder").main(str(photos), str(out), image_size=SIZE, epochs=2)
    assert accuracy > 0.8
    return out


def test_train_from_a_folder(trained: Path) -> None:
    assert keras.models.load_model(trained).input_shape == (None, SIZE, SIZE, 3)


def test_texts_from_a_table(tmp_path: Path) -> None:
    miniature = pytest.importorskip("tfxfer_text.miniature", reason="needs tfxfer-text")
    folder = miniature.write_model(tmp_path / "tiny")
    rng, rows = np.random.default_rng(3), {}
    while len(rows) < 240:
        label, words = (("good", miniature.GOOD), ("bad", miniature.BAD))[len(rows) % 2]
        drawn = [*rng.choice(words, 4, replace=False), *rng.choice(miniature.PLAIN, 2)]
        rows[" ".join(rng.permutation(drawn))] = label
    table = tmp_path / "reviews.csv"
    table.write_text("text,label\n" + "".join(f"{text},{rows[text]}\n" for text in rows))
    example = load("05_texts_from_a_table")
    text, out = "the boring dull awful film", tmp_path / "reviews.keras"
    accuracy, words = example.main(str(table), text, str(out), backbone=f"text:{folder}", size=16)
    inputs = [tensor.name for tensor in keras.models.load_model(out).inputs]
    assert inputs == ["ids", "mask", "segment_ids"]
    assert accuracy > 0.7
    # Which words a random encoder goes by nobody knows; that they are the text's own is.
    assert words
    assert set(words) <= {"the", "boring", "dull", "awful", "film"}


def test_another_look(photos: Path, tmp_path: Path) -> None:
    """The same stripes in dim red light; folders are named as the labels, which only test."""
    target = tmp_path / "target"
    for path in sorted(photos.rglob("*.png")):
        copy = target / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(path)) * (0.8, 0.3, 0.2)
        Image.fromarray(pixels.astype(np.uint8)).save(copy)
    out = tmp_path / "run"
    found = load("07_another_look").main(
        str(photos), str(target), str(out), image_size=SIZE, epochs=4
    )
    assert found.samples == 48
    assert found.effect is not None
    assert found.effect.after.value >= found.effect.before.value - 0.02
    assert keras.models.load_model(out / "model.keras").output_shape == (None, 2)


def test_your_own_model_to_int8(photos: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.tflite"
    before, after = load("04_your_own_model_to_int8").main(str(photos), str(trained), str(out))
    # Eight test images: one may change sides.
    assert before > 0.8
    assert after >= before - 0.13
    assert out.stat().st_size < 0.4 * trained.stat().st_size


def test_one_more_class(photos: Path, tmp_path: Path) -> None:
    new = tmp_path / "plain"
    new.mkdir()
    rng = np.random.default_rng(1)
    for number in range(6):
        pixels = np.clip(120 + rng.normal(0, 30, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(new / f"{number}.png")
    path = load("06_one_more_class").main(
        str(photos), "plain", str(new), str(tmp_path / "out"), image_size=SIZE
    )
    predictor = load_predictor(path)
    assert predictor.labels == ("level", "upright", "plain")
    for folder in (photos / "level", photos / "upright", new):
        answers = [x["label"] for x in predict(predictor, sorted(folder.iterdir())[:6])]
        assert answers.count(folder.name) >= 5


def test_freeze_in_your_own_fit(photos: Path) -> None:
    model = load("02_freeze_in_your_own_fit").main(str(photos), image_size=SIZE, epochs=1)
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert "block_12_project_conv" in trainable
    assert "block_11_project_conv" not in trainable
    assert not any(
        isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for layer in model.layers
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)


def test_your_own_schedule(photos: Path, tmp_path: Path) -> None:
    load("03_your_own_schedule").main(str(photos), str(tmp_path), image_size=SIZE, epochs=1)
    rows = (tmp_path / "epochs.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]
    best = keras.models.load_model(tmp_path / "best.keras")
    assert best.input_shape == (None, SIZE, SIZE, 3)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_is_at_most_60_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
