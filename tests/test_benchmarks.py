"""What the scripts of benchmarks/ count and claim, on records made up here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Callable[[str], Any]:
    return import_script


@pytest.fixture
def claims(script: Callable[[str], Any]) -> Any:
    return script("claims")


def run(*accuracies: float, step_s: float, cores: int = 2) -> dict[str, Any]:
    """Returns a record of one epoch each `step_s` seconds."""
    epochs = [
        {"seconds": step_s * number, "val_accuracy": value}
        for number, value in enumerate(accuracies, 1)
    ]
    score = {"accuracy": {"value": accuracies[-1]}, "macro_f1": {"value": accuracies[-1] / 2}}
    return {
        "epochs": epochs,
        "seconds": epochs[-1]["seconds"],
        "cores": cores,
        "images": {"train": 96, "test": 100},
        "test": score,
        "head_test": {"accuracy": {"value": 1.0}, "macro_f1": {"value": 1.0}},
    }


def test_speed_is_the_time_until_their_best_is_first_reached(claims: Any) -> None:
    runs = {
        "photos/0/ours": run(0.5, 0.8, 0.9, step_s=10),
        "photos/0/guide_head": run(0.6, 0.8, 0.7, step_s=100),
        "photos/1/ours": run(0.9, 0.9, step_s=10),
        "photos/1/guide_head": run(0.6, 0.7, 0.8, step_s=100),
    }
    best, whole = claims.compare_speed(runs)
    # Seed 0: 200 s against 20 s; seed 1: 300 s against 10 s.
    assert (best["theirs_s"], best["ours_s"], best["times_faster"]) == (250, 15, 20)
    assert whole["times_faster"] == (15 + 30) / 2
    assert best["seeds"] == 2
    assert best["each"] == [
        {"theirs_s": 200, "ours_s": 20},
        {"theirs_s": 300, "ours_s": 10},
    ]


def test_speed_where_ours_never_gets_there_is_no_gain(claims: Any) -> None:
    runs = {
        "photos/0/ours": run(0.5, step_s=10),
        "photos/0/guide": run(0.6, step_s=100),
    }
    rows = list(claims.compare_speed(runs))
    assert [(row["ours_s"], row["times_faster"]) for row in rows] == [(None, 0), (None, 0)]


def test_speed_compares_equal_numbers_of_cores_only(claims: Any) -> None:
    runs = {
        "photos/0/ours": run(0.9, step_s=10, cores=1),
        "photos/0/uncached": run(0.9, step_s=100),
    }
    assert list(claims.compare_speed(runs)) == []
    runs["photos/0/uncached"]["cores"] = 1
    assert [row["times_faster"] for row in claims.compare_speed(runs)] == [10]


def test_quality_is_paired_by_image_over_the_seeds_that_both_have(
    claims: Any, tmp_path: Path
) -> None:
    targets = np.eye(2)[[0, 1] * 50]
    right, wrong = targets, targets[:, ::-1]
    half = np.where(np.arange(100)[:, None] < 50, right, wrong)
    np.savez(tmp_path / "photos-0-ours.npz", targets=targets, scores=right)
    np.savez(tmp_path / "photos-0-probe.npz", targets=targets, scores=half)
    np.savez(tmp_path / "photos-0-guide_head.npz", targets=targets, scores=wrong, head_scores=right)
    runs = {
        "photos/0/ours": run(1.0, step_s=1),
        "photos/1/ours": run(0.8, step_s=1),
        "photos/0/probe": run(0.5, step_s=1),
        "photos/0/guide_head": run(0.0, step_s=1),
    }
    rows = {row["way"]: row for row in claims.compare_quality(runs, tmp_path)}
    mean = rows["ours"]["accuracy"]
    assert mean["value"] == pytest.approx(0.9)
    assert 0.84 < mean["low"] < 0.87 < 0.92 < mean["high"] < 0.95  # of 200 images
    assert rows["ours"]["gain"] == {}
    # Beside a difference stands ours of the same seeds.
    assert rows["probe"]["ours_accuracy"] == 1.0
    gain = rows["probe"]["gain"]["accuracy"]
    assert gain["value"] == pytest.approx(50)
    assert gain["low"] < 50 < gain["high"]
    # Of the head phase both are told: its best epoch and its last.
    assert rows["guide_head, its best epoch"]["accuracy"]["value"] == 1.0
    assert rows["guide_head, its best epoch"]["gain"]["accuracy"]["value"] == 0
    assert rows["guide_head, its last epoch"]["accuracy"]["value"] == 0.0
    assert rows["guide_head, its last epoch"]["gain"]["accuracy"]["value"] == 100


def test_steps_until_both_starts_are_equally_good(claims: Any) -> None:
    runs = {
        "photos/0/ours": run(0.5, 0.8, 0.9, step_s=1),
        "photos/0/scratch": run(0.2, 0.3, 0.5, 0.6, 0.8, 0.7, step_s=1),
        "photos/1/ours": run(0.5, step_s=1),
    }
    (row,) = claims.compare_steps(runs)
    # 96 images are 3 steps an epoch; 0.8 is reached in the second epoch, and in the fifth.
    assert (row["ours_steps"], row["scratch_steps"], row["val_accuracy"]) == (6, 15, 0.8)
    assert (row["times"], row["ours_best"], row["scratch_best"]) == (2.5, 0.9, 0.8)


def test_a_long_training_is_counted_from_a_short_one(script: Callable[[str], Any]) -> None:
    epochs = script("epochs")
    # The first epoch of a phase holds its start; of the rest the median counts.
    timed = epochs.Timed([50.0, 10.0, 11.0, 30.0, 7.0, 8.0, 90.0], [3, 4])
    assert epochs.extrapolate(timed, [20, 3]) == (50 + 19 * 10.5) + (30 + 2 * 8)
    assert epochs.extrapolate(timed, [1, 1]) == 80
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        epochs.extrapolate(timed, [20])


def test_a_record_of_another_network_is_not_continued(
    script: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = script("training")
    monkeypatch.setattr(training.subprocess, "run", lambda *_, **__: pytest.fail("trained again"))
    path = tmp_path / "training.json"
    done = {"backbone": "resnet50", "image_size": 224}
    path.write_text(json.dumps({"runs": {"photos/0/ours": done}}))
    options = SimpleNamespace(json=path, backbone="resnet50", image_size=224)
    training.train_missing("photos/0/ours", options)
    for other in ({"backbone": "mobilenet_v2"}, {"image_size": 96}):
        ((name, value),) = other.items()
        with pytest.raises(SystemExit, match=f"{name}={value}. Received: {done[name]}"):
            training.train_missing("photos/0/ours", SimpleNamespace(**{**vars(options), **other}))


def test_one_command_runs_every_script_with_options_it_has(script: Callable[[str], Any]) -> None:
    run_all = script("run")
    options = SimpleNamespace(data=Path("d"), weights=Path("w"), reference=Path("r"), out=Path("o"))
    texts = {x.stem: x.read_text(encoding="utf-8") for x in FOLDER.glob("*.py")}
    for name, calls in run_all.BENCHMARKS.items():
        text = texts[run_all.SCRIPTS.get(name, name)]
        for arguments in calls:
            given = [x for x in arguments(options) if x.startswith("--")]
            assert [x for x in given if f'add_argument("{x}"' not in text] == []
    scripts = {name for name, text in texts.items() if "\ndef main(" in text}
    started_by_hand = {"run", "mediapipe_agreement"}
    assert scripts - started_by_hand == {run_all.SCRIPTS.get(x, x) for x in run_all.BENCHMARKS}


def test_a_gpu_is_compared_like_with_like(script: Callable[[str], Any]) -> None:
    gpu = script("gpu_training")
    speeds = {
        ("full", "ours"): 300.0,
        ("full", "ours, BatchNorm trained"): 220.0,
        ("full", "torchvision"): 200.0,
        ("full", "torchvision, BatchNorm frozen"): 400.0,
        ("fill", "ours"): 1000.0,
        ("head, cached", "ours"): 1e6,
    }
    rows = [
        {"backbone": "resnet50", "phase": phase, "way": way, "images_per_s": speed}
        for (phase, way), speed in speeds.items()
    ]
    assert gpu.compare_torchvision(rows) == {"BatchNorm frozen": 0.75, "BatchNorm trained": 1.1}
    for reading, limit in ((500.0, "reading"), (2000.0, "filling"), (1e9, "filling")):
        last = {"backbone": "", "phase": "reading", "way": "2 cores", "images_per_s": reading}
        found = gpu.split_head_phase([*rows, last])["resnet50"]
        assert found["limited_by"] == limit
        assert found["training_us"] == pytest.approx(found["epochs"])
    rows[-1]["images_per_s"] = 1000.0  # of the head on its cache
    assert gpu.split_head_phase([*rows, last])["resnet50"]["limited_by"] == "training"


def test_filling_is_counted_as_one_forward_pass(script: Callable[[str], Any]) -> None:
    import keras

    policy = keras.mixed_precision.global_policy()
    try:
        gpu = script("gpu_training")
        options = SimpleNamespace(image_size=32, batch=2, host=True)
        head = gpu.make_ours("efficientnet_lite0", "backbone", options)
        fill = gpu.make_fill("efficientnet_lite0", options)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    # Training the head through the network is that and three passes of its one dense layer.
    assert head.flop - fill.flop == 6 * 1280 * gpu.CLASSES
    assert fill.flop > 6 * 1280 * gpu.CLASSES
    assert fill.bytes > head.bytes  # float32 for bfloat16
    fill.train(1)


def test_the_probe_is_chosen_by_its_loss_among_equals(script: Callable[[str], Any]) -> None:
    training = script("training")
    rng = np.random.default_rng(0)
    classes = np.arange(200) % 2
    far = rng.normal(0, 0.1, (200, 3)) + 4 * classes[:, None]  # every strength is always right
    probe, accuracy = training.choose_probe((far, classes), (far, classes))
    assert accuracy == 1
    assert training.STRENGTHS[-1] == probe.C
    noise, other = rng.normal(size=(2, 200, 150))  # says nothing of the classes
    probe, accuracy = training.choose_probe((noise, classes), (other, np.zeros(200, int)))
    assert training.STRENGTHS[-1] > probe.C
    assert accuracy == np.mean(probe.predict(other) == 0)


def test_multiplications_of_each_kind_of_layer(script: Callable[[str], Any]) -> None:
    import keras

    layers = keras.layers
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(pixels)
    x = layers.DepthwiseConv2D(5, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(6, 3, groups=2, padding="same")(x)
    x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, x)
    count = script("gpu_training").count_macs
    found = [count(layer) for layer in model.layers if hasattr(layer, "kernel")]
    places = 4 * 4
    assert found == [places * 9 * 3 * 4, places * 25 * 4, places * 9 * 2 * 6, 6 * 10]
    assert sum(count(layer) for layer in model.layers) == sum(found)


def test_a_few_images_of_each_class_are_left_to_train_and_to_choose_by(
    script: Callable[[str], Any], images: Any
) -> None:
    few = script("sets").few_images(images, 2, seed=0)
    for name in ("train", "val"):
        split, whole = getattr(few, name), getattr(images, name)
        assert sorted(split.raw_labels) == sorted(2 * list(images.labels))
        assert set(split.paths) <= set(whole.paths)
        # Targets go with their images.
        assert [few.labels[row.argmax()] for row in split.targets] == list(split.raw_labels)
        assert np.array_equal(
            split.read_views([0]), whole.read_views([whole.paths.index(split.paths[0])])
        )
    assert few.test is images.test
