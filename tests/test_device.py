from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import DeviceError, Phase, UsageError, fit
from tfxfer import device as device_module
from tfxfer.device import Device, choose_device, prepare_device
from tfxfer.training.layer_state import saved_precision, training_precision

BFLOAT16 = "mixed_bfloat16"


@pytest.mark.parametrize(
    ("request_", "gpus", "kind"),
    [
        ("auto", [], "cpu"),
        ("auto", ["GPU:0", "GPU:1"], "gpu"),
        ("cpu", [], "cpu"),
        ("cpu", ["GPU:0"], "cpu"),
        ("gpu", ["GPU:0"], "gpu"),
    ],
)
def test_the_device_is_chosen(request_: str, gpus: list[str], kind: str) -> None:
    found = choose_device(request_, gpus)
    assert found.kind == kind
    on_gpu = kind == "gpu"
    assert found.name == ("GPU:0" if on_gpu else "CPU")
    assert found.precision == (BFLOAT16 if on_gpu else "float32")
    assert found.jit_compile is on_gpu


def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(DeviceError, match=r"device 'gpu'.*Received: none.*--device cpu"):
        choose_device("gpu", [])
    with pytest.raises(UsageError, match="device='tpu'"):
        choose_device("tpu", ["GPU:0"])


def test_the_backend_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    hidden: list[Any] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert prepare_device() == choose_device("auto", [])
    gpus = [type("Gpu", (), {"name": "GPU:0"})()]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *args: hidden.append(args))
    assert prepare_device("cpu").kind == "cpu"
    assert hidden == [([], "GPU")]
    grown: list[Any] = []
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *args: grown.append(args)
    )
    assert prepare_device("gpu").name == "GPU:0"
    assert grown == [(gpus[0], True)]

    def fail(*_: Any) -> None:
        raise RuntimeError("has been initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", fail)
    with pytest.raises(DeviceError, match="has not computed yet"):
        prepare_device("cpu")


def test_jax_always_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(device_module, "list_gpus", list)
    assert prepare_device("cpu") == Device("cpu", "CPU", jit_compile=True)


def policies(model: Any) -> set[str]:
    return {layer.dtype_policy.name for layer in model.layers}


def test_precision_changes_what_is_computed_and_comes_back(
    make_tiny: Callable[..., Any], blobs: Callable[..., Any], tmp_path: Path
) -> None:
    import keras

    model, pixels = make_tiny(), blobs(4, 3, seed=0)[0].astype(np.float32)
    exact = np.asarray(model(pixels))
    with contextlib.suppress(KeyboardInterrupt), training_precision(model, BFLOAT16):
        coarse = np.asarray(model(pixels))
        assert model.get_layer("block_1_conv").compute_dtype == "bfloat16"
        # The head's logits are not rounded to three digits.
        assert model.get_layer("head_dense").compute_dtype == "float32"
        assert {weight.dtype for weight in model.weights} == {"float32"}
        with saved_precision(model, BFLOAT16):
            assert policies(model) == {"float32"}
            model.save(tmp_path / "model.keras")
        assert policies(model) == {"float32", BFLOAT16}
        model.save(tmp_path / "coarse.keras")
        raise KeyboardInterrupt
    assert policies(model) == {"float32"}
    assert np.array_equal(model(pixels), exact)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert policies(loaded) == {"float32"}
    np.testing.assert_allclose(loaded(pixels), exact, atol=1e-6)
    # Both checks fail for what was saved in the other precision.
    assert np.abs(coarse - exact).max() > 1e-6
    assert BFLOAT16 in policies(keras.models.load_model(tmp_path / "coarse.keras"))


def test_float32_changes_nothing(make_tiny: Callable[..., Any]) -> None:
    model = make_tiny()
    with training_precision(model, "float32"), saved_precision(model, "float32"):
        assert policies(model) == {"float32"}


def test_a_training_in_bfloat16_saves_float32(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], tmp_path: Path
) -> None:
    import keras

    model, computed = make_tiny(), []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            computed.append(model.get_layer("block_3_conv").compute_dtype)

    history = fit(
        model,
        pair(),
        schedule=[Phase("up", "block_2", 4, 2e-2)],
        device=Device("cpu", "CPU", precision=BFLOAT16),
        batch_size=8,
        callbacks=[Watch(), keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")],
        verbose=0,
    )
    assert set(computed) == {"bfloat16"}
    assert policies(model) == {"float32"}
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    best = history.state.best_epoch + 1
    loaded = keras.models.load_model(tmp_path / f"{best}.keras")
    assert policies(loaded) == {"float32"}
    pixels = next(iter(pair()[1]))[0]
    np.testing.assert_allclose(loaded(pixels), model(pixels), atol=1e-6)
