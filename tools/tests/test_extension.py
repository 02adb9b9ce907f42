"""A class is added to an exported file of class means, from a few photos and without training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.cli.main import run as run_cli
from tfxfer.errors import DataError, ModelError, RunError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer_edge import TFLiteModel, add_class, convert, read_metadata, write_metadata
from tfxfer_edge.proof.mediapipe import MediaPipeClassifier
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.flatbuffer import list_operators
from tfxfer_edge.tflite.last_layer import read_dense
from tfxfer_heads import Prototype

COLOURS = {"amber": (230, 160, 20), "green": (30, 190, 40), "violet": (120, 40, 200)}
CLASSES = tuple(COLOURS)
NEW = "flôwer"
SIDE = 64


def paint(colour: tuple[int, int, int], count: int, *, seed: int) -> np.ndarray:
    """Returns photos that have a colour in common."""
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.normal(0, 35, (count, 8, 8, 3)), np.ones((1, SIDE // 8, SIDE // 8, 1)))
    pixels = np.array(colour) + rng.uniform(-40, 40, (count, 1, 1, 1)) + patches
    return np.clip(pixels, 0, 255).round().astype(np.uint8)


def paint_known(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    parts = [paint(COLOURS[name], count, seed=seed + n) for n, name in enumerate(CLASSES)]
    return np.concatenate(parts), np.repeat(np.arange(3), count)


NEW_PHOTOS = paint((20, 60, 220), 6, seed=40)


@pytest.fixture(scope="module")
def backbone(small: Any) -> Any:
    """The small network up to its pooled features."""
    import keras

    return keras.Model(small.inputs[0], small.get_layer("pool").output)


def fit_layer(backbone: Any, metric: str, pixels: np.ndarray, classes: np.ndarray) -> Any:
    features = np.asarray(backbone(pixels.astype(np.float32)))
    targets = np.eye(classes.max() + 1)[classes]
    zeros = [np.zeros((features.shape[1], targets.shape[1])), np.zeros(targets.shape[1])]
    return Prototype(metric=metric).closed_form().fit(features, targets, zeros)


@pytest.fixture(scope="module")
def make_file(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Returns a function that writes a file of three class means."""
    import keras

    made: dict[tuple[str, str], Path] = {}

    def make(recipe: str, metric: str = "cosine", *, head: str | None = "prototype") -> Path:
        key = (recipe, f"{metric}{head}")
        if key not in made:
            pixels, classes = paint_known(8, seed=0)
            dense = keras.layers.Dense(3, name="head_dense")
            scores = keras.layers.Activation("softmax")(dense(backbone.outputs[0]))
            model = keras.Model(backbone.inputs[0], scores)
            dense.set_weights(fit_layer(backbone, metric, pixels, classes))
            found = convert(
                model,
                recipe=recipe.partition(":")[0],
                io=recipe.partition(":")[2] or None,  # type: ignore[arg-type]
                preprocessing="in_graph",
                calibration=paint_known(8, seed=9)[0],
            )
            card = ModelCard(
                name="colours",
                description=f"prototype into 3 outputs; {recipe}",
                labels=CLASSES,
                preprocessing=found.normalization,
                head=head,
                head_options={} if head is None else {"metric": metric},
            )
            path = tmp_path_factory.mktemp("files") / f"model_{recipe.replace(':', '_')}.tflite"
            path.write_bytes(write_metadata(found.content, card))
            made[key] = path
        return made[key]

    return make


