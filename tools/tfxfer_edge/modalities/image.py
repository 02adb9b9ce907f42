"""Files of photos: pixels, whose scale the input itself stands for, and MediaPipe's classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer_edge.door import EdgeModality, Feed, InputMetadata

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.data.arrays import Arrays
    from tfxfer.data.samples import SampleSplit
    from tfxfer.inference.predictor import Predictor
    from tfxfer.modality import Modality
    from tfxfer.progress import Progress
    from tfxfer_edge.conversion.converted import Converted
    from tfxfer_edge.conversion.graph import FrozenGraph
    from tfxfer_edge.proof.parity import Parity
    from tfxfer_edge.tflite.card import ModelCard
    from tfxfer_edge.tflite.interpreter import TFLiteModel
    from tfxfer_edge.tflite.probe import Probe
    from tfxfer_edge.tflite.sample_model import SampleModel

__all__ = ["ImageEdge"]


class ImageEdge(EdgeModality):
    """One square of pixels 0..255, RGB or grey."""

    name = "image"
    ladder = ("int8", "int8_selective", "int16x8", "dynamic_w8")

    def collect_calibration(
        self, calibration: Any, *, inputs: Sequence[Any], recipe: str
    ) -> tuple[Arrays, tuple[str, ...]]:
        """Returns calibration pixels, and notes for people."""
        from tfxfer_edge.conversion.calibration import collect

        shape = inputs[0].shape if inputs else (0, 0, 0)
        return collect(calibration, image_shape=shape, recipe=recipe)

    def make_extremes(self, inputs: Sequence[Any]) -> Arrays | None:
        """Returns a black and a white image."""
        import numpy as np

        (image,) = inputs
        return np.stack([np.zeros(image.shape), np.full(image.shape, 255.0)])

    def describe_card(
        self, predictor: Predictor, converted: Converted | FrozenGraph
    ) -> dict[str, Any]:
        """Returns what pixels go through, and how a photo becomes the square."""
        return {
            "preprocessing": converted.normalization,
            "resize": predictor.contract.resize,
            "white": predictor.contract.white,
        }

    def check_card(self, card: ModelCard, probe: Probe) -> None:
        """Refuses an input whose bytes do not stand for the preprocessing."""
        from tfxfer_edge.tflite.image_metadata import check_pixels_of_card

        check_pixels_of_card(card, probe)

    def draft_inputs(self, card: ModelCard, probe: Probe) -> InputMetadata:
        """Returns the words for the photo."""
        from tfxfer_edge.tflite.image_metadata import draft_image

        return InputMetadata([draft_image(card, probe)])

    def open_model(
        self,
        content: str | Path | bytes,
        *,
        threads: int = 1,
        workers: int = 1,
        preprocessing: Any = None,
    ) -> SampleModel:
        """Returns what scores pixels 0..255."""
        from tfxfer_edge.tflite.interpreter import TFLiteModel

        return TFLiteModel(content, threads=threads, workers=workers, preprocessing=preprocessing)

    def open_onnx(
        self, content: str | Path | bytes, *, threads: int = 1, preprocessing: Any = None
    ) -> SampleModel:
        """Returns what scores pixels 0..255 with an `.onnx` file."""
        from tfxfer_edge.onnx.model import OnnxImageModel

        return OnnxImageModel(content, threads=threads, preprocessing=preprocessing)

    def encode(self, converted: Converted, samples: Arrays) -> dict[str, np.ndarray]:
        """Returns pixels as the only input of a file holds them."""
        import numpy as np

        name = converted.inputs[0].name
        if converted.input_dtype == "uint8":
            return {name: np.asarray(samples, np.uint8)}
        if converted.input_dtype == "int8":
            return {name: (np.asarray(samples, np.int16) - 128).astype(np.int8)}
        pixels = np.asarray(samples)
        return {name: converted.normalization.apply(pixels).astype(converted.input_dtype)}

    def read_contract(self, model: SampleModel) -> tuple[Modality, int, Any]:
        """Returns how a photo becomes the square; without metadata it is stretched."""
        from tfxfer.images.modality import ImageModality
        from tfxfer.preprocessing import Preprocessing

        card, image = model.card, _as_image(model)
        contract = Preprocessing(grey=image.channels == 1)
        if card is not None:
            contract = replace(contract, resize=card.resize, white=card.white)
        return ImageModality(), image.image_size, contract

    def make_probe(self, model: SampleModel) -> Arrays:
        """Returns painted images."""
        from tfxfer.inference.outputs import paint_probe

        image = _as_image(model)
        return paint_probe(image.image_size, channels=image.channels)

    def find_feed(self, path: Path, model: SampleModel) -> Feed:
        """Returns photos of the file's own export where they are at hand, else noise."""
        from tfxfer_edge.proof.photos import find_photos

        found = find_photos(path, _as_image(model))
        inputs = None if found.inputs is None else {model.inputs[0].name: found.inputs}
        return Feed(found.words, inputs)

    def check_parity(
        self,
        predictor: Predictor,
        content: bytes,
        split: SampleSplit,
        rows: Sequence[int],
        *,
        reference: Callable[[Arrays], np.ndarray] | None = None,
        progress: Progress | None = None,
    ) -> Parity:
        """Compares photos as files with Keras, in LiteRT and in MediaPipe."""
        from tfxfer_edge.proof.parity import check_parity

        photos = [split.root / split.paths[row] for row in rows]
        return check_parity(predictor, content, photos, reference=reference, progress=progress)

    def render_handover(self, model: SampleModel, *, file: str, extra: str) -> dict[str, str]:
        """Returns a README, a program for photos, and classes for apps."""
        from tfxfer_edge.handover.readme import (
            PROGRAM_FILE,
            README_FILE,
            render_classes,
            render_python,
            render_readme,
        )

        image = _as_image(model)
        return {
            README_FILE: render_readme(image, file=file, extra=extra),
            PROGRAM_FILE: render_python(image, file=file),
            **render_classes(image, file=file),
        }


def _as_image(model: SampleModel) -> TFLiteModel:
    from tfxfer_edge.tflite.interpreter import TFLiteModel

    assert isinstance(model, TFLiteModel)  # what `open_model` returns
    return model
