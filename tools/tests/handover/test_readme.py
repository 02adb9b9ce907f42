from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.images.decode import open_image
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer_edge.handover.readme import (
    render_classes,
    render_python,
    render_readme,
    write_handover,
)
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos


def write_file(folder: Path, name: str, **options: object) -> Path:
    activation = (
        "linear" if options.get("metadata_kind") in ("regressor", "features") else "softmax"
    )
    preprocessing: Preprocessing | None = photos.MINUS_ONE_TO_ONE
    if name == "in_graph":
        content, preprocessing = photos.float_in_graph(activation), None
    elif name == "core":
        content = photos.float_core()
    elif name == "per_channel":
        content, preprocessing = photos.float_core(photos.PER_CHANNEL), photos.PER_CHANNEL
    else:
        content = photos.quantized(activation, io=name)
    fields: dict[str, object] = {"labels": photos.LABELS, "preprocessing": preprocessing}
    card = ModelCard(name="Six photos", **{**fields, **options})  # type: ignore[arg-type]
    path = folder / "it's a model.tflite"
    path.write_bytes(write_metadata(content, card))
    return path


def code_of(readme: str, language: str) -> str:
    (code,) = [x for x in readme.split("```") if x.startswith(f"{language}\n")]
    return code.removeprefix(f"{language}\n")


def run_python(folder: Path, photo: Path) -> list[tuple[float, str]]:
    code = code_of((folder / "README.md").read_text(encoding="utf-8"), "python")
    assert code == (folder / "run.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "run.py", str(photo)],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    return [(float(score), label) for score, _, label in lines]


@pytest.mark.parametrize("name", ["uint8", "in_graph", "core", "per_channel", "int8"])
def test_the_python_program_says_what_we_say(name: str, tmp_path: Path) -> None:
    path = write_file(tmp_path, name)
    readme, program, kotlin, swift, labels = write_handover(path)
    assert (kotlin.name, swift.name) == ("Classifier.kt", "Classifier.swift")
    assert program == tmp_path / "run.py"
    assert readme == tmp_path / "README.md"
    assert labels.read_bytes().decode().split("\n") == [*photos.LABELS, ""]
    number = photos.LABELS.index("flôwer")
    ours = TFLiteModel(path).score(photos.squares()[number : number + 1])[0]
    printed = run_python(tmp_path, photos.FILES[number])
    order = np.argsort(-ours)[:3]
    assert printed[0][1] == "flôwer"
    assert [score for score, _ in printed] == pytest.approx(ours[order].tolist(), abs=1e-4)
    assert all(
        score == pytest.approx(ours[photos.LABELS.index(x)], abs=1e-4) for score, x in printed
    )


def test_values_are_printed_in_their_order(tmp_path: Path) -> None:
    path = write_file(tmp_path, "in_graph", metadata_kind="regressor")
    write_handover(path)
    printed = run_python(tmp_path, photos.FILES[2])
    ours = TFLiteModel(path).score(photos.squares()[2:3])[0]
    assert [label for _, label in printed] == list(photos.LABELS)
    assert [value for value, _ in printed] == pytest.approx(ours.tolist(), abs=2e-4)


@pytest.mark.parametrize(
    "resize",
    [
        Resize(),
        Resize(fit="crop"),
        Resize(fit="pad"),
        Resize(method="bicubic"),
        Resize(method="area"),
        Resize(antialias=False),
        Resize(method="nearest", antialias=False),
        Resize(fit="crop", antialias=False),
        Resize(fit="pad", antialias=False),
    ],
)
def test_the_python_program_resizes_as_training_does(resize: Resize, tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, "uint8", resize=resize))
    code = render_python(model, file="x.tflite")
    start, end = code.index("photo = "), code.index("pixels = ")
    # `chelsea` is wide, and cats have fur: every wrong resize shows.
    file = photos.FILES[photos.LABELS.index("chelsea")]
    names: dict[str, object] = {}
    imports = "import sys\nfrom PIL import Image, ImageOps\n"
    code = code[start:end].replace("sys.argv[1]", repr(str(file)))
    exec(compile(imports + code, "README.md", "exec"), names)
    from tfxfer.images.decode import resize_image

    ours = resize_image(open_image(file), photos.SIDE, resize).astype(int)
    theirs = np.asarray(names["square"]).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    other = Resize(fit="crop" if resize.fit == "stretch" else "stretch")
    wrong = resize_image(open_image(file), photos.SIDE, other).astype(int)
    assert np.abs(wrong - theirs).mean() > 6


def test_kotlin_and_swift_have_the_real_names(tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, "uint8"))
    readme = render_readme(model, file="six $photos é.tflite", extra="| a | b |")
    classes = render_classes(model, file="six $photos é.tflite")
    kotlin, swift = classes["Classifier.kt"], classes["Classifier.swift"]
    assert 'file: String = "six \\$photos é.tflite"' in kotlin
    assert 'forResource: "six $photos é"' in swift
    assert "const val SIDE = 64" in kotlin
    assert "private let side = 64" in swift
    assert "Classifier.kt" in readme
    assert "Classifier.swift" in readme
    assert "| a | b |" in readme
    assert "0 to 255" in readme
    for text in (readme, kotlin, swift):
        assert "{{" not in text
        assert "{%" not in text
    # What is copied into an app says what it needs, as of when.
    assert "import org.tensorflow.lite.Interpreter" in kotlin
    assert re.search(r"Versions looked up on 20\d\d-\d\d-\d\d", kotlin)
    assert re.search(r'implementation\("com\.google\.ai\.edge\.litert:litert:[\d.]+"\)', kotlin)
    assert "import TensorFlowLite" in swift


@pytest.mark.parametrize(
    ("name", "kotlin_has", "swift_has"),
    [
        ("int8", "input.put((value - 128).toByte())", "Int8(Int(value) - 128)"),
        ("per_channel", "floatArrayOf(124.0f, 116.0f, 104.0f)", "[124.0, 116.0, 104.0]"),
    ],
)
def test_every_input_is_in_every_language(
    name: str, kotlin_has: str, swift_has: str, tmp_path: Path
) -> None:
    classes = render_classes(TFLiteModel(write_file(tmp_path, name)), file="x.tflite")
    assert kotlin_has in classes["Classifier.kt"]
    assert swift_has in classes["Classifier.swift"]


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_other_fits_are_in_every_language(fit: str, tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, "uint8", resize=Resize(fit=fit)))
    classes = render_classes(model, file="x.tflite")
    assert {"crop": "(upright.width - cut) / 2", "pad": "Canvas(photo)"}[fit] in classes[
        "Classifier.kt"
    ]
    assert {"crop": "max(frame.width /", "pad": "min(frame.width /"}[fit] in classes[
        "Classifier.swift"
    ]


def test_a_line_break_in_a_name_leaves_no_comment(tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, "uint8"))
    for text in render_classes(model, file="a\nfun evil() = 0\n.tflite").values():
        assert "\nfun evil" not in text


def test_a_feature_vector_has_no_labels(tmp_path: Path) -> None:
    path = write_file(tmp_path, "in_graph", metadata_kind="features", labels=())
    written = write_handover(path)
    names = ["README.md", "run.py", "Predictor.kt", "Predictor.swift"]
    assert [path.name for path in written] == names
    assert not (tmp_path / "labels.txt").exists()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "labels" not in code_of(text, "python")


def test_without_metadata_there_is_nothing_to_say(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(photos.quantized())
    with pytest.raises(ModelError, match=r"expected a file with metadata"):
        write_handover(path)
    assert list(tmp_path.iterdir()) == [path]
