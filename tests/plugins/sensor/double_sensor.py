"""Windows of a three-axis accelerometer in `.npy` files, and a 1-D convolutional backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer import Backbone, ContractError, DataError, Findings, InputSpec, Modality, Sample, Stage

if TYPE_CHECKING:
    import numpy as np

AXES = 3


@dataclass(frozen=True)
class Calibration:
    """What the weights expect: `(value - zero) / range` on each axis.

    Units: zero and range in the sensor's own, such as g.
    """

    zero: tuple[float, ...] = (0.0,) * AXES
    range: tuple[float, ...] = (1.0,) * AXES

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class SensorModality(Modality):
    """Windows of `size` steps, cut from the middle; each file holds (steps, 3) numbers."""

    name = "double_sensor"
    noun = "window"
    plural = "windows"
    size_unit = "steps"
    suffixes: ClassVar[frozenset[str]] = frozenset({".npy"})
    levels = ("none", "light")
    view_options: ClassVar[Mapping[str, Any]] = {"jitter": 0.05}

    def check_contract(self, contract: Any) -> None:
        if not isinstance(contract, Calibration):
            raise ContractError(
                "windows: expected a Calibration as preprocessing. "
                f"Received: preprocessing={contract!r}."
            )

    def read_contract(self, data: Mapping[str, Any]) -> Calibration:
        return Calibration(zero=tuple(data["zero"]), range=tuple(data["range"]))

    def inspect(self, sample: Sample) -> Findings:
        try:
            values = _load(sample.path)
        except (OSError, EOFError, ValueError) as error:
            return Findings(fault=("corrupt", str(error)))
        sha256 = hashlib.sha256(Path(str(sample.path)).read_bytes()).hexdigest()
        flat = ("one value all over",) if float(values.std()) == 0 else ()
        return Findings(sha256, hashlib.sha256(values.tobytes()).hexdigest(), doubts=flat)

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {"window": InputSpec((size, AXES))}

    def build_inputs(self, size: int, contract: Calibration) -> Any:
        import keras

        scale = [1 / width for width in contract.range]
        offset = [-zero / width for zero, width in zip(contract.zero, contract.range, strict=True)]
        return keras.layers.Rescaling(scale, offset, name="calibrate")(
            super().build_inputs(size, contract)
        )

    def read(
        self,
        sample: Sample,
        *,
        size: int,
        contract: Any,
        views: Sequence[int] = (0,),
        level: str = "none",
        seed: int = 0,
        index: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> np.ndarray:
        import numpy as np

        complete = self.complete_options(level, options or {})
        try:
            values = _load(sample.path)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(
                f"window {sample.name!r}: expected (steps, {AXES}) numbers. Received: {error}."
            ) from error
        start = max(0, (len(values) - size) // 2)
        plain = np.zeros((size, AXES), np.float32)
        cut = values[start : start + size]
        plain[: len(cut)] = cut
        made = np.repeat(plain[None], len(views), axis=0)
        for row, view in enumerate(views):
            if view and level != "none":
                rng = np.random.default_rng((seed, index, view))
                made[row] += rng.normal(0, complete["jitter"], plain.shape).astype(np.float32)
        return made


def _load(path: Path | None) -> np.ndarray:
    import numpy as np

    values = np.load(str(path), allow_pickle=False)
    if values.ndim != 2 or values.shape[1] != AXES or values.dtype.kind not in "fiu":
        raise ValueError(f"an array of {values.dtype} and shape {values.shape}")
    return values.astype(np.float32)


class SensorConv(Backbone):
    """Three strided convolutions over time; the last has features that tell rhythms apart."""

    name = "double_sensor_conv"
    family = "double"
    modality = "double_sensor"
    default_size = 64
    min_size = 16
    preprocessing = Calibration(zero=(0.0, 0.0, 1.0), range=(0.1, 0.1, 0.1))
    output = "tokens"
    stages = tuple(Stage(f"block_{number}", f"block_{number}_relu") for number in (1, 2, 3))

    def build(self, inputs: Any) -> Any:
        from keras import layers

        x = inputs
        for number, filters in ((1, 8), (2, 16), (3, 32)):
            x = layers.Conv1D(filters, 5, strides=2, padding="same", name=f"block_{number}_conv")(x)
            x = layers.BatchNormalization(name=f"block_{number}_bn")(x)
            x = layers.ReLU(name=f"block_{number}_relu")(x)
        return x
