from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer import WeightsError
from tfxfer.surgery import (
    copy_weights,
    list_operations,
    name_anonymous,
    replace_layers,
)

pytestmark = pytest.mark.versions

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)


def make_network(filters: int = 4) -> Any:
    """Returns a rescale, two branches that meet, and a Dropout."""
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3), name="pixels")
    x = layers.Rescaling(1 / 255, name="inner_rescaling")(inputs)
    x = layers.Conv2D(filters, 3, padding="same", name="conv")(x)
    y = layers.Dropout(0.5, name="drop")(layers.ReLU(name="relu")(x))
    x = layers.Add(name="add")([x, y])
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x))


def test_layers_are_exchanged_and_the_graph_stays_flat() -> None:
    import keras

    model = make_network()
    kinds = (keras.layers.Rescaling, keras.layers.Dropout)

    def identity(layer: Any) -> Any | None:
        return keras.layers.Identity(name=layer.name) if isinstance(layer, kinds) else None

    output = replace_layers(model.output, identity)
    changed = keras.Model(*keras.utils.get_source_inputs(output), output)
    assert {type(layer).__name__ for layer in changed.layers}.isdisjoint({"Rescaling", "Dropout"})
    assert not any(isinstance(layer, keras.Model) for layer in changed.layers)
    assert changed.inputs[0] is model.inputs[0]
    copy_weights(model, changed)
    plain = np.asarray(model(PIXELS, training=False))
    np.testing.assert_allclose(changed(PIXELS / 255, training=True), plain, rtol=1e-5)
    assert np.abs(np.asarray(changed(PIXELS)) - plain).max() > 1  # the rescale is gone


def test_each_layer_of_the_new_graph_has_one_output() -> None:
    import keras

    model = make_network()
    changed = keras.Model(model.inputs, replace_layers(model.output, lambda layer: None))
    assert [layer.name for layer in changed.layers] == [layer.name for layer in model.layers]
    for layer in changed.layers[1:]:  # the input is the same
        assert layer is not model.get_layer(layer.name)
        behind = keras.Model(changed.inputs, layer.output).layers
        assert {id(each) for each in behind} <= {id(each) for each in changed.layers}
    assert changed.output is changed.get_layer("pool").output
    # A layer that is called a second time still names what it gave the first time.
    other = keras.Input((8, 8, 4))
    again = keras.Model(other, model.get_layer("pool")(other))
    assert again.output is not again.get_layer("pool").output


def test_weights_are_copied_by_name_and_counted() -> None:
    import keras

    source, target = make_network(), make_network()
    with_head = keras.Model(
        target.inputs, keras.layers.Dense(2, name="head")(target.get_layer("pool").output)
    )
    before = with_head.get_layer("head").get_weights()
    assert copy_weights(source, with_head) == 2
    np.testing.assert_array_equal(
        with_head.get_layer("conv").get_weights()[0], source.get_layer("conv").get_weights()[0]
    )
    np.testing.assert_array_equal(with_head.get_layer("head").get_weights()[0], before[0])


def test_what_does_not_fit_leaves_the_target_as_it_was() -> None:
    import keras

    source, target = make_network(), make_network(filters=5)
    before = target.get_weights()
    with pytest.raises(WeightsError, match=r"layer 'conv': expected shapes .*5.*Received.*4"):
        copy_weights(source, target)
    top = keras.Model(
        source.inputs, keras.layers.Dense(2, name="top")(source.get_layer("pool").output)
    )
    with pytest.raises(WeightsError, match="expected a layer 'top'"):
        copy_weights(top, make_network())
    for old, new in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sequential_on_the_way_is_opened() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential([layers.Conv2D(2, 1, name="a"), layers.ReLU(name="b")], name="inner")
    outer = keras.Sequential([inner, layers.Conv2D(2, 1, name="c")], name="outer")
    model = keras.Model(inputs, outer(inputs))
    flat = keras.Model(
        inputs,
        replace_layers(
            model.output,
            lambda layer: layers.Identity(name="b") if layer.name == "b" else None,
        ),
    )
    assert [layer.name for layer in flat.layers[1:]] == ["a", "b", "c"]
    assert type(flat.get_layer("b")).__name__ == "Identity"
    assert copy_weights(model, flat) == 4
    np.testing.assert_array_equal(flat.get_weights()[0], model.get_weights()[0])


def test_names_follow_the_last_operation_that_has_one() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    before = layers.Conv2D(3, 1)(inputs)
    x = layers.ReLU()(layers.Conv2D(4, 1)(before))
    x = named = layers.Conv2D(4, 1, name="named")(x)
    # "named_conv_2" is taken, and a path of its own ends behind that of "named".
    y = layers.Conv2D(4, 1)(layers.Conv2D(4, 1, name="named_conv_2")(named))
    x = layers.MaxPooling2D(1)(layers.Conv2D(4, 1)(layers.Conv2D(4, 1)(x)))
    output = (x + y) * 2.0
    operations = list_operations(output, inputs=before)
    names = name_anonymous(operations)
    given = {names.get(id(operation), operation.name) for operation in operations}
    assert given == {
        *("stem_conv", "stem_act", "named", "named_conv", "named_conv_2", "named_conv_3"),
        *("named_conv_2_conv", "named_pool", "named_conv_2_add", "named_conv_2_multiply"),
    }
    assert len(given) == len(operations)
