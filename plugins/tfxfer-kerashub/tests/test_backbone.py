"""Networks of presets in a model of ours: equal features, cuts, weights, training, export."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import build_model
from tfxfer.errors import ModelError, UsageError, WeightsError
from tfxfer.keras_private import flatten_layers
from tfxfer.registry.lookup import get_backbone
from tfxfer.stages import freeze_to, get_info
from tfxfer.weights import file_sha256
from tfxfer_kerashub import PresetError
from tfxfer_kerashub.fetching import import_keras_hub

pytestmark = pytest.mark.versions

LABELS = ("a", "b")
SIDE_PX = 32


def clone(model: Any) -> Any:
    """Returns a copy with weights of its own."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


@pytest.fixture(scope="module")
def built(resnet_preset: Path) -> Any:
    """A model on the ResNet preset, for tests that leave it as it is."""
    return build_model(f"kerashub:{resnet_preset}", labels=LABELS)


@pytest.fixture(scope="module")
def built_vit(vit_preset: Path) -> Any:
    return build_model(f"kerashub:{vit_preset}", labels=LABELS)


def features(model: Any, pixels: Any, **options: Any) -> np.ndarray:
    inner = keras.Model(model.inputs[0], model.get_layer("preset_features").output)
    return np.asarray(inner(pixels, **options))


def run_keras_hub(network: Any, preset: Path, pixels: Any) -> np.ndarray:
    """Returns the features that KerasHub's own converter and backbone make."""
    converter = import_keras_hub().layers.ImageConverter.from_preset(str(preset))
    return np.asarray(network(converter(pixels), training=False))


def is_close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max())


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, tfxfer_kerashub; from tfxfer_kerashub import KerasHubBackbone; "
        "print([n for n in ('keras', 'keras_hub', 'tensorflow', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_handle_is_asked_for() -> None:
    with pytest.raises(UsageError, match="kerashub:HANDLE"):
        get_backbone("kerashub")


def test_resnet_features_equal_those_of_keras_hub(
    built: Any, resnet: Any, resnet_preset: Path, pixels: Any
) -> None:
    expected = run_keras_hub(resnet, resnet_preset, pixels)
    assert is_close(features(built, pixels), expected)
    # The negative controls: pixels in another range, and random weights.
    other = build_model(f"kerashub:{resnet_preset}#pixels=-1..1", labels=LABELS)
    assert not is_close(features(other, pixels), expected)
    fresh = build_model(f"kerashub:{resnet_preset}", labels=LABELS, weights=None)
    assert not is_close(features(fresh, pixels), expected)


