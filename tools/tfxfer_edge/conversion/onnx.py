"""The recipe `onnx`: Keras's own export, checked with onnxruntime."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ModelError
from tfxfer.keras_private import flatten_layers
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.bounded import MOST_MODEL_BYTES, LargeFileError, read_bytes
from tfxfer.system.files import atomic_write
from tfxfer.system.quiet import quiet_native
from tfxfer.system.scratch import scratch_folder
from tfxfer_edge.conversion.calibration import Calibration
from tfxfer_edge.conversion.copies import copy_model
from tfxfer_edge.conversion.ends import ModelInput
from tfxfer_edge.conversion.onnx_content import check_onnx_content
from tfxfer_edge.conversion.onnx_int8 import quantize_onnx
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source, open_source
from tfxfer_edge.door import find_door

if TYPE_CHECKING:
    from tfxfer_edge.conversion.converted import Converted

__all__ = ["OnnxModel", "convert_onnx", "export_onnx"]

_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
_TOLERANCE = 1e-3  # of the largest score; a good export differs by about 1e-6


def export_onnx(
    model: Any,
    path: str | Path,
    *,
    inputs: Sequence[ModelInput] | None = None,
    fills: Mapping[str, int] | None = None,
) -> None:
    """Writes a Keras model as ONNX, with a free batch dimension, and checks that it runs alike.

    The graph is the whole model: where it rescales pixels itself, the file does, too.

    Args:
        model: a Keras 3 model with one output, and inputs of known size.
        inputs: names and shapes of its inputs where it has several, or leaves a size free.
        fills: what an input holds where the file is tried, by its name; noise where none is named.
        path: of the `.onnx` file.

    Raises:
        ModelError: onnx, tf2onnx or onnxruntime are not installed, the model does not export, or
            the file's outputs differ.
        StorageError: the disk is full, or the folder cannot be written.
    """
    _require_packages()
    name = getattr(model, "name", type(model).__name__)
    model = _avoid_erfc(model)
    probe = _make_probe(model, inputs, fills or {})
    # First: Keras refuses to export a model that was loaded and never called.
    expected = np.asarray(model(probe, training=False))
    with atomic_write(path) as temporary:
        try:
            with quiet_native(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.export(str(temporary), format="onnx", verbose=False)
        except (OSError, MemoryError):
            raise  # a full disk is no fault of the model
        # tf2onnx raises what it likes.
        except Exception as error:
            raise ModelError(
                f"model {name!r}: expected a graph that Keras exports to ONNX. Received: "
                f"{(str(error).strip() or type(error).__name__).splitlines()[0]}"
            ) from error
        found = OnnxModel(temporary).run(probe)
        # Not `>`: a NaN would pass.
        if not np.abs(found - expected).max() <= _TOLERANCE * max(np.abs(expected).max(), 1e-6):
            raise ModelError(
                f"model {name!r}: expected its ONNX file to give equal scores. "
                f"Received: a difference of {np.abs(found - expected).max():.3g}."
            )


def _make_probe(
    model: Any, inputs: Sequence[ModelInput] | None, fills: Mapping[str, int]
) -> Arrays:
    if inputs is None or inputs[0].dtype == "float32":
        shape = tuple(model.inputs[0].shape)[1:]
        return np.linspace(0, 255, 2 * int(np.prod(shape)), dtype=np.float32).reshape(2, *shape)
    # Of whole numbers, such as those of tokens, 0 and 1 are never too large.
    rng = np.random.default_rng(0)
    probe = {x.name: rng.integers(0, 2, (2, *x.shape)).astype(x.dtype) for x in inputs}
    return {
        name: np.full_like(values, fills[name]) if name in fills else values
        for name, values in probe.items()
    }


def _avoid_erfc(model: Any) -> Any:
    """Returns a model whose GELUs are written with erf, the one of the two that tf2onnx knows."""
    import keras

    def is_gelu(layer: Any) -> bool:
        return getattr(layer, "activation", None) is keras.activations.gelu

    def copy(layer: Any) -> Any:
        found = type(layer).from_config(layer.get_config())
        if is_gelu(layer):
            found.activation = _gelu
        return found

    if not any(map(is_gelu, flatten_layers(model, include_self=False))):
        return model
    try:
        return copy_model(model, copy)
    except NotImplementedError:
        return model  # a layer that does not say how it is made: onnxruntime judges the file


def _gelu(x: Any) -> Any:
    from keras import ops

    return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))


class OnnxModel:
    """A model that onnxruntime runs on the CPU, with a free batch size.

    Args:
        path_or_content: the file, or its bytes.
        normalization: what pixels go through before the input.
        threads: of onnxruntime's kernels; None is one per core.

    Raises:
        ModelError: onnxruntime is not installed, or does not take the file.
    """

    def __init__(
        self,
        path_or_content: str | Path | bytes,
        *,
        normalization: Preprocessing | None = None,
        threads: int | None = None,
    ) -> None:
        _require_packages("onnxruntime")
        import onnxruntime

        is_content = isinstance(path_or_content, bytes)
        self.source = "bytes" if is_content else str(path_or_content)
        self.normalization = normalization or Preprocessing()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        content = path_or_content
        if not isinstance(content, bytes):
            try:
                content = read_bytes(Path(content), MOST_MODEL_BYTES)
            except (OSError, LargeFileError) as error:
                raise ModelError(
                    f"model {self.source!r}: expected an .onnx file. Received: {error}."
                ) from error
        check_onnx_content(content, source=self.source)
        with self._named():
            self._session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
            )
        self._input = self._session.get_inputs()[0].name

    def run(self, inputs: Arrays) -> np.ndarray:
        """Returns the first output for a batch as the graph takes it, float32.

        Args:
            inputs: what its only input takes, or a dict of arrays by the inputs' names.
        """
        named = inputs if isinstance(inputs, dict) else {self._input: inputs}
        with self._named():
            return np.asarray(self._session.run(None, named)[0])

    def score(self, samples: Arrays) -> np.ndarray:
        """Returns the scores of samples.

        Shapes: of images pixels (images, size, size, 3), 0..255; returns float32 (images, outputs).
        """
        if isinstance(samples, dict):
            return self.run(samples)
        return self.run(self.normalization.apply(samples))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        # onnxruntime's exceptions have no common class of their own.
        except Exception as error:
            raise ModelError(
                f"model {self.source!r}: expected a file that onnxruntime runs. "
                f"Received: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
            ) from error


def convert_onnx(
    model: Any,
    *,
    recipe: Recipe,
    preprocessing: PreprocessingArgument,
    trust: bool,
    calibration: Calibration = None,
) -> Converted:
    """Returns a model as ONNX; see `tfxfer_edge.convert`.

    Raises:
        UsageError, DataError: no samples to calibrate with, or such as do not fit.
        ModelError: not a Keras 3 model, or it does not export.
    """
    from tfxfer_edge.conversion.converted import Converted
    from tfxfer_edge.conversion.graph import check_weights

    source = (
        model
        if isinstance(model, Source)
        else open_source(model, preprocessing=preprocessing, trust=trust)
    )
    check_weights(source)
    if source.keras_model is None:
        raise ModelError(
            f"model {source.name!r}: expected a Keras 3 model, whose own export writes ONNX. "
            "Received: another kind. Choose a TFLite recipe."
        )
    door = find_door(source.modality)
    notes: tuple[str, ...] = ()
    samples: Arrays | None = None
    normalization = Preprocessing() if source.takes_pixels else source.normalization
    if recipe.needs_calibration:
        samples, notes = door.collect_calibration(
            calibration, inputs=source.inputs, recipe=recipe.name
        )
        samples = _encode(samples, normalization)
    with scratch_folder("onnx") as folder:
        path = folder / "model.onnx"
        export_onnx(source.keras_model, path, inputs=source.inputs, fills=door.fills)
        content = path.read_bytes()
    if samples is not None:
        # A black and a white image widen inner ranges that no photo needs: the input's alone.
        ends = door.make_extremes(source.inputs)
        if ends is not None:
            ends = _encode(ends, normalization)
        content = quantize_onnx(content, samples, extremes=ends, name=source.name)
    return Converted(
        content=content,
        recipe=recipe,
        engine="keras" if samples is None else "onnxruntime",
        input_shape=(None, *source.inputs[0].shape),
        input_dtype=source.inputs[0].dtype,
        output_dtype="float32",
        input_quantization=None,
        output_quantization=None,
        normalization=normalization,
        preprocessing=source.preprocessing,
        inputs=source.inputs,
        modality=source.modality,
        notes=notes,
    )


def _encode(samples: Arrays, normalization: Preprocessing) -> Arrays:
    """Returns samples as the graph takes them."""
    return samples if isinstance(samples, dict) else normalization.apply(samples)


def _require_packages(*names: str) -> None:
    missing = [x for x in names or _PACKAGES if importlib.util.find_spec(x) is None]
    if missing:
        raise ModelError(
            f"ONNX: expected {', '.join(names or _PACKAGES)} to be installed. "
            f"Received: no {', '.join(missing)}. Install them: pip install 'tfxfer-edge[onnx]'"
        )
