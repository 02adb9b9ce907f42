"""Which device trains, in which precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfxfer.errors import DeviceError, UsageError

__all__ = ["Device", "choose_device", "list_gpus", "prepare_device"]


@dataclass(frozen=True)
class Device:
    """What trains.

    Args:
        kind: `cpu` or `gpu`.
        name: as the backend calls it.
        precision: Keras dtype policy while training; the saved model is always float32.
        jit_compile: whether XLA compiles the training step. Never on a CPU under TensorFlow:
            inference of MobileNetV2 fell from 79 to 7.5 images a second. Always under JAX, which
            otherwise runs one operation at a time.
    """

    kind: str
    name: str
    precision: str = "float32"
    jit_compile: bool = False


def choose_device(request: str, gpus: Sequence[str]) -> Device:
    """Returns what trains.

    Args:
        request: `auto` takes a GPU where there is one, `cpu`, or `gpu`.
        gpus: names of the GPUs the backend sees.

    Raises:
        DeviceError: a GPU is asked for and there is none.
        UsageError: another word.

    Example:
        >>> choose_device("auto", []).kind, choose_device("auto", ["GPU:0"]).precision
        ('cpu', 'mixed_bfloat16')
    """
    if request not in ("auto", "cpu", "gpu"):
        raise UsageError(f"device: expected 'auto', 'cpu' or 'gpu'. Received: device={request!r}.")
    if request == "gpu" and not gpus:
        raise DeviceError(
            "device 'gpu': expected a GPU that the backend sees. Received: none. Install "
            "`tensorflow[and-cuda]` of the same version, check `nvidia-smi`, or use --device cpu."
        )
    if request == "cpu" or not gpus:
        return Device("cpu", "CPU")
    return Device("gpu", gpus[0], precision="mixed_bfloat16", jit_compile=True)


def list_gpus() -> list[str]:
    """Returns the names of the GPUs that Keras's backend sees."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [device.name for device in tf.config.list_physical_devices("GPU")]
    if keras.backend.backend() == "jax":
        import jax

        return [str(device) for device in jax.devices() if device.platform == "gpu"]
    return []


def prepare_device(request: str = "auto") -> Device:
    """Chooses the device and sets the backend up for it: memory growth on, GPUs hidden on `cpu`.

    Raises:
        DeviceError: see `choose_device`; or TensorFlow has started already and cannot change.
    """
    import keras

    device = choose_device(request, list_gpus())
    if keras.backend.backend() != "tensorflow":
        return replace(device, jit_compile=keras.backend.backend() == "jax")
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    try:
        if device.kind == "cpu" and gpus:
            tf.config.set_visible_devices([], "GPU")
        elif device.kind == "gpu":
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise DeviceError(
            f"device {request!r}: expected a process in which TensorFlow has not computed yet. "
            f"Received: {error}. Choose the device first."
        ) from error
    return device
