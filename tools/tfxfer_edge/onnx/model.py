"""An `.onnx` file as what takes samples, with the same face as a `.tflite` file."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.onnx.metadata import read_onnx_metadata
from tfxfer_edge.onnx.soundness import check_onnx_file
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.sample_model import SampleModel, Tensor

__all__ = ["OnnxImageModel", "OnnxSampleModel", "require_onnxruntime"]

_DTYPES = {"double": "float64", "float": "float32"}
_FREE = -1
_CHANNELS = (1, 3)


def require_onnxruntime() -> None:
    """Refuses to go on without what runs `.onnx` files.

    Raises:
        ModelError: how to install it.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError(
            "ONNX: expected onnxruntime, which runs .onnx files, to be installed. "
            "Received: none. Install it: pip install onnxruntime"
        )


class OnnxSampleModel(SampleModel):
    """A model of any inputs that onnxruntime runs on the CPU, with a fixed or a free batch size.

    Args:
        path_or_bytes: a file, or its content.
        threads: of onnxruntime's kernels.

    Attributes:
        as in `SampleModel`.

    Raises:
        ModelError: onnxruntime is not installed, no ONNX file, a truncated one, or one that is not
            of this kind.
    """

    def _open(self, *, threads: int, workers: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        require_onnxruntime()
        import onnxruntime

        check_onnx_file(self.content, source=self.source)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        try:
            session = onnxruntime.InferenceSession(
                self.content, options, providers=["CPUExecutionProvider"]
            )
        # onnxruntime's exceptions have no common class of their own.
        except Exception as error:
            raise _explain(error) from error
        self._interpreters.append(session)
        sources = tuple(self._fix_size(_tensor(item)) for item in session.get_inputs())
        targets = [_tensor(item) for item in session.get_outputs()]
        for source in sources:
            if not source.shape or _FREE in source.shape[1:]:
                raise ModelError(
                    f"model: expected an input of fixed size, but for the batch. Received: "
                    f"{source.name!r} of shape {_show(session, source.name)}. "
                    "Export it with the size that it is run at."
                )
        if len(targets) == 1 and _FREE in targets[0].shape[1:]:
            targets = [self._find_size(session, sources, targets[0])]
        return sources, tuple(targets)

    def _fix_size(self, source: Tensor) -> Tensor:
        """Returns an input at the size that the file says it is meant for, such as a text's."""
        size = None if self.card is None else self.card.size
        if size is None:
            return source
        sizes = [size if each == _FREE else each for each in source.shape[1:]]
        return replace(source, shape=(*source.shape[:1], *sizes))

    def _find_size(self, session: Any, sources: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """Returns an output whose size the file leaves to the runtime."""
        feeds = {
            end.name: np.zeros([1 if end.shape[0] == _FREE else end.shape[0], *end.shape[1:]])
            for end in sources
        }
        typed = {end.name: feeds[end.name].astype(end.dtype) for end in sources}
        (found,) = _run(session, typed)
        return replace(target, shape=(target.shape[0], *found.shape[1:]))

    def _read_card(self) -> ModelCard | None:
        return read_onnx_metadata(self.content)

    def _invoke(self, interpreter: Any, chunk: list[np.ndarray]) -> np.ndarray:
        count = len(chunk[0])
        if not self.is_dynamic and count < self.inputs[0].shape[0]:
            missing = self.inputs[0].shape[0] - count
            chunk = [np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for x in chunk]
        feeds = {
            end.name: np.ascontiguousarray(values)
            for end, values in zip(self.inputs, chunk, strict=True)
        }
        try:
            (found,) = _run(interpreter, feeds)
        except ModelError as error:
            raise self._named(error) from error
        return self.output.dequantize(found[:count]).reshape(count, -1)


class OnnxImageModel(OnnxSampleModel, TFLiteModel):
    """An image model that onnxruntime runs: pixels 0..255 in, scores in float32 out.

    An input (batch, 3, size, size), as PyTorch has it, is fed with its axes in that order; all
    else of it is told with the channels last.

    Args:
        path_or_bytes: a file, or its content.
        threads: of onnxruntime's kernels.
        preprocessing: what pixels go through before a float input; None takes the file's word.
    """

    _has_channels_first = False

    def _open(self, *, threads: int, workers: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        sources, targets = super()._open(threads=threads, workers=workers)
        if len(sources) == 1:
            batch, *sizes = sources[0].shape
            # Of 3 x 3 x 3 nobody can tell; the last axis is taken for the channels, as elsewhere.
            if len(sizes) == 3 and sizes[0] in _CHANNELS and sizes[2] not in _CHANNELS:
                self._has_channels_first = True
                sources = (replace(sources[0], shape=(batch, *sizes[1:], sizes[0])),)
        return sources, targets

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels as the input tensor holds them.

        Shapes: pixels (images, size, size, 3), 0..255; returns the same in the input's type, its
            axes in the file's order.
        """
        found = super().encode(pixels)
        return found.transpose(0, 3, 1, 2) if self._has_channels_first else found


def _run(session: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    try:
        with quiet_native():
            found: list[np.ndarray] = session.run(None, feeds)
    except Exception as error:
        raise _explain(error) from error
    return found


def _explain(error: Exception) -> ModelError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"model: expected a file that onnxruntime runs. Received: {first}")


def _show(session: Any, name: str) -> list[Any]:
    return next(list(item.shape) for item in session.get_inputs() if item.name == name)


def _tensor(item: Any) -> Tensor:
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else _FREE for size in item.shape)
    return Tensor(item.name, shape, _DTYPES.get(kind, kind))
