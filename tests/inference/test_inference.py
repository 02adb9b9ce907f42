from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ImageError, ModelError, Resize, RunDirectory, RunError
from tfxfer.inference.keras_model import load_model, read_keras_file
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.scoring import evaluate, predict, score_split
from tfxfer.run.manifest import Manifest
from tfxfer.stages import get_info

LABELS = ("class_0", "class_1", "class_2")


@pytest.fixture
def predictor() -> Predictor:
    """Says which channel is the brightest."""
    from tfxfer_heads import Classification

    def score(pixels: np.ndarray) -> np.ndarray:
        means = np.asarray(pixels, np.float64).mean(axis=(1, 2))
        return means / means.sum(axis=1, keepdims=True)

    return Predictor("brightest", LABELS, Classification(), 32, Resize(), score)


@pytest.fixture
def saved(make_tiny: Callable[..., Any], tmp_path: Path) -> Path:
    path = tmp_path / "somewhere.keras"
    make_tiny().save(path)
    return path


def test_a_predictor_is_evaluated_on_images_and_on_a_dataset(
    predictor: Predictor, images: Any
) -> None:
    seen = []
    found = evaluate(predictor, images.test, progress=lambda what, done, total: seen.append(done))
    assert seen[-1] == 12
    assert found["images"] == 12
    assert found["accuracy"]["value"] == 1
    again = evaluate(predictor, images.test.dataset(batch_size=5))
    assert again["accuracy"] == found["accuracy"]
    wrong = Predictor(**{**vars(predictor), "score": lambda x: predictor.score(x)[:, ::-1]})
    assert evaluate(wrong, images.test)["accuracy"]["value"] < 0.5


def test_a_model_scores_as_keras_does(make_tiny: Callable[..., Any], images: Any) -> None:
    model = make_tiny()
    predictor = Predictor.from_model(model)
    assert (predictor.labels, predictor.image_size) == (LABELS, 32)
    pixels = images.test.read_views(range(12))[:, 0]
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
    np.testing.assert_allclose(score_split(predictor, images.test), expected, atol=1e-6)
    many = np.tile(pixels, (4, 1, 1, 1))  # more than one batch
    np.testing.assert_allclose(predictor.score(many), np.tile(expected, (4, 1)), atol=1e-6)
    assert evaluate(model, images.test)["images"] == 12


def test_files_are_predicted_in_their_order(
    predictor: Predictor, images: Any, tmp_path: Path
) -> None:
    files = [images.test.root / path for path in images.test.paths]
    found = predict(predictor, files)
    assert [document["image"] for document in found] == [str(file) for file in files]
    assert [document["label"] for document in found] == list(images.test.raw_labels)
    assert set(found[0]["scores"]) == set(LABELS)
    assert found[0]["score"] == max(found[0]["scores"].values())
    assert predict(predictor, []) == []
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=r"broken\.png"):
        predict(predictor, [files[0], broken])


def test_a_file_outside_a_run_needs_its_labels(
    saved: Path, make_tiny: Callable[..., Any], images: Any
) -> None:
    predictor = load_predictor(saved, labels=["x", "y", "z"])
    assert (predictor.labels, predictor.image_size) == (("x", "y", "z"), 32)
    pixels = images.test.read_views(range(12))[:, 0]
    expected = Predictor.from_model(make_tiny()).score(pixels)
    np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
    for labels, count in ((None, "none"), (["x", "y"], "2")):
        with pytest.raises(ModelError, match=f"expected 3 labels.*Received: {count}"):
            load_predictor(saved, labels=labels)


def test_a_run_knows_its_labels(make_tiny: Callable[..., Any], tmp_path: Path) -> None:
    model = make_tiny()
    info = get_info(model)
    run = RunDirectory.create(tmp_path / "run")
    manifest = Manifest(
        backbone="tiny",
        head="classification",
        labels=LABELS,
        image_size=32,
        preprocessing=info.preprocessing.to_dict(),
    )
    run.write_manifest(manifest)
    with pytest.raises(ModelError, match="finished training"):
        load_model(run.path)  # no file yet
    model.save(run.model_path)
    for path in (run.path, run.model_path):
        loaded = load_model(path)
        # No plugin of that name is installed: the file alone scores images.
        assert [stage.name for stage in get_info(loaded).stages] == ["backbone"]
        assert get_info(loaded).preprocessing == info.preprocessing
        assert load_predictor(path).labels == LABELS
    run.write_manifest(Manifest(backbone="tiny", head="classification"))
    with pytest.raises(ModelError, match=r"finished training.*--resume"):
        load_model(run.path)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        load_predictor(tmp_path)


@pytest.mark.parametrize("name", ["model.h5", "model.pb", "model"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="nothing there"):
        load_predictor(tmp_path / name)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match="suffix="):
        load_predictor(tmp_path / name)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    # Inside the weights, which the zip stores uncompressed.
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - x for x in content[middle : middle + 64])
        + content[middle + 64 :]
    )


@pytest.mark.parametrize("damage", [truncate, flip, lambda content: b"", lambda content: b"no zip"])
def test_a_damaged_file_is_refused(saved: Path, damage: Callable[[bytes], bytes]) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ModelError, match=r"somewhere\.keras"):
        load_predictor(saved, labels=LABELS)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no model")
    with pytest.raises(ModelError, match="safe mode"):
        read_keras_file(path)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    import keras

    trap = tmp_path / "trap"
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda x, path=str(trap): Path(path).touch() or x)(inputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model.save(tmp_path / "model.keras")
    assert trap.exists()  # it works when it is run
    trap.unlink()
    with pytest.raises(ModelError, match=r"safe mode.*Lambda"):
        load_predictor(tmp_path / "model.keras", labels=LABELS)
    assert not trap.exists()


@pytest.mark.parametrize("kind", ["two inputs", "two outputs", "no input", "not square", "gray"])
def test_a_model_of_another_shape_is_refused(tmp_path: Path, kind: str) -> None:
    import keras
    from keras import layers

    shape = {"not square": (32, 16, 3), "gray": (32, 32, 1)}.get(kind, (32, 32, 3))
    inputs = keras.Input(shape)
    output = layers.Dense(3)(layers.GlobalAveragePooling2D()(inputs))
    if kind == "two inputs":
        second = keras.Input((3,))
        model = keras.Model([inputs, second], layers.Add()([output, second]))
    elif kind == "two outputs":
        model = keras.Model(inputs, [output, output])
    elif kind == "no input":
        model = keras.Sequential([layers.Dense(3)])
    else:
        model = keras.Model(inputs, output)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving a model that has not yet been built")
        model.save(tmp_path / "odd.keras")
    with pytest.raises(ModelError, match=r"odd\.keras.*expected (one input|a square input)"):
        load_predictor(tmp_path / "odd.keras", labels=LABELS)
