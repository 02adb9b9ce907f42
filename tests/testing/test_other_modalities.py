"""The backbone's kit where samples are no images: windows of a sensor, and texts of two inputs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Backbone, InputSpec, Registry, Stage
from tfxfer.testing import BACKBONE_CHECKS, check_backbone, check_modality
from tfxfer.testing.check import Examination, Result
from tfxfer.testing.kits import examine_backbone
from tfxfer.testing.probes import draw_values

STARTS_PYTHON = ("laziness", "reload")  # which takes longer than all else
IMAGES_ONLY = ("preprocessing", "export_uint8_input")
NO_FILES = ("export_float", "export_int8")


@pytest.fixture
def sensor(install_doubles: Callable[..., None]) -> Any:
    """The installed double of a modality that is no image, and of a backbone that reads it."""
    install_doubles("sensor")
    return import_module("double_sensor")


def test_a_backbone_that_reads_windows_passes_everything_that_is_not_of_images(
    sensor: Any,
) -> None:
    report = check_backbone("double_sensor_conv", registry=Registry())
    odd = {x.name: (x.outcome, x.message) for x in report.results if x.outcome != "passed"}
    why = "images only, and the model reads windows"
    none = "files are made of image, text, and the model reads windows"
    assert odd == dict.fromkeys(IMAGES_ONLY, ("not_applicable", why)) | dict.fromkeys(
        NO_FILES, ("not_applicable", none)
    ) | {"weights_sha256": ("not_applicable", "the backbone declares no weights")}
    assert report.distribution == "tfxfer-double-sensor"


def test_its_modality_passes_everything(sensor: Any) -> None:
    def write(folder: Path) -> list[Path]:
        paths = [folder / f"{number}.npy" for number in range(3)]
        for seed, path in enumerate(paths):
            np.save(path, np.random.default_rng(seed).normal(size=(80, sensor.AXES)))
        return paths

    report = check_modality("double_sensor", samples=write, registry=Registry())
    odd = {x.name: (x.outcome, x.message) for x in report.results if x.outcome != "passed"}
    assert odd == {"copies": ("not_applicable", "inspect makes no sketches")}


def broken(sensor: Any) -> dict[str, Any]:
    """Returns one variant with a fault for each check that it must fail."""

    class Drops(sensor.SensorConv):  # type: ignore[misc]
        def build(self, inputs: Any) -> Any:
            from keras import layers

            return layers.Dropout(0.2, name="drop")(super().build(inputs))

    class LooksAtTheBatch(sensor.SensorConv):  # type: ignore[misc]
        def build(self, inputs: Any) -> Any:
            from keras import ops

            x = super().build(inputs)
            return x - 0.5 * ops.mean(x, axis=0, keepdims=True)

    class CutInsideBlock(sensor.SensorConv):  # type: ignore[misc]
        stages = (*sensor.SensorConv.stages, Stage("block_4", "block_4_conv"))

        def build(self, inputs: Any) -> Any:
            from keras import layers

            x = super().build(inputs)
            y = layers.Conv1D(32, 3, padding="same", name="block_4_conv")(x)
            return layers.Add(name="block_4_add")([x, y])

    class OneSize(sensor.SensorConv):  # type: ignore[misc]
        def build(self, inputs: Any) -> Any:
            from keras import layers

            return layers.Reshape((2, 32), name="two")(super().build(inputs))

    class ForImages(sensor.SensorConv):  # type: ignore[misc]
        preprocessing = Backbone.preprocessing

    return {
        "no_randomness": Drops,
        "cached": LooksAtTheBatch,
        "stages": CutInsideBlock,
        "builds": OneSize,
        "builds, its contract": ForImages,
    }


@pytest.mark.parametrize(
    "fault", ["no_randomness", "cached", "stages", "builds", "builds, its contract"]
)
def test_a_broken_one_fails_its_check_alone(sensor: Any, fault: str) -> None:
    subject = examine_backbone(broken(sensor)[fault], registry=Registry()).subject
    found = run(subject, without=STARTS_PYTHON)
    (name,) = failed(found)
    assert name == fault.partition(",")[0]
    message = found[name].message
    assert "expected " in message
    assert "eceived: " in message
    assert " px" not in message
    assert "image" not in message


class Embeds(Backbone):
    """Ids and a mask: what follows each stage reads the mask itself."""

    name = family = "double_embeds"
    modality = "double_texts"
    default_size = 12  # type: ignore[assignment]
    min_size = 4  # type: ignore[assignment]
    output = "vector"
    stages = (Stage("words", "words"), Stage("context", "context"))

    def build(self, inputs: Any) -> Any:
        from keras import layers, ops

        x = layers.Embedding(100, 8, name="words")(inputs["ids"])
        mask = ops.cast(ops.expand_dims(inputs["mask"], -1), "float32")
        x = layers.Conv1D(8, 3, padding="same", activation="tanh", name="context")(x * mask)
        return ops.sum(x * mask, axis=1) / ops.sum(mask, axis=1)


@pytest.fixture
def texts(install_doubles: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Knows the double that reads cells of a table, and a backbone for its two inputs."""
    install_doubles("good_modality")
    tokens = import_module("double_good_texts").Tokens()
    monkeypatch.setattr(Embeds, "preprocessing", tokens)
    return Registry([EntryPoint("double_texts", "double_good_texts:Texts", "tfxfer.modalities")])


