"""`tfxfer export` on models that are no runs, on wrong input, and on bad days."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run as run_cli
from tfxfer.cli.preprocessing import parse_preprocessing
from tfxfer.preprocessing import Preprocessing
from tfxfer.run.directory import RunDirectory

FAST = ("--recipe", "float32")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    error: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def tfxfer(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def call(*args: object) -> Done:
        code = run_cli([str(arg) for arg in args])
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def images(colour_run: RunDirectory) -> Path:
    return Path(colour_run.read_manifest().request["data"])


@pytest.fixture
def model(colour_run: RunDirectory, tmp_path: Path) -> Path:
    """The run's model as a file that knows nothing of the run."""
    return Path(shutil.copy(colour_run.model_path, tmp_path / "mine.keras"))


@pytest.fixture
def labels(colour_run: RunDirectory, tmp_path: Path) -> Path:
    return Path(shutil.copy(colour_run.path / "labels.txt", tmp_path / "names.txt"))


@pytest.fixture
def foreign(images: Path, labels: Path, tmp_path: Path) -> tuple[object, ...]:
    """What a model outside of a run has to be given."""
    return ("--calibration", images, "--labels", labels, "--preprocessing", "in_graph",
            "--out", tmp_path / "edge")  # fmt: skip


def save_model(path: Path, *, inputs: int = 1, poison: bool = False, code: bool = False) -> Path:
    """Writes a Keras model of 48 px images and three outputs."""
    import keras

    sources = [keras.Input((48, 48, 3)) for _ in range(inputs)]
    x = keras.layers.Rescaling(1 / 127.5, -1)(sources[0])
    if code:
        x = keras.layers.Lambda(lambda value: value * 1.0)(x)
    pooled = [keras.layers.GlobalAveragePooling2D()(y) for y in (x, *sources[1:])]
    x = keras.layers.Concatenate()(pooled) if inputs > 1 else pooled[0]
    dense = keras.layers.Dense(3, activation="softmax")
    model = keras.Model(sources, dense(x))
    if poison:
        kernel = dense.kernel.numpy()
        kernel[0, 0] = np.nan
        dense.kernel.assign(kernel)
    model.save(path)
    return path


def test_a_keras_file_with_its_images(
    tfxfer: Callable[..., Done], model: Path, foreign: tuple[object, ...], tmp_path: Path
) -> None:
    done = tfxfer("export", model, *foreign, *FAST, "--json")
    assert done.code == 0, done.error
    document = done.document
    assert document["model"] == str(model)
    (candidate,) = document["candidates"]
    assert candidate["drop_points"] == 0
    assert document["float"]["metrics"]["test"]["accuracy"]["value"] > 0.8
    assert (tmp_path / "edge" / "model_float32.tflite").is_file()
    assert set(document["calibration"]) == {"data", "files", "images", "seed"}


@pytest.mark.parametrize("kind", ["old.h5", "saved"])
def test_a_legacy_file_and_a_saved_model(
    kind: str,
    tfxfer: Callable[..., Done],
    foreign: tuple[object, ...],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    pixels = tf_keras.Input((48, 48, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(tf_keras.layers.Rescaling(1 / 255)(pixels))
    dense = tf_keras.layers.Dense(3, activation="softmax")
    model = tf_keras.Model(pixels, dense(x))
    # Amber has red and green, green has green, violet has blue: in the order of labels.txt.
    dense.set_weights(
        [12 * np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1]], np.float32), np.zeros(3)]
    )
    if kind == "saved":
        model.export(tmp_path / kind)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the format is a legacy is the point
            model.save(tmp_path / kind)
    capfd.readouterr()  # tf_keras tells what it saves
    done = tfxfer("export", tmp_path / kind, *foreign, *FAST, "--json")
    assert done.code == 0, done.error
    assert done.document["float"]["metrics"]["test"]["accuracy"]["value"] == 1
    assert done.document["candidates"][0]["agreement"] == 1


def test_labels_in_another_order_are_other_answers(
    tfxfer: Callable[..., Done], model: Path, foreign: tuple[object, ...], labels: Path
) -> None:
    names = labels.read_text().split()
    labels.write_text("".join(f"{name}\n" for name in reversed(names)))
    done = tfxfer("export", model, *foreign, *FAST, "--json")
    # The outputs are now called by wrong names, and the float model's own accuracy says so.
    assert done.document["float"]["metrics"]["test"]["accuracy"]["value"] < 0.6


