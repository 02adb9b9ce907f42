"""`tfxfer gap` on a backbone that remembers what it was trained on: blobs of colour."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import (
    DataError,
    Registry,
    RunDirectory,
    RunError,
    UsageError,
    WeightsError,
    load_images,
    load_model,
    load_run,
    measure_gap,
)
from tfxfer.data.sources import read_source
from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.registry.discovery import find_entry_points
from tfxfer.registry.lookup import default_registry
from tfxfer.run.directory import Manifest, WeightsUsed
from tfxfer.trust.gap import find_gap
from tfxfer.trust.profile import GapProfile
from tfxfer.trust.subject import open_run_subject
from tfxfer.weights import file_sha256

Run = Callable[..., Any]

BACKBONE = """
import numpy as np

from tfxfer import Backbone, Preprocessing, Stage


class Settled(Backbone):
    name = "double_settled"
    family = "double"
    default_image_size = 32
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    stages = tuple(Stage(f"block_{n}", f"block_{n}_relu") for n in (1, 2))

    def build(self, inputs):
        from keras import layers

        x = inputs
        for n in (1, 2):
            x = layers.Conv2D(8, 3, strides=2, padding="same", name=f"block_{n}_conv")(x)
            x = layers.BatchNormalization(name=f"block_{n}_bn")(x)
            x = layers.ReLU(name=f"block_{n}_relu")(x)
        return x

    def load_weights(self, model, path):
        arrays = np.load(path)
        for layer in model.layers:
            if layer.name.endswith(("conv", "bn")):
                count = len(layer.weights)
                layer.set_weights([arrays[f"{layer.name}_{n}"] for n in range(count)])
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    site = tmp_path_factory.mktemp("settled")
    (site / "double_settled.py").write_text(BACKBONE)
    point = EntryPoint("double_settled", "double_settled:Settled", "tfxfer.backbones")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield Registry([*find_entry_points(), point])


