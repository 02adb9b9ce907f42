"""LoRA: what trains, and that merging changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfxfer.keeping.low_rank import adapt_layers, merge_layers
from tfxfer.stages import layers_up_to, set_trainable


def test_only_adapters_and_the_head_train_and_merging_is_exact(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any]
) -> None:
    model, plain = make_tiny(seed=3), make_tiny(seed=4)
    pixels, targets = blobs(8, 3, seed=0)
    pixels = pixels.astype(np.float32)
    before = model.predict_on_batch(pixels)
    kernels = {x.name: np.array(x.kernel) for x in model.layers if hasattr(x, "enable_lora")}
    names = adapt_layers(layers_up_to(model, "backbone"), rank=1, seed=0)
    assert names == ("stem_conv", "block_1_conv", "block_2_conv", "block_3_conv")
    # B is zero: nothing has changed yet.
    assert np.abs(model.predict_on_batch(pixels) - before).max() < 1e-6
    set_trainable(model, "stem")
    trained = {variable.path for variable in model.trainable_variables}
    assert trained == {
        *(f"block_{n}_conv/lora_kernel_{part}" for n in (1, 2, 3) for part in "ab"),
        "head_dense/kernel",
        "head_dense/bias",
    }
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.learning_rate = 0.05
    model.fit(pixels, targets, epochs=3, verbose=0)
    after = model.predict_on_batch(pixels)
    assert np.abs(after - before).max() > 1e-2
    merge_layers(model, plain)
    assert np.abs(plain.predict_on_batch(pixels) - after).max() < 1e-5
    assert not any(getattr(layer, "lora_enabled", False) for layer in plain.layers)
    moved = np.array(plain.get_layer("block_2_conv").kernel) - kernels["block_2_conv"]
    # Of a convolution each position's matrix has the rank, and all share B.
    singular = np.linalg.svd(moved.reshape(-1, moved.shape[-1]), compute_uv=False)
    assert singular[0] > 1e-3
    assert singular[1] < 1e-5 * max(1, singular[0])
    still = np.array(plain.get_layer("stem_conv").kernel)
    assert (still == kernels["stem_conv"]).all()


def test_a_kernel_smaller_than_its_adapter_is_left_alone(make_tiny: Callable[..., Any]) -> None:
    assert adapt_layers(layers_up_to(make_tiny(), "backbone"), rank=64) == ()