def test_a_run_takes_other_images_to_calibrate(
    tfxfer: Callable[..., Done], colour_run: RunDirectory, images: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(images, tmp_path / "other"))
    out = ("--out", tmp_path / "edge")
    done = tfxfer("export", colour_run.path, *out, *FAST, "--calibration", other, "--json")
    assert done.code == 0, done.error
    assert done.document["calibration"]["data"] == str(other)
    refused = tfxfer("export", colour_run.path, "--out", tmp_path / "b", "--preprocessing", "0..1")
    assert (refused.code, "that a run knows itself" in refused.error) == (2, True)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        ("--calibration", "--calibration DATA"),
        ("--labels", "--labels labels.txt"),
        ("--preprocessing", "in_graph"),
        ("--out", "--out DIR"),
    ],
)
def test_what_a_model_does_not_say_is_not_guessed(
    left_out: str,
    told: str,
    tfxfer: Callable[..., Done],
    model: Path,
    foreign: tuple[object, ...],
    tmp_path: Path,
) -> None:
    at = foreign.index(left_out)
    done = tfxfer("export", model, *foreign[:at], *foreign[at + 2 :], *FAST)
    assert done.code == 2, done.error
    assert told in done.error
    assert "Traceback" not in done.error
    assert not (tmp_path / "edge").exists()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_text("no model"), "keras"),
        (lambda path: path.write_bytes(b""), "keras"),
        (lambda path: save_model(path, inputs=2), "2 inputs"),
        (lambda path: save_model(path, poison=True), "NaN"),
        (lambda path: save_model(path, code=True), "Lambda"),
    ],
    ids=["text", "empty", "two inputs", "NaN", "code"],
)
def test_models_that_cannot_be_exported(
    make: Callable[[Path], object],
    told: str,
    tfxfer: Callable[..., Done],
    foreign: tuple[object, ...],
    tmp_path: Path,
) -> None:
    path = tmp_path / "bad.keras"
    make(path)
    done = tfxfer("export", path, *foreign, *FAST)
    assert done.code == 1, done.error
    assert told in done.error
    assert "Traceback" not in done.error
    assert not (tmp_path / "edge").exists()


def test_code_in_a_model_runs_only_with_trust(
    tfxfer: Callable[..., Done], foreign: tuple[object, ...], tmp_path: Path
) -> None:
    path = save_model(tmp_path / "code.keras", code=True)
    done = tfxfer("export", path, *foreign, *FAST, "--trust", "--json")
    assert done.code == 0, done.error
    assert done.document["chosen"] == "float32"


def test_a_truncated_model(
    tfxfer: Callable[..., Done], model: Path, foreign: tuple[object, ...], tmp_path: Path
) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])
    done = tfxfer("export", model, *foreign, *FAST)
    assert (done.code, "Traceback" in done.error) == (1, False)
    assert not (tmp_path / "edge").exists()


def test_labels_that_do_not_match(
    tfxfer: Callable[..., Done], model: Path, foreign: tuple[object, ...], labels: Path
) -> None:
    labels.write_text("one\ntwo\n")
    done = tfxfer("export", model, *foreign, *FAST)
    assert (done.code, "expected 3 labels" in done.error) == (1, True)
    labels.write_text("one\ntwo\nthree\n")
    done = tfxfer("export", model, *foreign, *FAST)
    assert (done.code, "'amber'" in done.error) == (1, True)


@pytest.mark.parametrize("classes", [0, 1])
def test_images_of_one_class_or_none(
    classes: int,
    tfxfer: Callable[..., Done],
    model: Path,
    foreign: tuple[object, ...],
    images: Path,
    tmp_path: Path,
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for folder in sorted(images.iterdir())[:classes]:
        shutil.copytree(folder, few / folder.name)
    given = [few if item == images else item for item in foreign]
    done = tfxfer("export", model, *given, "--recipe", "int8")
    assert done.code == 1, done.error
    assert "Traceback" not in done.error
    assert not (tmp_path / "edge").exists()


def test_something_that_is_not_there(
    tfxfer: Callable[..., Done], foreign: tuple[object, ...], tmp_path: Path
) -> None:
    done = tfxfer("export", tmp_path / "nothing", *foreign)
    assert (done.code, "nothing there" in done.error) == (1, True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell files apart")
@pytest.mark.parametrize("name", ["model_float32", "labels", "README", "export"])
def test_a_disk_that_is_full(
    name: str,
    tfxfer: Callable[..., Done],
    colour_run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    args = ("export", colour_run.path, "--out", tmp_path / "edge", *FAST)
    assert tfxfer(*args).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "edge").iterdir()}
    flush = os.fsync

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().name.startswith(f".{name}.tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(handle)

    monkeypatch.setattr("os.fsync", fsync)
    done = tfxfer(*args, "--overwrite")
    assert done.code == 1, done.error
    assert "Free some space" in done.error
    assert {path.name: path.read_bytes() for path in (tmp_path / "edge").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]


def test_control_c_while_files_are_scored(
    tfxfer: Callable[..., Done],
    colour_run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tfxfer_edge.proof.comparison.judge", interrupt)
    before = colour_run.read_manifest().exports
    done = tfxfer("export", colour_run.path, "--out", tmp_path / "edge", *FAST)
    assert done.code == 130
    assert list(tmp_path.iterdir()) == []
    assert colour_run.read_manifest().exports == before


def test_preprocessing_in_words() -> None:
    assert parse_preprocessing("in_graph") == "in_graph"
    assert parse_preprocessing("0..1") == Preprocessing(scale=(1 / 255,) * 3)
    three = parse_preprocessing("120,110,100/60,50,40")
    assert (three.mean, three.std) == ((120, 110, 100), (60, 50, 40))
    for wrong in ("", "1..2", "127.5", "1,2/3", "1/0", "1/-2", "a/b", "1/2/3", "nan/1", "0/inf"):
        with pytest.raises(ValueError, match="MEAN/STD"):
            parse_preprocessing(wrong)