def test_a_backbone_of_two_inputs_passes_everything_that_is_not_of_images(texts: Registry) -> None:
    found = run(examine_backbone(Embeds, registry=texts).subject)
    assert {name: x.message for name, x in found.items() if x.outcome == "failed"} == {}
    left_out = {name: x.outcome for name, x in found.items() if x.outcome != "passed"}
    assert left_out == {
        "preprocessing": "not_applicable",
        # Nothing in this registry makes files.
        **dict.fromkeys((*NO_FILES, "export_uint8_input"), "not_run"),
        "provenance": "not_run",  # it lies in this file
        "weights_sha256": "not_applicable",
    }


def test_an_input_that_build_leaves_unread_is_found(texts: Registry) -> None:
    class Unmasked(Embeds):
        def build(self, inputs: Any) -> Any:
            from keras import ops

            return super().build({**inputs, "mask": ops.ones_like(inputs["ids"])})

    found = run(examine_backbone(Unmasked, registry=texts).subject, without=STARTS_PYTHON)
    assert set(failed(found)) == {"flat"}
    assert "['ids', 'mask'], which build gets. Received: inputs=['ids']" in found["flat"].message


def run(subject: Any, *, without: tuple[str, ...] = ("laziness",)) -> dict[str, Result]:
    kept = [item for item in BACKBONE_CHECKS if item.name not in without]
    return {result.name: result for result in Examination(kept, subject).results()}


def failed(results: dict[str, Result]) -> list[str]:
    return [name for name, item in results.items() if item.outcome == "failed"]


@pytest.mark.parametrize("stored", ["int32", "uint8", "bool"])
def test_whole_numbers_are_0_and_1_and_no_mask_is_empty(stored: str) -> None:
    found = draw_values(InputSpec((6,), dtype="int32", stored=stored), 50, seed=0)
    assert (found.shape, found.dtype) == ((50, 6), np.dtype(stored))
    assert set(np.unique(found)) == {0, 1}
    assert found[:, 0].all()


def test_floats_lie_around_0_and_differ() -> None:
    found = draw_values(InputSpec((16, 3)), 12, seed=0)
    assert (found.shape, found.dtype) == ((12, 16, 3), np.float32)
    assert abs(found.mean()) < 0.2
    assert 0.8 < found.std() < 1.2
    assert len(np.unique(found.reshape(12, -1), axis=0)) == 12
