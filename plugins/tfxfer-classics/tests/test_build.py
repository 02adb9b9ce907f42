from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import keras
import numpy as np
import pytest

import tfxfer_classics

BACKBONES = {
    cls.name: cls for cls in (getattr(tfxfer_classics, n) for n in tfxfer_classics.__all__)
}
# Features, stages, and the parameters that the README gives in millions.
FACTS = {
    "vgg16": (512, 5, 14.7),
    "vgg19": (512, 5, 20.0),
    "inception_v3": (2048, 12, 21.8),
    "xception": (2048, 14, 20.9),
    "densenet121": (1024, 63, 7.0),
    "convnext_tiny": (768, 20, 27.8),
    "nasnet_mobile": (1056, 3, 4.3),
}
# A tensor inside a block, round which another path leads.
INSIDE = {
    "inception_v3": "mixed4_conv",
    "xception": "block6_sepconv2_bn",
    "densenet121": "conv3_block4_1_conv",
    "convnext_tiny": "convnext_tiny_stage_1_block_1_gelu",
    "nasnet_mobile": "normal_concat_3",
}
# NASNet takes 20 seconds for what the others do in five.
QUICK_FIRST = [
    pytest.param(name, marks=pytest.mark.slow) if name == "nasnet_mobile" else name
    for name in sorted(BACKBONES)
]
# What would make a backbone stochastic, or rescale pixels a second time.
FORBIDDEN = ("Dropout", "StochasticDepth", "Noise", "Random", "Rescaling")


def test_entry_points_lead_to_classes_of_that_name() -> None:
    points = metadata.distribution("tfxfer-classics").entry_points.select(group="tfxfer.backbones")
    assert {point.name: point.load() for point in points} == BACKBONES
    assert set(FACTS) == set(BACKBONES)


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, tfxfer_classics as m; [c() for c in map(m.__dict__.get, m.__all__)]; "
        "print([n for n in ('keras', 'tensorflow', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_builds_a_flat_deterministic_map(name: str, built: Callable[..., Any]) -> None:
    model = built(name)
    channels, stages, millions = FACTS[name]
    assert (model.output.shape[-1], len(BACKBONES[name].stages)) == (channels, stages)
    assert round(model.count_params() / 1e6, 1) == millions
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    kinds = {type(layer).__name__ for layer in model.layers}
    assert "Normalization" not in kinds
    assert not [kind for kind in kinds if any(word in kind for word in FORBIDDEN)]


@pytest.mark.parametrize("name", QUICK_FIRST)
def test_names_are_the_same_in_every_build(name: str, built: Callable[..., Any]) -> None:
    first, second = ([op.name for op in built(name, copy=n).operations] for n in (0, 1))
    assert first == second
    assert len(set(first)) == len(first)


def test_stages_share_out_all_layers_in_order(name: str, built: Callable[..., Any]) -> None:
    model, stages = built(name), BACKBONES[name].stages
    cuts = [model.get_layer(stage.end).output for stage in stages]  # one node, or this raises
    held = [{op.name for op in keras.Model(model.input, cut).operations} for cut in cuts]
    assert all(a < b for a, b in itertools.pairwise(held))
    assert held[-1] == {op.name for op in model.operations}


def test_stages_are_single_tensor_cuts(name: str, built: Callable[..., Any]) -> None:
    model = built(name)
    for stage in BACKBONES[name].stages[:-1]:
        keras.Model(model.get_layer(stage.end).output, model.output)  # disconnected, or this raises


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_a_tensor_inside_a_block_is_no_cut(name: str, built: Callable[..., Any]) -> None:
    # The negative control of the test above.
    model = built(name)
    inside = model.get_layer(INSIDE[name]).output
    with pytest.raises(ValueError, match="is not connected to `inputs`"):
        keras.Model(inside, model.output)


def test_a_suffix_goes_on_from_a_cut(
    loaded: Callable[[str], Any], pixels: Callable[[str], Any]
) -> None:
    name = "xception"
    model, images = loaded(name), BACKBONES[name].preprocessing.apply(pixels(name))
    cut = model.get_layer(BACKBONES[name].stages[7].end).output
    prefix, suffix = keras.Model(model.input, cut), keras.Model(cut, model.output)
    expected = np.asarray(model(images))
    np.testing.assert_allclose(suffix(prefix(images)), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(suffix(prefix(images[::-1])) - expected).max() > 1e-2


def test_training_mode_changes_nothing_while_batch_norm_is_frozen(
    built: Callable[..., Any], pixels: Callable[[str], Any]
) -> None:
    name = "xception"
    model, images = built(name), BACKBONES[name].preprocessing.apply(pixels(name))
    statistics = model.get_weights()
    assert not np.array_equal(model(images, training=True), model(images, training=False))
    model.set_weights(statistics)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    assert np.array_equal(model(images, training=True), model(images, training=False))


def test_every_layer_is_one_of_keras_s_own(name: str, built: Callable[..., Any]) -> None:
    # ConvNeXt has another, whose weights are numbered by how many the process has made.
    assert all(getattr(keras.layers, type(x).__name__, None) is type(x) for x in built(name).layers)


def test_what_a_user_reads_before_training(name: str) -> None:
    backbone = BACKBONES[name]()
    sizes = {"inception_v3": (299, 75), "xception": (299, 71)}
    expected = sizes.get(name, (224, 32))
    assert (backbone.default_image_size, backbone.min_image_size) == expected
    notes = ("gelu", "layer-normalization") if name == "convnext_tiny" else ()
    assert (backbone.output, backbone.quantization) == ("map", notes)