def score(path: Path, pixels: np.ndarray) -> np.ndarray:
    return TFLiteModel(path).score(pixels)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_it_answers_as_if_the_class_had_been_there(
    make_file: Any, backbone: Any, metric: str, tmp_path: Path
) -> None:
    before = make_file("float32", metric)
    after = add_class(before, NEW, NEW_PHOTOS, tmp_path / "more")
    pixels, classes = paint_known(8, seed=0)
    whole, bias = fit_layer(
        backbone, metric,
        np.concatenate([pixels, NEW_PHOTOS]), np.concatenate([classes, np.full(6, 3)]),
    )  # fmt: skip
    kernel, added = read_dense(after.read_bytes())
    ratio = np.linalg.norm(kernel[:, 0]) / np.linalg.norm(whole[:, 0])
    np.testing.assert_allclose(kernel, ratio * whole, rtol=1e-3, atol=1e-3 * np.abs(kernel).max())
    np.testing.assert_allclose(added, ratio * bias, rtol=1e-3, atol=1e-4)
    # The rows that it had are those that it has.
    earlier, theirs = read_dense(before.read_bytes())
    np.testing.assert_array_equal(kernel[:, :3], earlier)
    np.testing.assert_array_equal(added[:3], theirs)
    assert list_operators(after.read_bytes()) == list_operators(before.read_bytes())


@pytest.mark.parametrize(
    "recipe",
    ["float32", "float16", "dynamic_w8", "w8", "int8", "int8:int8", "int8:float32", "int16x8"],
)
def test_old_classes_keep_their_answers_and_the_new_one_is_known(
    make_file: Any, recipe: str, tmp_path: Path
) -> None:
    before = make_file(recipe)
    after = add_class(before, NEW, NEW_PHOTOS, tmp_path / "more")
    pixels, classes = paint_known(20, seed=100)
    first, second = score(before, pixels), score(after, pixels)
    assert second.shape == (60, 4)
    assert (first.argmax(axis=1) == classes).mean() > 0.9
    # Among the classes that it knew, the shares are what they were.
    shares = second[:, :3] / second[:, :3].sum(axis=1, keepdims=True)
    exact = recipe in ("float32", "float16", "dynamic_w8")
    sure = second[:, :3].sum(axis=1) > 0.3
    assert sure.mean() > 0.8
    assert np.abs(shares - first)[sure].max() < (1e-4 if exact else 0.06)
    others = paint((20, 60, 220), 20, seed=77)
    assert (score(after, others).argmax(axis=1) == 3).mean() > 0.9
    assert (second.argmax(axis=1) == classes).mean() > 0.9


def test_what_the_file_says_of_itself_follows(make_file: Any, tmp_path: Path) -> None:
    before = make_file("int8")
    whole = before.read_bytes()
    after = add_class(before, NEW, NEW_PHOTOS, tmp_path / "more")
    assert before.read_bytes() == whole
    assert after == tmp_path / "more" / before.name
    assert sorted(x.name for x in after.parent.iterdir()) == [
        "Classifier.kt", "Classifier.swift", "README.md", "labels.txt", before.name, "run.py",
    ]  # fmt: skip
    assert (after.parent / "labels.txt").read_text(encoding="utf-8").split("\n") == [
        *CLASSES, NEW, "",
    ]  # fmt: skip
    card, earlier = read_metadata(after.read_bytes()), read_metadata(whole)
    assert card is not None
    assert earlier is not None
    assert card.labels == (*CLASSES, NEW)
    assert card.description == "prototype into 4 outputs; int8"
    assert card.preprocessing == earlier.preprocessing
    # And another can be added to it.
    again = add_class(after, "grey", paint((128, 128, 128), 3, seed=5), tmp_path / "five")
    assert score(again, NEW_PHOTOS).shape == (6, 5)
    assert load_predictor(again).labels == (*CLASSES, NEW, "grey")


