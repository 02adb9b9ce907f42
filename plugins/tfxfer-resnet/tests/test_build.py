from __future__ import annotations

import functools
import itertools
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfxfer_resnet
from tfxfer.surgery import find_inputs

BACKBONES = {cls.name: cls for cls in (getattr(tfxfer_resnet, n) for n in tfxfer_resnet.__all__)}
# What would make a backbone stochastic, or rescale pixels a second time.
FORBIDDEN = ("Dropout", "Noise", "Random", "Rescaling", "Normalization")


def build(name: str, size: int = 64) -> Any:
    pixels = keras.Input((size, size, 3), name="pixels")
    return keras.Model(pixels, BACKBONES[name]().build(pixels))


# For tests that only look: building takes seconds on a busy machine.
built = functools.cache(build)


@pytest.fixture(scope="module", autouse=True)
def _models_end_with_the_module() -> Iterator[None]:
    yield
    built.cache_clear()


def noise(size: int = 64) -> Any:
    return np.random.default_rng(3).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)


@pytest.fixture(params=sorted(BACKBONES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_entry_points_lead_to_classes_of_that_name() -> None:
    points = metadata.distribution("tfxfer-resnet").entry_points.select(group="tfxfer.backbones")
    assert {point.name: point.load() for point in points} == BACKBONES


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, tfxfer_resnet as m; [c() for c in map(m.__dict__.get, m.__all__)]; "
        "print([n for n in ('keras', 'tensorflow', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_builds_at_the_smallest_size(name: str) -> None:
    assert build(name, 32).output.shape == (None, 1, 1, 2048)


def test_builds_a_flat_deterministic_map(name: str) -> None:
    model = built(name)
    assert model.output.shape == (None, 2, 2, 2048)
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    kinds = {type(layer).__name__ for layer in model.layers} - {"BatchNormalization"}
    assert not [kind for kind in kinds if any(word in kind for word in FORBIDDEN)]


def test_names_are_the_same_in_every_build(name: str) -> None:
    first, second = ([op.name for op in m.operations] for m in (built(name), build(name)))
    assert first == second


def test_layers_before_the_backbone_keep_their_names() -> None:
    pixels = keras.Input((64, 64, 3), name="pixels")
    before = keras.layers.Rescaling(1 / 127.5, -1.0, name="rescale")(pixels)
    before = keras.layers.MaxPooling2D(1, name="max_pooling2d_7")(before)
    output = BACKBONES["resnet50_v2"]().build(before)
    model = keras.Model(find_inputs(output), output)
    names = [layer.name for layer in model.layers]
    assert names[:4] == ["pixels", "rescale", "max_pooling2d_7", "conv1_pad"]
    assert [n for n in names if "max_pooling" in n] == ["max_pooling2d_7"]


def test_stages_share_out_all_layers_in_order(name: str) -> None:
    model, stages = built(name), BACKBONES[name].stages
    last = "top" if name == "resnet50_v2" else "block_16"
    assert [stages[0].name, stages[1].name, stages[-1].name] == ["stem", "block_1", last]
    cuts = [model.get_layer(stage.end).output for stage in stages]  # one node, or this raises
    held = [{op.name for op in keras.Model(model.input, cut).operations} for cut in cuts]
    assert all(a < b for a, b in itertools.pairwise(held))
    assert held[-1] == {op.name for op in model.operations}


def test_stages_are_single_tensor_cuts(name: str) -> None:
    model, pixels = built(name), noise()
    cuts = [model.get_layer(stage.end).output for stage in BACKBONES[name].stages[:-1]]
    for cut in cuts[1::3]:
        suffix = keras.Model(cut, model.output)  # disconnected, or this raises
    prefix = keras.Model(model.input, cut)
    np.testing.assert_allclose(suffix(prefix(pixels)), model(pixels), rtol=1e-4, atol=1e-5)


def test_a_tensor_inside_a_residual_block_is_no_cut() -> None:
    # The negative control of the test above: the shortcut goes round this tensor.
    model = built("resnet50_v2")
    inside = model.get_layer("conv2_block2_3_conv").output
    with pytest.raises(ValueError, match="is not connected to `inputs`"):
        keras.Model(inside, model.output)


def test_training_mode_changes_nothing_while_batch_norm_is_frozen(name: str) -> None:
    model, pixels = build(name), noise()
    assert not np.array_equal(model(pixels, training=True), model(pixels, training=False))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    assert np.array_equal(model(pixels, training=True), model(pixels, training=False))


def test_keras_alone_loads_a_saved_model(name: str, tmp_path: Path) -> None:
    model, pixels = built(name), noise()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [op.name for op in loaded.operations] == [op.name for op in model.operations]
    np.testing.assert_allclose(loaded(pixels), model(pixels), rtol=1e-5, atol=1e-6)


def test_what_a_user_reads_before_training(name: str) -> None:
    backbone = BACKBONES[name]()
    assert (backbone.default_image_size, backbone.min_image_size) == (224, 32)
    assert (backbone.output, backbone.quantization) == ("map", ())