@pytest.fixture(scope="module")
def file(registry: Registry, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose statistics are those of the photos."""
    import keras

    from tfxfer import build_model
    from tfxfer.inference.reading import open_stream
    from tfxfer.stages import get_info

    model = build_model(
        "double_settled", labels=["a", "b"], weights=None, registry=registry, seed=3
    )
    info = get_info(model)
    stream = open_stream(photos, modality=info.modality, size=32, contract=info.preprocessing)
    (pixels,) = stream.iter_batches(100)
    arrays = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            inner = keras.Model(model.inputs[0], layer.input)
            values = np.asarray(inner(np.asarray(pixels, np.float32), training=False))
            layer.moving_mean.assign(values.mean((0, 1, 2)))
            layer.moving_variance.assign(values.var((0, 1, 2)))
        for number, weight in enumerate(layer.get_weights()):
            arrays[f"{layer.name}_{number}"] = weight
    path = tmp_path_factory.mktemp("weights") / "settled.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for number in range(30):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return root


@pytest.fixture
def gap(tfxfer: Run, registry: Registry, file: Path) -> Run:
    """Runs `tfxfer gap` with that backbone."""
    options = ("--backbone", "double_settled", "--weights", file)
    return lambda *args: tfxfer("gap", *args, *options, registry=registry)


def make_run(path: Path, photos: Path, file: Path, **changes: Any) -> RunDirectory:
    """Writes what a finished training says of itself; its model is not asked."""
    run = RunDirectory.create(path)
    backbone = default_registry().load_backbone("double_vivid")
    preprocessing = type(backbone.preprocessing).from_mean_std(mean=127.5, std=127.5)
    options: dict[str, Any] = {
        "backbone": "double_settled",
        "head": "classification",
        "labels": ("apple", "mango", "zebra"),
        "status": "done",
        "size": 32,
        "preprocessing": preprocessing.to_dict(),
        "weights": WeightsUsed(str(file), file_sha256(file), "user"),
        "request": {"data": str(photos), "weights": str(file)},
    }
    run.write_manifest(Manifest(**{**options, **changes}))
    paths = sorted(x.relative_to(photos).as_posix() for x in photos.rglob("*.*g"))[:30]
    write_split_table(run.split_path, [SplitRow(x, x.partition("/")[0], "train", x) for x in paths])
    return run


def test_what_is_known_is_near_and_noise_is_far(
    gap: Run, photos: Path, noise: Path, tmp_path: Path
) -> None:
    table = tmp_path / "gap.csv"
    done = gap(photos, "--json", "--csv", table)
    assert done.code == 0, done.stderr
    known = done.document
    assert known["mean"] < 0.02
    assert known["verdict"][0].startswith("near: 0.0")
    assert [(x["name"], x["depth"]) for x in known["stages"]] == [
        ("block_1", pytest.approx(1 / 3)),
        ("block_2", pytest.approx(2 / 3)),
    ]
    assert (known["images"], known["size"], known["reason"]) == (36, 32, "")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["block_1", "block_2"]
    assert float(rows[1]["distance"]) == known["stages"][1]["distance"]
    again = gap(photos, "--csv", table)
    assert (again.code, "--overwrite" in again.error) == (1, True)

    said = gap(noise)
    assert said.code == 0, said.stderr
    assert "30 images: distance from what double_settled" in said.stdout
    lines = said.stdout.splitlines()
    assert any(line.startswith("block_1 ") and line.endswith("#") for line in lines)
    assert gap(noise, "--json").document["mean"] > 0.3


def test_two_sets_are_compared(gap: Run, photos: Path, noise: Path, tmp_path: Path) -> None:
    done = gap(photos, noise, "--json")
    assert done.code == 0, done.stderr
    document = done.document
    assert document["p_value"] == 0.001
    assert document["verdict"].startswith(f"{photos.name} and {noise.name} differ (p = 0.001)")
    assert document["a"]["mean"] < document["b"]["mean"]
    assert (document["images_a"], document["images_b"]) == (36, 30)
    for number, path in enumerate(sorted(photos.rglob("*.*g"))):
        half = tmp_path / f"half_{number // 2 % 2}"
        half.mkdir(exist_ok=True)
        shutil.copy(path, half / f"{number}{path.suffix}")
    said = gap(tmp_path / "half_0", tmp_path / "half_1")
    assert "no difference between half_0 and half_1 can be seen with 18 and 18" in said.stdout
    assert any(x.split() == ["STAGE", "DEPTH", "half_0", "half_1"] for x in said.stdout.split("\n"))


def test_a_run_is_measured_as_it_began(
    tfxfer: Run, registry: Registry, file: Path, photos: Path, noise: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", photos, file)
    assert GapProfile.read(run.trust) is None
    done = tfxfer("gap", run.path, "--json", registry=registry)
    assert done.code == 0, done.stderr
    assert done.document["images"] == 30  # of its split, not all there are
    stored = json.loads((run.trust / "gap.json").read_text())
    assert stored == {key: x for key, x in done.document.items() if key != "verdict"}
    found = find_gap(run, registry=registry)
    assert found.to_dict() == stored
    # It was read: a record that is another one is told.
    (run.trust / "gap.json").write_text('{"backbone": "x"}')
    with pytest.raises(RunError, match="gap record lacks a key"):
        find_gap(run, registry=registry)
    (run.trust / "gap.json").unlink()
    with pytest.raises(UsageError, match=r"at most 1,024 images"):
        find_gap(run, images=1025, registry=registry)
    assert find_gap(run, images=20, registry=registry).images == 20
    assert GapProfile.read(run.trust).images == 20  # type: ignore[union-attr]
    both = tfxfer("gap", run.path, noise, "--json", registry=registry)
    assert both.document["p_value"] == 0.001


def test_a_run_without_a_path_gets_its_data_from_who_knows_it(
    tfxfer: Run,
    registry: Registry,
    file: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(
        tmp_path / "run", photos, file, request={"data": "demo:photos", "weights": str(file)}
    )
    with pytest.raises(DataError, match="demo:photos"):
        find_gap(run, registry=registry)
    source = read_source(photos, default_registry().load_modality("image"))
    assert find_gap(run, source=source, registry=registry).images == 30
    stored = {"demo:photos": source}
    monkeypatch.setattr("tfxfer.job.demo.stored_source", lambda data, _: stored[data])
    done = tfxfer("gap", run.path, "--images", 9, "--json", registry=registry)
    assert done.code == 0, done.stderr
    assert done.document["images"] == 9


def test_what_training_writes_of_a_run_is_enough(
    learnt: tuple[Path, Any], tfxfer: Run, noise: Path
) -> None:
    run = load_run(learnt[0])
    assert "random" in find_gap(run).reason  # its backbone was never taught anything
    subject = open_run_subject(run)
    assert subject.weights.sha256 == run.read_manifest().weights.sha256  # type: ignore[union-attr]
    done = tfxfer("gap", learnt[0], noise, "--json")
    assert done.code == 0, done.stderr
    assert done.document["p_value"] == 0.001


def test_every_training_stores_it_of_the_network_as_it_began(
    tfxfer: Run, registry: Registry, file: Path, tmp_path: Path, photos: Path
) -> None:
    dark, out = tmp_path / "dark", tmp_path / "run"
    shutil.copytree(photos, dark)
    for path in dark.rglob("*.png"):
        Image.open(path).point(lambda value: value // 2).save(path)
    done = tfxfer(
        "train", dark, "--backbone", "double_settled", "--weights", file, "--head-epochs", 1,
        "--epochs", 3, "--unfreeze-from", "block_1", "--views", 1, "--no-report", "--out", out,
        registry=registry,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    run = load_run(out)
    stored = GapProfile.read(run.trust)
    assert stored is not None
    assert stored.images == run.read_manifest().data.images  # type: ignore[union-attr]
    # The same as of the weights that the run began with, which what it made of them is not.
    (run.trust / "gap.json").unlink()
    began = [stage.distance for stage in find_gap(run, registry=registry).stages]
    distances = [stage.distance for stage in stored.stages]
    assert min(distances) > 0
    assert distances == pytest.approx(began, rel=1e-5)
    trained = measure_gap(load_model(out, registry=registry), load_images(dark, image_size=32))
    assert trained.stages[-1].distance != pytest.approx(distances[-1], rel=1e-4)


def test_a_run_that_cannot_be_measured_says_why(
    registry: Registry, file: Path, photos: Path, noise: Path, tmp_path: Path
) -> None:
    other = WeightsUsed(str(file), "0" * 64, "user")
    with pytest.raises(WeightsError, match="weights that it began with"):
        find_gap(make_run(tmp_path / "other", photos, file, weights=other), registry=registry)
    gone = {"data": str(tmp_path / "gone"), "weights": str(file)}
    with pytest.raises(DataError, match="nothing at that path"):
        find_gap(make_run(tmp_path / "a", photos, file, request=gone), registry=registry)
    moved = {"data": str(noise), "weights": str(file)}
    with pytest.raises(DataError, match="images"):
        find_gap(make_run(tmp_path / "b", photos, file, request=moved), registry=registry)
    with pytest.raises(RunError, match="no run at"):
        measure_gap(tmp_path / "nowhere", photos)


def test_weights_that_remember_nothing_say_so(
    tfxfer: Run, weights: Path, photos: Path, noise: Path
) -> None:
    options = ("--backbone", "double_vivid", "--weights", weights)
    done = tfxfer("gap", photos, *options, "--json")
    assert done.code == 1
    assert "know no images yet" in done.document["error"]["message"]
    assert (done.document["stages"], done.document["mean"]) == ([], None)
    both = tfxfer("gap", photos, noise, *options)
    assert both.code == 0, both.stderr
    assert (
        both.stderr.count("the domain gap cannot be had: the weights of double_vivid are random")
        == 1
    )
    assert "differ (p = 0.001)" in both.stdout


def test_the_most_that_is_drawn_is_one_number(gap: Run, photos: Path) -> None:
    from tfxfer.trust.gap import MOST_IMAGES

    done = gap(photos, "--images", MOST_IMAGES + 1)
    assert done.code == 2
    assert f"2<=x<={MOST_IMAGES}" in done.error


def test_a_broken_file_costs_its_own_line(gap: Run, photos: Path, tmp_path: Path) -> None:
    for path in sorted(photos.rglob("*.png")):
        shutil.copy(path, tmp_path / f"{path.parent.name}_{path.name}")
    (tmp_path / "broken.png").write_bytes(b"no image")
    done = gap(tmp_path)
    assert done.code == 0, done.stderr
    assert "1 of 19 images left out" in done.stderr
    assert "broken.png" in done.stderr