def test_vit_features_equal_those_of_keras_hub(
    built_vit: Any, vit: Any, vit_preset: Path, pixels: Any
) -> None:
    expected = run_keras_hub(vit, vit_preset, pixels)
    assert is_close(features(built_vit, pixels), expected)
    assert not is_close(features(built_vit, pixels / 255), expected)
    assert expected.shape == (len(pixels), 17, 16)
    # The class token counts as one of the tokens that the core averages.
    pooled = keras.Model(built_vit.inputs[0], built_vit.get_layer("pool").output)(pixels)
    np.testing.assert_allclose(pooled, expected.mean(axis=1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["built", "built_vit"])
def test_the_graph_is_flat_and_calm(
    kind: str, request: pytest.FixtureRequest, pixels: Any, vit: Any
) -> None:
    model = clone(built := request.getfixturevalue(kind))
    assert not [layer for layer in built.layers if isinstance(layer, keras.Model)]
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    still = features(model, pixels)
    np.testing.assert_array_equal(features(model, pixels, training=True), still)
    moved = np.asarray(vit(pixels, training=True)) - np.asarray(vit(pixels, training=False))
    assert np.abs(moved).max() > 0.1  # KerasHub's own drops something


@pytest.mark.parametrize(
    ("kind", "names", "output"),
    [
        ("built", ["stack0_block0", "stack1_block0", "stack1_block1"], "map"),
        (
            "built_vit",
            [
                "vit_patching_and_embedding",
                "vit_encoder_transformer_block_1",
                "vit_encoder_transformer_block_2",
            ],
            "tokens",
        ),
    ],
)
def test_stages_end_at_blocks(
    kind: str, names: list[str], output: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    info = get_info(model)
    assert [stage.name for stage in info.stages[:-1]] == names
    assert get_backbone(info.backbone).output == output
    cuts = [model.get_layer(stage.end).output for stage in info.stages]
    held = [{op.name for op in keras.Model(model.inputs[0], cut).operations} for cut in cuts]
    assert all(a < b for a, b in itertools.pairwise(held))
    for cut in cuts:
        keras.Model(cut, model.output)  # not connected by this tensor alone, or this raises


def test_a_tensor_inside_a_block_is_no_stage(built: Any) -> None:
    # The negative control of the test above: the shortcut goes round this tensor.
    inside = built.get_layer("stack1_block1_1_conv").output
    with pytest.raises(ValueError, match="is not connected to `inputs`"):
        keras.Model(inside, built.output)


def test_the_weights_file_is_the_provenance(resnet_preset: Path, built: Any) -> None:
    weights = get_info(built).weights
    assert weights.source == "preset"
    assert weights.sha256 == file_sha256(resnet_preset / "model.weights.h5")


@pytest.mark.parametrize("damage", ["cut", "noise", "other"])
def test_a_damaged_file_is_refused_and_changes_nothing(
    damage: str, resnet_preset: Path, vit_preset: Path, built: Any, tmp_path: Path
) -> None:
    path = tmp_path / "x.weights.h5"
    content = (resnet_preset / "model.weights.h5").read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(4096))
    else:
        path.write_bytes((vit_preset / "model.weights.h5").read_bytes())
    before = built.get_weights()
    with pytest.raises(WeightsError, match=r"ResNetBackbone.*x\.weights\.h5"):
        get_backbone(f"kerashub:{resnet_preset}").load_weights(built, path)
    assert all(map(np.array_equal, before, built.get_weights()))


def test_a_file_that_lacks_a_layer_is_refused(
    resnet_preset: Path, built: Any, tmp_path: Path
) -> None:
    import h5py

    path = tmp_path / "x.weights.h5"
    path.write_bytes((resnet_preset / "model.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        del file["layers/conv2d_2"]
    with pytest.raises(WeightsError, match="cannot read its weights"):
        get_backbone(f"kerashub:{resnet_preset}").load_weights(built, path)


def test_a_rebuilt_graph_that_computes_something_else_is_refused(
    resnet_preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer_kerashub import backbone

    monkeypatch.setattr(backbone, "copy_weights", lambda source, target: 0)
    with pytest.raises(ModelError, match="computes what KerasHub's ResNetBackbone does"):
        build_model(f"kerashub:{resnet_preset}", labels=LABELS)


@pytest.mark.parametrize(
    ("kind", "stage"),
    [("built", "stack1_block0"), ("built_vit", "vit_encoder_transformer_block_1")],
)
def test_a_step_of_training_moves_what_is_not_frozen(
    kind: str, stage: str, request: pytest.FixtureRequest, pixels: Any
) -> None:
    from tfxfer.stages import attach_info, layers_up_to

    built = request.getfixturevalue(kind)
    model = clone(built)
    attach_info(model, get_info(built))
    freeze_to(model, stage)
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    before = {weight.path: np.array(weight) for weight in model.weights}
    model.fit(pixels, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]], epochs=1, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(before[w.path], np.array(w))}
    frozen = {weight.path for layer in layers_up_to(model, stage) for weight in layer.weights}
    trainable = {weight.path for weight in model.trainable_weights}
    assert not moved & frozen
    assert moved <= trainable
    # The bias of an attention's keys has no effect, hence no gradient: softmax takes it out.
    assert trainable - moved <= {path for path in trainable if "key/bias" in path}


def test_a_vit_takes_no_other_size(vit_preset: Path) -> None:
    backbone = get_backbone(f"kerashub:{vit_preset}")
    assert (backbone.min_image_size, backbone.default_image_size) == (SIDE_PX, SIDE_PX)
    with pytest.raises(ModelError, match=r"images of 32 px.*Received: image_size=64"):
        build_model(backbone, labels=LABELS, image_size=64)
    with pytest.raises(ModelError, match=r"images of 32 px.*divisible"):
        build_model(backbone, labels=LABELS, image_size=45)


def make_mobilenet(models: Any) -> Any:
    return models.MobileNetBackbone(
        stackwise_expansion=[[8, 8], [16]],
        stackwise_num_blocks=[2, 1],
        stackwise_num_filters=[[8, 8], [16]],
        stackwise_kernel_size=[[3, 3], [5]],
        stackwise_num_strides=[[2, 1], [1]],
        stackwise_se_ratio=[[None, None], [0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish"]],
        stackwise_padding=[[1, 1], [2]],
        output_num_filters=16,
        input_activation="hard_swish",
        output_activation="hard_swish",
        input_num_filters=8,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        last_layer_filter=16,
    )


def make_efficientnet_v2(models: Any) -> Any:
    return models.EfficientNetBackbone(
        stackwise_width_coefficients=[0.5] * 2,
        stackwise_depth_coefficients=[1.0] * 2,
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[16, 16],
        stackwise_output_filters=[16, 24],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["fused", "unfused"],
        include_stem_padding=False,
        stem_conv_padding="same",
    )


def make_vit_without_patch_bias(models: Any) -> Any:
    """Its embedding forgets in `get_config` that it has no bias."""
    return models.ViTBackbone(
        image_shape=(SIDE_PX, SIDE_PX, 3),
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=8,
        use_patch_bias=False,
    )


@pytest.mark.parametrize(
    ("make", "stages"),
    [
        (make_mobilenet, ["block_0_0", "block_1_0", "block_1_1", "block_2_0", "block_3_0"]),
        (make_efficientnet_v2, ["block1a", "block2a", "block2b"]),
        (
            make_vit_without_patch_bias,
            [
                "vit_patching_and_embedding",
                "vit_encoder_transformer_block_1",
                "vit_encoder_transformer_block_2",
            ],
        ),
    ],
)
def test_blocks_that_keras_hub_closes(
    make: Callable[[Any], Any], stages: list[str], save: Any, tmp_path: Path, pixels: Any
) -> None:
    network = make(import_keras_hub().models)
    preset = save(network, tmp_path / "preset")
    model = build_model(f"kerashub:{preset}", labels=LABELS)
    assert is_close(features(model, pixels), run_keras_hub(network, preset, pixels))
    assert [stage.name for stage in get_info(model).stages[:-1]] == stages
    # Where freezing finds them: in the graph itself.
    everywhere = [x for x in flatten_layers(model) if "BatchNorm" in type(x).__name__]
    assert not {id(x) for x in everywhere} - {id(x) for x in model.layers}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(pixels), model(pixels), rtol=1e-5, atol=1e-6)


def test_networks_with_models_inside_are_refused(save: Any, tmp_path: Path) -> None:
    network = import_keras_hub().models.ViTDetBackbone(
        image_shape=(SIDE_PX, SIDE_PX, 3),
        patch_size=8,
        num_layers=1,
        num_heads=2,
        hidden_size=16,
        intermediate_dim=32,
        window_size=2,
        global_attention_layer_indices=[0],
        num_output_channels=8,
    )
    preset = save(network, tmp_path / "preset")
    with pytest.raises(PresetError, match=r"made flat\. Received: a model inside it"):
        get_backbone(f"kerashub:{preset}")


def test_what_hurts_int8_is_told(resnet_preset: Path, vit_preset: Path) -> None:
    assert get_backbone(f"kerashub:{resnet_preset}").quantization == ()
    assert get_backbone(f"kerashub:{vit_preset}").quantization == ("attention", "gelu")


@pytest.mark.parametrize("kind", ["built", "built_vit"])
def test_exports_to_int8_with_builtin_operations(
    kind: str, request: pytest.FixtureRequest, pixels: Any
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    import tfxfer_edge

    model = request.getfixturevalue(kind)
    content = tfxfer_edge.convert(model, recipe="int8", calibration=pixels).content
    interpreter = Interpreter(model_content=content)  # refuses all but builtin operations
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert source["dtype"] is np.uint8
    interpreter.set_tensor(source["index"], pixels[:1].round().astype(np.uint8))
    interpreter.invoke()
    scale, zero = target["quantization"]
    found = interpreter.get_tensor(target["index"]).astype(np.float32)
    found = (found - zero) * scale if scale else found
    np.testing.assert_allclose(found, model(pixels[:1]), atol=0.1)


def test_a_layer_of_ours_makes_only_layers_of_keras_hub() -> None:
    from tfxfer_kerashub import KerasHubLayer

    for kind in ("os:system", "keras_hub.src.models.vit.vit_layers:Gone", "subprocess:Popen", ""):
        with pytest.raises(ValueError, match="expected a layer of KerasHub's"):
            KerasHubLayer(kind, {})
