"""EfficientNet-B0 to B3 and EfficientNetV2-B0 from `keras.applications`, flat and deterministic."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import Any

from tfxfer.backbone import Backbone, Stage, Weights
from tfxfer.errors import WeightsError
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import find_inputs, replace_layers

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetV2B0",
]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
# B: rescale by 1/255, then Normalization. Its published file stores the standard deviations where
# the layer expects variances, so it divides by sqrt(std); Keras adds a further 1/sqrt(std) for
# weights="imagenet" to mend that (tensorflow issue 49930). Together: (x / 255 - mean) / std, which
# is also what V2 does with include_preprocessing=True.
_PREPROCESSING = Preprocessing.from_mean_std(
    mean=(255 * _MEAN[0], 255 * _MEAN[1], 255 * _MEAN[2]),
    std=(255 * _STD[0], 255 * _STD[1], 255 * _STD[2]),
)
_URL_B = "https://storage.googleapis.com/keras-applications/"
_URL_V2 = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"


def _stages(*, repeats: tuple[int, ...], first_end: str) -> tuple[Stage, ...]:
    """Returns the cuts at block ends; only a group's first block has no addition."""
    ends = []
    for group, count in enumerate(repeats, start=1):
        for repeat in range(count):
            block = f"block{group}{chr(ord('a') + repeat)}"
            ends.append(f"{block}_add" if repeat else f"{block}_project_bn")
    ends[0] = first_end
    blocks = tuple(Stage(f"block_{i}", end) for i, end in enumerate(ends, start=1))
    return (Stage("stem", "stem_activation"), *blocks, Stage("top", "top_activation"))


def _stages_b(depth: float) -> tuple[Stage, ...]:
    repeats = tuple(math.ceil(depth * count) for count in (1, 2, 2, 3, 3, 4, 1))
    return _stages(repeats=repeats, first_end="block1a_project_bn")


def _imagenet(url: str, file: str, md5: str) -> dict[str, Weights]:
    origin = "ImageNet-1k, published by Keras"
    return {"imagenet": Weights(licence="Apache-2.0", url=url + file, md5=md5, origin=origin)}


class _KerasEfficientNet(Backbone):
    """What the families share: Keras's own graph without its rescaling and its Dropout."""

    preprocessing = _PREPROCESSING
    output = "map"
    quantization = ("swish", "squeeze-excite")
    licence = "Apache-2.0"

    @classmethod
    @abstractmethod
    def _application(cls, **arguments: Any) -> Any:
        """Returns the untouched Keras model, with random weights."""

    def build(self, inputs: Any) -> Any:
        """Returns the map after the head convolution, with random weights.

        What lies before `inputs` is kept, but made anew with the rest of the graph.

        Shapes: (batch, size, size, 3) → (batch, ceil(size / 32), ceil(size / 32), channels).
        """
        import keras

        # A rescaling of the caller's is not ours to take out.
        upstream = {layer.name for layer in keras.Model(find_inputs(inputs), inputs).layers}
        output = self._application(include_top=False, input_tensor=inputs).output

        def replace(layer: Any) -> Any | None:
            if layer.name in upstream:
                return None
            if isinstance(layer, keras.layers.Dropout):
                return keras.layers.Identity(name=layer.name)
            # Keras numbers these two by how many the process has made: name them ourselves.
            if isinstance(layer, keras.layers.Rescaling):
                return keras.layers.Identity(name="stem_rescaling_removed")
            if isinstance(layer, keras.layers.Normalization):
                return keras.layers.Identity(name="stem_normalization_removed")
            return None

        return replace_layers(output, replace)

    def load_weights(self, model: Any, path: Path) -> None:
        """Reads a Keras weights file of this variant; sets every array, or none and raises.

        Args:
            model: `keras.Model` that holds the layers of `build` by name.
            path: `.weights.h5` or Keras's older `.h5`, of the whole network or without its top.

        Raises:
            WeightsError: the file is of another network, has gaps, or its input normalisation
                is not the one that `preprocessing` stands for.
        """
        source = self._read(path)
        planned = []
        for layer in source.layers:
            values = layer.get_weights()
            if not values or layer.name == "predictions":
                continue
            if type(layer).__name__ == "Normalization":
                self._check_normalization(values, path)
                continue
            planned.append((self._target(model, layer), values))
        for layer, values in planned:
            layer.set_weights(values)

    def _read(self, path: Path) -> Any:
        """Returns the untouched Keras model with the file's weights in it."""
        import keras
        import numpy as np

        # Weights do not depend on the image size: take the smallest.
        shape = (self.min_image_size, self.min_image_size, 3)
        try:
            classes = _classes_of(path)
            if classes is None:
                source = self._application(include_top=False, input_shape=shape)
            else:
                source = self._application(
                    include_top=True, input_shape=shape, classes=classes, classifier_activation=None
                )
            # A loader that skips an array leaves NaN behind, which the check below sees.
            for weight in source.weights:
                if keras.backend.is_float_dtype(weight.dtype):
                    weight.assign(np.full(weight.shape, np.nan, "float32"))
            with warnings.catch_warnings():
                # Keras warns of what it skips, and goes on; here that ends in an error below.
                warnings.simplefilter("ignore", UserWarning)
                source.load_weights(path)
        except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"weights of {self.name!r}: expected a Keras file (.weights.h5 or .h5) of "
                f"keras.applications' {self.name}, with or without its top. "
                f"Received: path={str(path)!r}. {_first_line(error)}"
            ) from error
        for weight in source.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise WeightsError(
                    f"weights of {self.name!r}: expected finite numbers for every array. "
                    f"Received: none, NaN or infinity for {weight.path!r} in path={str(path)!r}."
                )
        return source

    def _check_normalization(self, values: list[Any], path: Path) -> None:
        """Refuses a file that was trained behind another input normalisation than ours.

        The published files store `std` as the variance (mended by Keras's extra layer); a file
        written from a plain Normalization(mean, variance) stores `std ** 2`. Both mean the same
        network input. What Keras makes of weights=None, mean 0 and variance 1, does not.
        """
        import numpy as np

        mean, variance = (np.ravel(value) for value in values[:2])
        known = [np.array(_STD), np.array(_STD) ** 2]
        if not np.allclose(mean, _MEAN, atol=1e-4) or not any(
            np.allclose(variance, std, atol=1e-4) for std in known
        ):
            raise WeightsError(
                f"weights of {self.name!r}: expected a network trained on "
                f"(pixel / 255 - {_MEAN}) / {_STD}. Received: Normalization with "
                f"mean={mean.tolist()}, variance={variance.tolist()} in path={str(path)!r}. "
                "A file saved from weights=None without adapt() has mean 0 and variance 1: it was "
                "never given ImageNet's statistics."
            )

    def _target(self, model: Any, source: Any) -> Any:
        expected = [tuple(weight.shape) for weight in source.weights]
        try:
            layer = model.get_layer(source.name)
        except ValueError as error:
            raise WeightsError(
                f"weights of {self.name!r}: expected a model with the layer {source.name!r}, as "
                f"build() makes it. Received: model={model.name!r} without it."
            ) from error
        received = [tuple(weight.shape) for weight in layer.weights]
        if received != expected:
            raise WeightsError(
                f"weights of {self.name!r}, layer {source.name!r}: expected shapes {expected}. "
                f"Received: {received} in model={model.name!r}."
            )
        return layer


