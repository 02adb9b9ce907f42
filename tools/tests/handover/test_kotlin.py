"""The class for Android, compiled against what it uses of Android and run on pixels.

Needs `kotlinc`, which `npm install kotlin-compiler` brings, and Java; `KOTLINC` names it where it
is not on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.preprocessing import Resize
from tfxfer_edge.handover.readme import write_handover
from tfxfer_edge.handover.texts import render_texts
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel

from .. import photo_classifier as photos
from .test_readme import write_file

STUBS = Path(__file__).parent / "android"
MAIN = """
import android.content.Context
import android.content.res.AssetManager
import android.graphics.Bitmap
import java.io.File
import java.nio.ByteBuffer

fun main(args: Array<String>) {
    val (width, height, degrees) = args.map { it.toInt() }
    val pixels = ByteBuffer.wrap(File("photo.bin").readBytes()).asIntBuffer()
    val colors = IntArray(width * height) { pixels.get(it) }
    KLASS(Context(AssetManager(File(".")))).use { model ->
        val found = model.VERB(Bitmap(width, height, colors), degrees)
        SHOW
    }
}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kotlinc() -> str:
    found = os.environ.get("KOTLINC") or shutil.which("kotlinc")
    if found is None or shutil.which("java") is None:
        pytest.skip("kotlinc or java is not here: npm install kotlin-compiler")
    return found