@pytest.mark.parametrize("recipe", ["float32", "int8"])
def test_mediapipe_names_the_new_class(make_file: Any, recipe: str, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    path = add_class(make_file(recipe), NEW, NEW_PHOTOS, tmp_path / "more")
    pixels = np.concatenate([NEW_PHOTOS[:2], paint_known(1, seed=100)[0]])
    with MediaPipeClassifier(TFLiteModel(path)) as client:
        answers = [client.classify(image) for image in pixels]
    assert {names for _, names in answers} == {(*CLASSES, NEW)}
    assert [names[scores.argmax()] for scores, names in answers] == [NEW, NEW, *CLASSES]


def test_a_temperature_is_found_from_the_file(make_file: Any, backbone: Any) -> None:
    """Whatever divided the logits divides those of the new class."""
    kernel, bias = read_dense(make_file("float32", "euclidean").read_bytes())
    form = Prototype(metric="euclidean").closed_form()
    features = np.asarray(backbone(NEW_PHOTOS.astype(np.float32)))
    rows = [form.add_label([kernel / t, bias / t], features) for t in (1.0, 3.0)]
    np.testing.assert_allclose(rows[0][0], 3 * rows[1][0], rtol=1e-6)
    np.testing.assert_allclose(rows[0][1], 3 * rows[1][1], rtol=1e-6)


def test_the_work_is_one_look_at_each_sample(
    make_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second, and no clock to say so: how often the network runs, and that nothing trains."""
    from tfxfer_edge.tflite import runtime

    path = make_file("float32")
    runs: list[int] = []
    load = runtime.load_interpreter

    class Counting:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def invoke(self) -> None:
            runs.append(1)
            self._inner.invoke()

    def count(*args: Any, **options: Any) -> Any:
        return Counting(load(*args, **options))

    for module in ("sample_model", "probe"):
        monkeypatch.setattr(f"tfxfer_edge.tflite.{module}.load_interpreter", count)
    monkeypatch.setattr("keras.Model.fit", None)
    add_class(path, NEW, NEW_PHOTOS, tmp_path / "six")
    # The network runs once for each sample, and twice to show that its metadata changed nothing.
    assert len(runs) == len(NEW_PHOTOS) + 2
    runs.clear()
    add_class(path, NEW, NEW_PHOTOS[:1], tmp_path / "one")
    assert len(runs) == 1 + 2


def test_photos_as_files_are_learnt_from(make_file: Any, tmp_path: Path) -> None:
    (tmp_path / "blue").mkdir()
    for number, pixels in enumerate(NEW_PHOTOS):
        Image.fromarray(pixels).save(tmp_path / "blue" / f"{number}.png")
    path = add_class(make_file("float32"), NEW, tmp_path / "blue", tmp_path / "more")
    arrays = add_class(make_file("float32"), NEW, NEW_PHOTOS, tmp_path / "arrays")
    np.testing.assert_allclose(
        read_dense(path.read_bytes())[0], read_dense(arrays.read_bytes())[0], atol=1e-5
    )
    (answer,) = predict(load_predictor(path), [tmp_path / "blue" / "0.png"])
    assert answer["label"] == NEW


def test_the_command_does_the_same(
    make_file: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, pixels in zip(files, NEW_PHOTOS, strict=False):
        Image.fromarray(pixels).save(file)
    path, out = make_file("float32"), tmp_path / "out"
    words = ["add-class", str(path), NEW, *map(str, files), "--out", str(out)]
    assert run_cli([*words, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["labels"] == [*CLASSES, NEW]
    ours = add_class(path, NEW, files, tmp_path / "python")
    assert Path(document["path"]).read_bytes() == ours.read_bytes()
    assert document["bytes"] == ours.stat().st_size
    assert run_cli(words) == 1
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("error: add_class: expected a folder that can be made")


def test_what_cannot_be_added_is_told_in_one_line(make_file: Any, tmp_path: Path) -> None:
    path, out = make_file("float32"), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"no photo")
    (tmp_path / "text.txt").write_text("words")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    refused: list[tuple[tuple[Any, ...], type[Exception], str]] = [
        ((path, "violet", NEW_PHOTOS, out), DataError, "a class that model .* does not have"),
        ((path, "Violet", NEW_PHOTOS, out), DataError, "which it has as 'violet'"),
        ((path, " ", NEW_PHOTOS, out), DataError, "labels of one line that are not blank"),
        ((path, NEW, NEW_PHOTOS[:0], out), DataError, r"Received: 0"),
        ((path, NEW, [], out), DataError, "Received: "),
        ((path, NEW, tmp_path / "empty", out), DataError, "Received: "),
        ((path, NEW, tmp_path / "broken.png", out), DataError, "broken.png"),
        ((path, NEW, tmp_path / "text.txt", out), DataError, "text.txt"),
        ((path, NEW, NEW_PHOTOS[:, :32], out), DataError, "as the model's input"),
        ((path, NEW, NEW_PHOTOS, tmp_path / "full"), RunError, "which is there"),
        ((tmp_path / "text.txt", NEW, NEW_PHOTOS, out), ModelError, "TFL3"),
        (
            (make_file("float32", head=None), NEW, NEW_PHOTOS, out),
            ModelError,
            "a head whose layer follows from class means.* --head prototype",
        ),
        (
            (make_file("float32", "cosine", head="classification"), NEW, NEW_PHOTOS, out),
            Exception,
            "classification",
        ),
    ]
    for arguments, kind, words in refused:
        with pytest.raises(kind, match=words) as caught:
            add_class(*arguments)
        assert "\n" not in str(caught.value)
        assert not out.exists()


def test_a_file_that_was_trained_on_is_refused(make_file: Any, tmp_path: Path) -> None:
    """Its card says class means, and its layer is of none."""
    wrong = tmp_path / "wrong.tflite"
    content = make_file("float32").read_bytes()
    card = read_metadata(content)
    assert card is not None
    wrong.write_bytes(write_metadata(content, replace(card, head_options={"metric": "euclidean"})))
    with pytest.raises(ModelError, match="a layer of class means, metric=euclidean"):
        add_class(wrong, NEW, NEW_PHOTOS, tmp_path / "out")


@pytest.mark.slow
def test_a_run_of_class_means_becomes_such_a_file(colour_run: Any, tmp_path: Path) -> None:
    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run
    from tfxfer_edge import export

    photos = Path(colour_run.read_manifest().request["data"])
    request = TrainRequest(
        data=str(photos), backbone="efficientnet_lite0", head="prototype", size=48,
        schedule="head", augment="none",
    )  # fmt: skip
    run = train_run(prepare(request), tmp_path / "run")
    assert run.read_manifest().metrics["test"]["accuracy"]["value"] == 1
    export(run, tmp_path / "edge", recipes=("float32", "int8"), calibration_images=20)
    operators = list_operators((tmp_path / "edge" / "model_float32.tflite").read_bytes())
    assert operators[-2:] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert operators.count("FULLY_CONNECTED") == 1
    (tmp_path / "teal").mkdir()
    rng = np.random.default_rng(1)
    for number in range(5):
        pixels = np.clip(np.array((20, 120, 130)) + rng.normal(0, 25, (48, 48, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "teal" / f"{number}.png")
    for recipe in ("float32", "int8"):
        path = add_class(
            tmp_path / "edge" / f"model_{recipe}.tflite", "teal", tmp_path / "teal",
            tmp_path / recipe,
        )  # fmt: skip
        predictor = load_predictor(path)
        (answer,) = predict(predictor, [tmp_path / "teal" / "0.png"])
        assert answer["label"] == "teal"
        for label in COLOURS:
            (answer,) = predict(predictor, [next((photos / label).iterdir())])
            assert answer["label"] == label
        known = predictor.provenance
        earlier = load_predictor(tmp_path / "edge" / f"model_{recipe}.tflite").provenance
        assert known is not None
        assert earlier is not None
        assert len(known) == len(earlier) + 5
    document = json.loads((tmp_path / "edge" / "export.json").read_text())
    assert {x["recipe"]: x["passed"] for x in document["candidates"]} == {
        "float32": True, "int8": True,
    }  # fmt: skip