def _first_line(error: BaseException) -> str:
    return f"Keras says: {str(error).strip().splitlines()[0][:200]}" if str(error).strip() else ""


def _classes_of(path: Path) -> int | None:
    """Returns how many classes the file's top has, or None for a file without a top."""
    import h5py  # type: ignore[import-untyped]

    shapes: list[tuple[int, ...]] = []

    def note(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            shapes.append(item.shape)

    with h5py.File(path, "r") as file:
        # Keras 3 names layers by class, the older format by name; the older may be a whole model.
        group = file.get("layers", file.get("model_weights", file))
        for name in ("dense", "predictions"):
            if name in group:
                group[name].visititems(note)
    return max((shape[-1] for shape in shapes if len(shape) == 1), default=None)


class _EfficientNetB(_KerasEfficientNet):
    family = "efficientnet_b"


class EfficientNetB0(_EfficientNetB):
    """EfficientNet-B0: 4.0 M parameters without its top, 224 px."""

    name = "efficientnet_b0"
    default_image_size = 224
    stages = _stages_b(1.0)
    weights = _imagenet(_URL_B, "efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d")

    @classmethod
    def _application(cls, **arguments: Any) -> Any:
        from keras.applications import EfficientNetB0 as Application

        return Application(weights=None, **arguments)


class EfficientNetB1(_EfficientNetB):
    """EfficientNet-B1: 6.6 M parameters without its top, 240 px."""

    name = "efficientnet_b1"
    default_image_size = 240
    stages = _stages_b(1.1)
    weights = _imagenet(_URL_B, "efficientnetb1_notop.h5", "74c4e6b3e1f6a1eea24c589628592432")

    @classmethod
    def _application(cls, **arguments: Any) -> Any:
        from keras.applications import EfficientNetB1 as Application

        return Application(weights=None, **arguments)


class EfficientNetB2(_EfficientNetB):
    """EfficientNet-B2: 7.8 M parameters without its top, 260 px."""

    name = "efficientnet_b2"
    default_image_size = 260
    stages = _stages_b(1.2)
    weights = _imagenet(_URL_B, "efficientnetb2_notop.h5", "111f8e2ac8aa800a7a99e3239f7bfb39")

    @classmethod
    def _application(cls, **arguments: Any) -> Any:
        from keras.applications import EfficientNetB2 as Application

        return Application(weights=None, **arguments)


class EfficientNetB3(_EfficientNetB):
    """EfficientNet-B3: 10.8 M parameters without its top, 300 px."""

    name = "efficientnet_b3"
    default_image_size = 300
    stages = _stages_b(1.4)
    weights = _imagenet(_URL_B, "efficientnetb3_notop.h5", "af6d107764bb5b1abb91932881670226")

    @classmethod
    def _application(cls, **arguments: Any) -> Any:
        from keras.applications import EfficientNetB3 as Application

        return Application(weights=None, **arguments)


class EfficientNetV2B0(_KerasEfficientNet):
    """EfficientNetV2-B0: 5.9 M parameters without its top, 224 px."""

    name = "efficientnetv2_b0"
    family = "efficientnet_v2"
    default_image_size = 224
    stages = _stages(repeats=(1, 2, 2, 3, 5, 8), first_end="block1a_project_activation")
    weights = _imagenet(_URL_V2, "efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff")

    @classmethod
    def _application(cls, **arguments: Any) -> Any:
        from keras.applications import EfficientNetV2B0 as Application

        return Application(weights=None, include_preprocessing=False, **arguments)