@pytest.fixture(scope="module")
def stubs(kotlinc: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    jar = tmp_path_factory.mktemp("stubs") / "stubs.jar"
    compile_kotlin(kotlinc, jar, *sorted(STUBS.glob("*.kt")))
    return jar


def compile_kotlin(kotlinc: str, out: Path, *sources: Path, stubs: Path | None = None) -> None:
    path = [] if stubs is None else ["-classpath", str(stubs)]
    done = subprocess.run(
        [kotlinc, *map(str, sources), *path, "-Werror", "-include-runtime", "-d", str(out)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def run_class(
    folder: Path, kotlinc: str, stubs: Path, photo: np.ndarray, *, degrees: int = 0,
    labels: bool = True,
) -> list[str]:  # fmt: skip
    """Compiles the class of a folder and runs it there; returns the lines that it prints."""
    (source,) = [path for path in folder.glob("*.kt") if path.stem != "main"]
    show = 'for ((label, score) in found) println("$score $label")'
    code = MAIN.replace("KLASS", source.stem)
    code = code.replace("VERB", "classify" if source.stem == "Classifier" else "predict")
    code = code.replace("SHOW", show if labels else 'println(found.joinToString("\\n"))')
    (folder / "main.kt").write_text(code)
    red, green, blue = (photo[..., channel].astype(np.int64) for channel in range(3))
    colors = (255 << 24) | (red << 16) | (green << 8) | blue
    (folder / "photo.bin").write_bytes(colors.astype(">u4").tobytes())
    compile_kotlin(kotlinc, folder / "app.jar", source, folder / "main.kt", stubs=stubs)
    height, width = photo.shape[:2]
    path = f"{folder / 'app.jar'}:{stubs}"
    done = subprocess.run(
        ["java", "-cp", path, "MainKt", str(width), str(height), str(degrees)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def prepare(folder: Path, name: str, **options: Any) -> TFLiteModel:
    path = write_file(folder, name, **options)
    write_handover(path)
    return TFLiteModel(path)


def answer(folder: Path, model: TFLiteModel, photo: np.ndarray) -> np.ndarray:
    """Puts the file's own output where the stub of the interpreter finds it; returns the scores."""
    from tfxfer_edge.tflite.runtime import load_interpreter

    interpreter = load_interpreter(model.content)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], model.encode(photo[None]))
    interpreter.invoke()
    raw = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    (folder / "output.bin").write_bytes(np.ascontiguousarray(raw).tobytes())
    return model.score(photo[None])[0]


@pytest.mark.parametrize("name", ["uint8", "int8", "in_graph", "core", "per_channel"])
def test_the_input_is_what_training_saw(
    name: str, kotlinc: str, stubs: Path, tmp_path: Path
) -> None:
    model = prepare(tmp_path, name)
    photo = photos.squares()[2]
    scores = answer(tmp_path, model, photo)
    lines = run_class(tmp_path, kotlinc, stubs, photo)
    fed = np.frombuffer((tmp_path / "input.bin").read_bytes(), model.input.dtype)
    wanted = model.encode(photo[None])
    assert fed.reshape(wanted.shape) == pytest.approx(wanted, abs=1e-5)
    assert not np.allclose(fed.reshape(wanted.shape), wanted[..., ::-1], atol=1e-5)
    order = np.argsort(-scores, kind="stable")
    assert [line.split(" ", 1)[1] for line in lines] == [photos.LABELS[i] for i in order]
    printed = [float(line.split()[0]) for line in lines]
    assert printed == pytest.approx(scores[order].tolist(), abs=1e-5)


def test_only_the_labels_that_hold(kotlinc: str, stubs: Path, tmp_path: Path) -> None:
    model = prepare(tmp_path, "in_graph", metadata_kind="multilabel_classifier", threshold=0.2)
    photo = photos.squares()[1]
    scores = answer(tmp_path, model, photo)
    lines = run_class(tmp_path, kotlinc, stubs, photo)
    assert len(lines) == (scores >= 0.2).sum()
    assert 0 < len(lines) < len(scores)


def test_values_without_labels(kotlinc: str, stubs: Path, tmp_path: Path) -> None:
    model = prepare(tmp_path, "in_graph", metadata_kind="features", labels=())
    assert (tmp_path / "Predictor.kt").is_file()
    photo = photos.squares()[1]
    scores = answer(tmp_path, model, photo)
    lines = run_class(tmp_path, kotlinc, stubs, photo, labels=False)
    assert [float(line) for line in lines] == pytest.approx(scores.tolist(), abs=1e-5)


def test_a_photo_is_turned_upright(kotlinc: str, stubs: Path, tmp_path: Path) -> None:
    model = prepare(tmp_path, "uint8")
    photo = photos.squares()[2]
    answer(tmp_path, model, photo)
    # As a camera holds it: a quarter against the clock.
    run_class(tmp_path, kotlinc, stubs, np.rot90(photo), degrees=90)
    fed = np.frombuffer((tmp_path / "input.bin").read_bytes(), np.uint8)
    assert (fed.reshape(photo.shape) == photo).all()


@pytest.mark.parametrize(("fit", "black"), [("crop", False), ("pad", True), ("stretch", False)])
def test_a_wide_photo_becomes_the_square(
    fit: str, black: bool, kotlinc: str, stubs: Path, tmp_path: Path
) -> None:
    resize = Resize(fit=fit, antialias=False, method="nearest")
    model = prepare(tmp_path, "uint8", resize=resize)
    side = model.image_size
    photo = np.full((side, 3 * side, 3), 40, np.uint8)
    photo[:, side : 2 * side] = 200  # the middle
    answer(tmp_path, model, photo[:, :side])
    run_class(tmp_path, kotlinc, stubs, photo)
    fed = np.frombuffer((tmp_path / "input.bin").read_bytes(), np.uint8).reshape(side, side, 3)
    assert (fed[0] == 0).all() == black
    shares = {"crop": 1.0, "stretch": 1 / 3, "pad": 1 / 9}
    assert (fed == 200).mean() == pytest.approx(shares[fit], abs=0.04)


def test_texts(kotlinc: str, stubs: Path, tmp_path: Path) -> None:
    card = ModelCard(
        "Spam", labels=("ham", "spam"), modality="text", size=16, contract={"lowercase": True}
    )
    end = SimpleNamespace(shape=(1, 2), dtype="float32", is_quantized=False)
    model: Any = SimpleNamespace(
        card=card, content=b"", inputs=[end], outputs=2, output=end, source="spam.tflite"
    )
    texts = render_texts(model, file="spam.tflite", extra="")
    (tmp_path / "Classifier.kt").write_text(texts["Classifier.kt"])
    (tmp_path / "main.kt").write_text(
        "import android.content.Context\nimport android.content.res.AssetManager\n"
        'import java.io.File\n\nfun main() = Classifier(Context(AssetManager(File(".")))).use {\n'
        '    for ((label, score) in it.classify("win")) println("$score $label")\n}\n'
    )
    sources = [tmp_path / "Classifier.kt", tmp_path / "main.kt"]
    compile_kotlin(kotlinc, tmp_path / "app.jar", *sources, stubs=stubs)
    done = subprocess.run(
        ["java", "-cp", f"{tmp_path / 'app.jar'}:{stubs}", "MainKt"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["0.75 spam", "0.25 ham"]
