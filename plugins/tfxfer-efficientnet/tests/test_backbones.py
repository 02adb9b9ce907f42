"""What holds for all eight backbones."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

import tfxfer_efficientnet
from tfxfer.backbone import Backbone
from tfxfer.keras_private import find_calls, find_source

ALL = [
    getattr(tfxfer_efficientnet, name)
    for name in tfxfer_efficientnet.__all__
    if name.startswith("EfficientNet")
]
# One of each family where every test of every variant would only take longer.
FAMILIES = [
    tfxfer_efficientnet.EfficientNetLite0,
    tfxfer_efficientnet.EfficientNetB0,
    tfxfer_efficientnet.EfficientNetV2B0,
]
SIZES = {
    "efficientnet_lite0": 224,
    "efficientnet_lite1": 240,
    "efficientnet_lite2": 260,
    "efficientnet_b0": 224,
    "efficientnet_b1": 240,
    "efficientnet_b2": 260,
    "efficientnet_b3": 300,
    "efficientnetv2_b0": 224,
}
STAGES = {
    "efficientnet_lite0": 18,
    "efficientnet_lite1": 23,
    "efficientnet_lite2": 23,
    "efficientnet_b0": 18,
    "efficientnet_b1": 25,
    "efficientnet_b2": 25,
    "efficientnet_b3": 28,
    "efficientnetv2_b0": 23,
}


def test_all_is_sorted_and_public():
    assert tfxfer_efficientnet.__all__ == sorted(tfxfer_efficientnet.__all__)


def test_importing_the_package_imports_no_framework():
    code = (
        "import sys, tfxfer_efficientnet as t\n"
        "[getattr(t, n)() for n in t.__all__ if n[0] == 'E']\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'h5py', 'jax'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_entry_points_name_every_backbone():
    points = {
        point.name: point.value
        for point in metadata.distribution("tfxfer-efficientnet").entry_points
        if point.group == "tfxfer.backbones"
    }
    assert points == {c.name: f"tfxfer_efficientnet:{c.__name__}" for c in ALL}


@pytest.mark.parametrize("backbone_class", ALL)
def test_contract(backbone_class):
    assert issubclass(backbone_class, Backbone)
    assert backbone_class.default_image_size == SIZES[backbone_class.name]
    assert len(backbone_class.stages) == STAGES[backbone_class.name]
    names = [stage.name for stage in backbone_class.stages]
    assert names == ["stem", *(f"block_{i}" for i in range(1, len(names) - 1)), "top"]
    assert backbone_class.output == "map"
    assert backbone_class.licence == "Apache-2.0"
    source = backbone_class.weights["imagenet"]
    assert (source.package is None) != (source.url is None)
    assert source.sha256 if source.package else source.md5


def slow_unless(kept: list) -> list:
    """All classes; those that share their code with a kept one run only with --slow."""
    return [c if c in kept else pytest.param(c, marks=pytest.mark.slow) for c in ALL]


@pytest.mark.parametrize("backbone_class", slow_unless(FAMILIES))
def test_graph_is_flat_deterministic_and_cut_by_its_stages(build, backbone_class):
    import keras

    backbone, model = build(backbone_class)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert not kinds & {"Functional", "Model", "Sequential", "Dropout", "Normalization"}
    # The caller's own rescaling stays, and is the only one.
    rescalings = [x for x in model.layers if isinstance(x, keras.layers.Rescaling)]
    assert [x.name for x in rescalings] == ["rescale_pixels"]
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    ends = [names.index(stage.end) for stage in backbone.stages]
    assert ends == sorted(set(ends))
    assert ends[-1] == len(names) - 1
    for stage in backbone.stages:
        tensor = model.get_layer(stage.end).output  # raises for a layer with two nodes
        assert len(tensor.shape) == 4
        # A cut: without this one layer, nothing before it reaches anything behind it.
        before = set(names[: names.index(stage.end)])
        behind = model.layers[names.index(stage.end) + 1 :]
        feeding = {
            source.name
            for layer in behind
            for node in find_calls(layer)
            for source, _ in map(find_source, node.input_tensors)
        }
        assert not feeding & before


@pytest.mark.parametrize("backbone_class", [tfxfer_efficientnet.EfficientNetB0])
def test_two_builds_have_the_same_names(build, backbone_class):
    def names(copy: int) -> list[str]:
        return [layer.name for layer in build(backbone_class, copy=copy)[1].layers[1:]]

    assert names(0) == names(1)


@pytest.mark.parametrize("backbone_class", slow_unless(FAMILIES))
def test_stages_are_layers_and_the_last_is_the_output(build, backbone_class):
    backbone, model = build(backbone_class)
    names = {layer.name for layer in model.layers}
    assert [stage.end for stage in backbone.stages if stage.end not in names] == []
    assert model.layers[-1].name == backbone.stages[-1].end


@pytest.mark.parametrize("backbone_class", FAMILIES[:2])
def test_an_odd_size_rounds_up(build, backbone_class):
    assert build(backbone_class, 97)[1].output.shape == (None, 4, 4, 1280)


@pytest.mark.parametrize("backbone_class", FAMILIES)
def test_frozen_prefix_ignores_the_training_flag(build, randomize, backbone_class):
    import keras

    backbone, model = build(backbone_class)
    assert model.output.shape == (None, 2, 2, 1280)
    randomize(model, 1)
    # Behind the first Dropout of B and V2, in front of most of the work.
    end = model.get_layer(backbone.stages[5].end)
    prefix = keras.Model(model.input, end.output)
    x = np.random.default_rng(5).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    control = np.asarray(prefix(x, training=True))
    norms = [x for x in prefix.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.trainable = False
    training, inference = (np.asarray(prefix(x, training=flag)) for flag in (True, False))
    for layer in norms:
        layer.trainable = True
    np.testing.assert_array_equal(training, inference)
    # Negative control: with trainable batch norms the same comparison fails.
    assert np.abs(control - inference).max() > 1e-3
