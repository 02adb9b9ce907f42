from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    Backbone,
    ContractError,
    ModelError,
    Phase,
    Preprocessing,
    ScheduleError,
    Stage,
    WeightsError,
    build_model,
    freeze_to,
)
from tfxfer.schedule import resolve_schedule
from tfxfer.stages import (
    attach_info,
    count_parameters,
    get_info,
    layers_up_to,
    map_layers_to_stages,
    set_trainable,
    stage_tensor,
)

pytestmark = pytest.mark.versions


def build(backbone: Backbone, **options: Any) -> Any:
    from tfxfer_heads import Classification

    settings = {"labels": ["a", "b"], "head": Classification(), "weights": None}
    return build_model(backbone, **(settings | options))


def make_backbone(tiny: type[Backbone], **attributes: Any) -> Backbone:
    return type("Changed", (tiny,), attributes)()


def test_the_model_is_flat_and_takes_pixels(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    import keras

    model = make_tiny()
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.input_shape == (None, 32, 32, 3)
    pixels, _ = blobs(4, 3, seed=0)
    scores = np.asarray(model(pixels.astype(np.float32)))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    rescale = model.get_layer("rescale_pixels")
    expected = get_info(model).preprocessing.apply(pixels)
    np.testing.assert_allclose(rescale(pixels.astype(np.float32)), expected, atol=1e-5)


def test_three_scales_reach_the_first_layer(
    tiny_backbone: type[Backbone], blobs: Callable[..., Any]
) -> None:
    contract = Preprocessing.from_mean_std(mean=(124, 116, 104), std=(58, 57, 56))
    model = build(make_backbone(tiny_backbone, preprocessing=contract))
    pixels = blobs(2, 2, seed=0)[0].astype(np.float32)
    found = np.asarray(model.get_layer("rescale_pixels")(pixels))
    np.testing.assert_allclose(found, contract.apply(pixels), atol=1e-5)
    assert np.abs(found[..., ::-1] - contract.apply(pixels)).max() > 0.01


def test_equal_seeds_give_equal_weights(tiny_backbone: type[Backbone]) -> None:
    first, again, other = (build(tiny_backbone(), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not all(np.array_equal(x, y) for x, y in zip(first, other, strict=True))


@pytest.mark.parametrize(("output", "rank"), [("tokens", 3), ("vector", 2)])
def test_other_outputs_are_pooled(tiny_backbone: type[Backbone], output: str, rank: int) -> None:
    from keras import layers

    def make(self: Backbone, inputs: Any) -> Any:
        x = tiny_backbone.build(self, inputs)
        x = layers.Reshape((16, 8))(x)
        return x if rank == 3 else layers.GlobalAveragePooling1D()(x)

    model = build(make_backbone(tiny_backbone, output=output, build=make))
    assert stage_tensor(model, "backbone").shape == (None, 8)


def test_a_backbone_that_returns_another_rank_is_named(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(ContractError, match=r"'tiny'.*rank 2.*Received"):
        build(make_backbone(tiny_backbone, output="vector"))
    with pytest.raises(ContractError, match="NoneType"):
        build(make_backbone(tiny_backbone, build=lambda self, inputs: None))


def test_a_nested_backbone_is_refused(tiny_backbone: type[Backbone]) -> None:
    import keras

    def nest(self: Backbone, inputs: Any) -> Any:
        inner = keras.Input(inputs.shape[1:])
        return keras.Model(inner, tiny_backbone.build(self, inner), name="inner")(inputs)

    with pytest.raises(ModelError, match=r"flat graph.*'inner'"):
        build(make_backbone(tiny_backbone, build=nest))


def test_a_stage_must_end_at_a_layer(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        build(make_backbone(tiny_backbone, stages=(Stage("stem", "nowhere"),)))


def test_images_may_not_be_too_small(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(ModelError, match=r"at least 32 px.*size=16"):
        build(tiny_backbone(), image_size=16)
    for options in ({"image_size": 48}, {"size": 48}):
        model = build(tiny_backbone(), **options)
        assert model.input_shape == (None, 48, 48, 3)
        assert get_info(model).size == 48


def test_pretrained_weights_are_asked_for(tiny_backbone: type[Backbone]) -> None:
    with pytest.raises(WeightsError, match="names no pretrained weights"):
        build(tiny_backbone(), weights="default")


def test_a_file_of_weights_reaches_the_backbone(
    tiny_backbone: type[Backbone], tmp_path: Any
) -> None:
    def load(self: Backbone, model: Any, path: Any) -> None:
        for variable in model.get_layer("stem_conv").weights:
            variable.assign(np.full(variable.shape, float(path.read_text())))

    file = tmp_path / "weights.txt"
    file.write_text("0.25")
    model = build(make_backbone(tiny_backbone, load_weights=load), weights=file)
    assert np.unique(model.get_layer("stem_conv").get_weights()[0]).tolist() == [0.25]
    assert get_info(model).weights.source == str(file)
    with pytest.raises(WeightsError, match="reads no weights"):
        build(tiny_backbone(), weights=file)


def test_the_head_sees_the_targets(tiny_backbone: type[Backbone]) -> None:
    from tfxfer_heads import Regression

    head = Regression()
    build(tiny_backbone(), head=head, labels=["value"], targets=np.array([[1.0], [3.0]]))
    assert (head.mean, head.std) == ((2.0,), (1.0,))


def test_stages_partition_the_layers(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    owner = map_layers_to_stages(model)
    assert owner["rescale_pixels"] == owner["stem_conv"] == "stem"
    assert owner["block_2_conv"] == owner["block_2_add"] == "block_2"
    assert owner["pool"] == "backbone"
    assert owner["head_dense"] is None
    assert layers_up_to(model, None) == []
    counts = [len(layers_up_to(model, stage.name)) for stage in get_info(model).stages]
    assert counts == sorted(set(counts))
    assert stage_tensor(model, None) is model.inputs[0]


@pytest.mark.parametrize(
    ("stage", "trained"),
    [
        ("backbone", set()),
        ("block_2", {"block_3_conv"}),
        ("stem", {"block_1_conv", "block_2_conv", "block_3_conv"}),
        (None, {"stem_conv", "block_1_conv", "block_2_conv", "block_3_conv"}),
    ],
)
def test_freezing_trains_what_follows_and_no_batch_norm(
    make_tiny: Callable[..., Any], stage: str | None, trained: set[str]
) -> None:
    model = make_tiny()
    freeze_to(model, stage)
    moving = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert moving == trained | {"head_dense"}
    freeze_to(model, stage, batch_norm=True)
    moving = {weight.path.split("/")[0] for weight in model.trainable_weights}
    norms = {name.replace("_conv", "_bn") for name in trained}
    assert moving == trained | {"head_dense"} | norms


def list_moving(model: Any) -> set[str]:
    return {weight.path for weight in model.trainable_weights}


def test_freezing_takes_a_fraction_as_schedules_do(make_tiny: Callable[..., Any]) -> None:
    model, same = make_tiny(), make_tiny()
    names = [stage.name for stage in get_info(model).stages]
    for fraction in (0.0, 0.3, 0.5, np.float32(0.75), 1.0):
        (phase,) = resolve_schedule([Phase("p", float(fraction), 1, 1e-3)], names)
        freeze_to(model, fraction)
        freeze_to(same, phase.stage)  # type: ignore[arg-type]
        assert list_moving(model) == list_moving(same)
    freeze_to(model, 0.5)
    freeze_to(same, "block_1")
    assert list_moving(model) == list_moving(same)
    freeze_to(same, "block_2")
    assert list_moving(same) < list_moving(model)


@pytest.mark.parametrize(
    "stage", [True, False, 0, 1, 11, -0.1, 1.5, float("nan"), ["stem"], b"stem"]
)
def test_what_is_no_fraction_is_refused_in_one_line(
    make_tiny: Callable[..., Any], stage: Any
) -> None:
    model = make_tiny()
    before = list_moving(model)
    with pytest.raises(
        ScheduleError, match=r"a fraction.* such as 0.5. Received: stage="
    ) as caught:
        freeze_to(model, stage)
    assert "\n" not in str(caught.value)
    assert list_moving(model) == before


def test_a_slip_in_a_stage_is_told_with_what_was_meant(make_tiny: Callable[..., Any]) -> None:
    with pytest.raises(ScheduleError, match=r"'blok_2'. Did you mean 'block_2'\?"):
        freeze_to(make_tiny(), "blok_2")
    with pytest.raises(ScheduleError, match=r"no stage 'top'. Expected one of"):
        stage_tensor(make_tiny(), "top")


def test_normalization_of_a_head_is_trained(make_tiny: Callable[..., Any]) -> None:
    import keras

    tiny = make_tiny()
    x = keras.layers.BatchNormalization(name="head_bn")(tiny.get_layer("pool").output)
    model = keras.Model(tiny.inputs[0], keras.layers.Dense(3, name="head_dense")(x))
    attach_info(model, get_info(tiny))
    freeze_to(model, "backbone")
    moving = {weight.path for weight in model.trainable_weights}
    assert {"head_bn/gamma", "head_bn/beta"} <= moving
    assert not any(path.startswith("block") for path in moving)


def test_freezing_an_unknown_stage_changes_nothing(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    before = [layer.trainable for layer in model.layers]
    with pytest.raises(ScheduleError, match=r"no stage 'block_9'.*stem, block_1"):
        freeze_to(model, "block_9")
    assert [layer.trainable for layer in model.layers] == before


def test_freezing_compiles_a_compiled_model_again(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    pixels, targets = blobs(8, 3, seed=0)
    model = make_tiny()
    freeze_to(model, None)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    old = model.optimizer
    freeze_to(model, "backbone")
    before = model.get_layer("block_3_conv").get_weights()[0]
    model.train_on_batch(pixels.astype(np.float32), targets)
    assert model.optimizer is not old
    assert np.array_equal(before, model.get_layer("block_3_conv").get_weights()[0])
    # A model that is only marked goes on as it was compiled.
    model.compile("sgd", "categorical_crossentropy")
    optimizer = model.optimizer
    set_trainable(model, None)
    assert model.optimizer is optimizer


def test_parameters_are_counted(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    assert count_parameters(model.weights) == model.count_params()


def test_what_tfxfer_knows_can_be_attached_to_any_flat_model(make_tiny: Callable[..., Any]) -> None:
    import keras

    info = get_info(make_tiny())
    plain = keras.models.clone_model(make_tiny())
    with pytest.raises(ModelError, match="attach_info"):
        get_info(plain)
    attach_info(plain, info)
    freeze_to(plain, "block_1")
    assert get_info(plain) is info


def test_a_saved_model_needs_keras_alone(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any], tmp_path: Any
) -> None:
    import keras

    model, pixels = make_tiny(), blobs(2, 3, seed=0)[0].astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    modules = {type(layer).__module__.split(".")[0] for layer in loaded.layers}
    assert modules == {"keras"}
    np.testing.assert_allclose(loaded(pixels), model(pixels), atol=1e-6)
