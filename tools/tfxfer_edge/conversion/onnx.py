"""The recipe `onnx`: Keras's own export, checked with onnxruntime."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing
from tfxfer.system.files import atomic_write
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.conversion.sources import PreprocessingArgument, Source, open_source

if TYPE_CHECKING:
    from tfxfer_edge.conversion.converted import Converted

__all__ = ["OnnxModel", "convert_onnx", "export_onnx"]

_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
_TOLERANCE = 1e-3  # of the largest score; a good export differs by about 1e-6


def export_onnx(model: Any, path: str | Path) -> None:
    """Writes a Keras model as ONNX, with a free batch dimension, and checks that it runs alike.

    The graph is the whole model: where it rescales pixels itself, the file does, too.

    Args:
        model: a Keras 3 model with one input and one output.
        path: of the `.onnx` file.

    Raises:
        ModelError: onnx, tf2onnx or onnxruntime are not installed, the model does not export, or
            the file's outputs differ.
        StorageError: the disk is full, or the folder cannot be written.
    """
    _require_packages()
    name = getattr(model, "name", type(model).__name__)
    shape = tuple(model.inputs[0].shape)[1:]
    probe = np.linspace(0, 255, 2 * int(np.prod(shape)), dtype=np.float32).reshape(2, *shape)
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


class OnnxModel:
    """An image model that onnxruntime runs on the CPU, with a free batch size.

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
        with self._named():
            self._session = onnxruntime.InferenceSession(
                path_or_content if is_content else self.source,
                options,
                providers=["CPUExecutionProvider"],
            )
        self._input = self._session.get_inputs()[0].name

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the first output for a batch as the graph takes it, float32."""
        with self._named():
            return np.asarray(self._session.run(None, {self._input: inputs})[0])

    def score(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the scores of images.

        Shapes: pixels (images, size, size, 3), 0..255; returns float32 (images, outputs).
        """
        return self.run(self.normalization.apply(pixels))

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
    model: Any, *, recipe: Recipe, preprocessing: PreprocessingArgument, trust: bool
) -> Converted:
    """Returns a model as ONNX; see `tfxfer_edge.convert`.

    Raises:
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(source.keras_model, path)
        content = path.read_bytes()
    return Converted(
        content=content,
        recipe=recipe,
        engine="keras",
        input_shape=(None, *source.image_shape),
        input_dtype="float32",
        output_dtype="float32",
        input_quantization=None,
        output_quantization=None,
        normalization=Preprocessing() if source.takes_pixels else source.normalization,
        preprocessing=source.preprocessing,
    )


def _require_packages(*names: str) -> None:
    missing = [x for x in names or _PACKAGES if importlib.util.find_spec(x) is None]
    if missing:
        raise ModelError(
            f"ONNX: expected {', '.join(names or _PACKAGES)} to be installed. "
            f"Received: no {', '.join(missing)}. Install them: pip install 'tfxfer-edge[onnx]'"
        )
