"""Whether what runs on the phone is what was trained, and if not, what is wrong with the contract.

One image file goes three ways: to Keras, to the `.tflite` file through LiteRT, and to the same file
through MediaPipe Tasks, which knows nothing but its metadata.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import DataError, ModelError, PluginImportError
from tfxfer.images.decode import open_image, resize_image
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.quiet import quiet_native
from tfxfer_edge.interpreter import TFLiteModel

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor

__all__ = [
    "Agreement",
    "MediaPipeClassifier",
    "Parity",
    "check_parity",
    "diagnose_contract",
]

_DIAGNOSED_IMAGES = 16
_FINE = 0.1  # of the scores' own variation; int8 alone makes a difference of this size
_NEAR = 0.02  # of scores 0..1: what quantization alone makes of a model that knows nothing
_EXPLAINED = 0.3  # a hypothesis must come at least this near, and halve the difference
_RANGES = {
    "0..255": Preprocessing(),
    "0..1": Preprocessing(scale=(1 / 255,) * 3),
    "-1..1": Preprocessing(scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
}
_RESIZES = tuple(
    Resize(fit=fit, method=method, antialias=antialias)
    for fit in ("stretch", "crop", "pad")
    for method, antialias in (
        ("bilinear", True),
        ("bilinear", False),
        ("nearest", False),
        ("bicubic", True),
        ("area", True),
    )
)


@dataclass(frozen=True)
class Agreement:
    """How near one client's scores are to Keras's.

    Args:
        largest: difference of any score of any image.
        mean: difference over all scores.
        top1: share of images with the same answer; None for values and features.
    """

    largest: float
    mean: float
    top1: float | None


@dataclass(frozen=True)
class Parity:
    """One file against the model it was made of.

    Args:
        images: how many were compared.
        interpreter: LiteRT, on photos that we resized.
        mediapipe: MediaPipe Tasks, on photos that we resized; None where it did not run.
        mediapipe_raw: the same on the photos as they are, which it resizes itself.
        mediapipe_note: why MediaPipe did not run.
        contract: what is wrong between pixels, weights and labels; None where nothing is found.
        spread: how much Keras's scores differ from photo to photo, mean over all.
    """

    images: int
    interpreter: Agreement
    spread: float
    mediapipe: Agreement | None = None
    mediapipe_raw: Agreement | None = None
    mediapipe_note: str | None = None
    contract: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)

    @property
    def fault(self) -> str | None:
        """What is wrong, in one line; None where both clients answer as Keras does."""
        if self.contract is not None:
            return self.contract
        limit = max(_EXPLAINED * self.spread, _NEAR)
        for name, way in (("LiteRT", self.interpreter), ("MediaPipe", self.mediapipe)):
            # Not `>`: the NaN of a class that a client does not know would pass.
            if way is not None and not way.mean <= limit:
                return f"{name} differs from Keras by {way.mean:.3g} on average, above {limit:.3g}"
        return None


class MediaPipeClassifier:
    """MediaPipe's `ImageClassifier` on a file, by its metadata alone. A context manager.

    Args:
        model: the file.

    Raises:
        PluginImportError: mediapipe is not installed.
        ModelError: MediaPipe does not take the file.
    """

    def __init__(self, model: TFLiteModel) -> None:
        if find_spec("mediapipe") is None:
            raise PluginImportError(
                "MediaPipe: expected the package mediapipe. Received: it is not installed. "
                "pip install mediapipe"
            )
        labels = () if model.card is None else model.card.labels
        # MediaPipe finds this out at the first image, and may then hang for ever (1.2.2).
        if labels and len(labels) != model.outputs:
            raise ModelError(
                f"model {model.source!r}: expected {model.outputs} labels. Received: {len(labels)}."
            )
        if model.input.dtype not in ("uint8", "float32"):
            raise ModelError(
                f"model {model.source!r}: expected a uint8 or float32 input, which is what "
                f"MediaPipe takes. Received: {model.input.dtype}."
            )
        self._outputs, self._source = model.outputs, model.source
        with quiet_native(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mediapipe
            from mediapipe.tasks.python import vision
            from mediapipe.tasks.python.core.base_options import BaseOptions

            self._mediapipe = mediapipe
            options = vision.ImageClassifierOptions(
                base_options=BaseOptions(model_asset_buffer=model.content)
            )
            try:
                self._classifier = vision.ImageClassifier.create_from_options(options)
            # NotImplementedError is a RuntimeError, FileNotFoundError an OSError.
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error

    def classify(self, image: np.ndarray) -> tuple[np.ndarray, tuple[str | None, ...]]:
        """Returns the scores in the outputs' order, and the labels that MediaPipe gives them.

        Shapes: image uint8 (height, width, 3), of any size; returns float32 (outputs,).
        """
        mediapipe = self._mediapipe
        with quiet_native():
            picture = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
            )
            try:
                result = self._classifier.classify(picture)
            except (ValueError, RuntimeError, OSError) as error:
                raise self._refused(error) from error
        scores = np.full(self._outputs, np.nan, np.float32)
        names: list[str | None] = [None] * self._outputs
        for category in result.classifications[0].categories:
            scores[category.index] = category.score
            names[category.index] = category.category_name
        return scores, tuple(names)

    def __enter__(self) -> MediaPipeClassifier:
        return self

    def __exit__(self, *_: object) -> None:
        with quiet_native():
            self._classifier.close()

    def _refused(self, error: Exception) -> ModelError:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ModelError(
            f"model {self._source!r}: expected a file MediaPipe takes. Received: {first}"
        )


def check_parity(
    predictor: Predictor,
    tflite: str | Path | bytes,
    images: Sequence[str | Path],
    *,
    mediapipe: bool | None = None,
    preprocessing: Preprocessing | None = None,
) -> Parity:
    """Compares a file with the Keras model it was made of, on image files.

    Args:
        predictor: the Keras model, as `tfxfer.inference.predictor.Predictor`.
        tflite: the file, or its content.
        images: photos, in any format that training reads.
        mediapipe: whether MediaPipe runs, too; None where it is installed and takes the file.
        preprocessing: what pixels go through before a float input without metadata.

    Raises:
        DataError: no images.
        ModelError: the file is no image model, or of other outputs than the predictor.
        PluginImportError: `mediapipe=True`, and it is not installed.
    """
    model = TFLiteModel(tflite, preprocessing=preprocessing)
    _check_outputs(predictor, model)
    if not images:
        raise DataError("parity: expected at least one image. Received: none.")
    resize = predictor.resize if model.card is None else model.card.resize
    client, note = _open_mediapipe(model, mediapipe)
    rows: dict[str, list[np.ndarray]] = {"keras": [], "ours": [], "theirs": [], "raw": []}
    named: tuple[str | None, ...] | None = None
    try:
        for photo in _open_photos(images):
            trained = resize_image(photo, predictor.image_size, predictor.resize)
            square = resize_image(photo, model.image_size, resize)
            rows["keras"].append(predictor.score(trained[None])[0])
            rows["ours"].append(model.score(square[None])[0])
            if client is not None:
                scores, named = client.classify(square)
                rows["theirs"].append(scores)
                rows["raw"].append(client.classify(np.asarray(photo))[0])
    finally:
        if client is not None:
            client.__exit__(None, None, None)
    keras = np.stack(rows["keras"])

    def compare(name: str) -> Agreement | None:
        return _agreement(predictor, keras, np.stack(rows[name])) if rows[name] else None

    contract = diagnose_contract(predictor, model, images[:_DIAGNOSED_IMAGES])
    if contract is None and named is not None and named != tuple(predictor.labels):
        contract = f"labels: MediaPipe calls the outputs {list(named[:5])}"
    return Parity(
        images=len(images),
        interpreter=_agreement(predictor, keras, np.stack(rows["ours"])),
        spread=_spread(keras),
        mediapipe=compare("theirs"),
        mediapipe_raw=compare("raw"),
        mediapipe_note=note,
        contract=contract,
    )


def _spread(scores: np.ndarray) -> float:
    centre = scores.mean(axis=0) if len(scores) > 1 else 0.0
    return float(np.abs(scores - centre).mean())


def diagnose_contract(
    predictor: Predictor, model: TFLiteModel, images: Sequence[str | Path]
) -> str | None:
    """Names what is wrong between pixels and weights, by a closed list of hypotheses.

    Each hypothesis is another input tensor: 0..1 for -1..1 and the reverse, no rescale, a double
    one, BGR for RGB, another resize. One is named when it brings the file's scores back to Keras's.

    Args:
        predictor: the Keras model.
        model: the file.
        images: some photos, which should differ.

    Returns:
        One line, or None: the scores agree, or no hypothesis explains why they do not.
    """
    _check_outputs(predictor, model)
    photos = list(_open_photos(images))
    trained = [resize_image(x, predictor.image_size, predictor.resize) for x in photos]
    keras = predictor.score(np.stack(trained))
    spread = _spread(keras)
    stated = predictor.resize if model.card is None else model.card.resize
    pixels = np.stack([resize_image(x, model.image_size, stated) for x in photos])

    def distance(inputs: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            off = float(np.abs(model.run(inputs) - keras).mean() / max(spread, 1e-6))
        return off if np.isfinite(off) else float("inf")

    found = distance(model.encode(pixels))
    if found <= _FINE:
        return None
    best, line = min(_EXPLAINED, found / 2), None
    for what, inputs in _hypotheses(model, pixels, photos, stated):
        off = distance(inputs)
        if off < best:
            best, line = off, what
    return line


def _hypotheses(
    model: TFLiteModel, pixels: np.ndarray, photos: Sequence[Any], stated: Resize
) -> Iterator[tuple[str, np.ndarray]]:
    said = _describe_range(model.preprocessing)
    for name, wanted in _RANGES.items():
        if name == said:
            continue
        if name == "0..255":
            line = f"double rescale: the file makes pixels {said}, and the graph rescales them too"
        elif said == "0..255":
            line = f"no rescale: pixels reach the model as 0..255, it was trained on {name}"
        else:
            line = f"{said} for {name}: the file makes pixels {said}, the model wants {name}"
        yield line, model.input.quantize(wanted.apply(pixels))
    if not model.input.is_quantized and said == "0..255":
        for name in ("0..1", "-1..1"):
            twice = _RANGES[name]
            # What the first rescale turns into plain pixels leaves the second one to act.
            undone = (pixels - np.float32(twice.offset[0])) / np.float32(twice.scale[0])
            yield f"double rescale: the graph rescales pixels to {name} twice", undone
    yield (
        "BGR for RGB: the model wants blue first",
        model.encode(np.ascontiguousarray(pixels[..., ::-1])),
    )
    for resize in _RESIZES:
        if resize != stated:
            squares = np.stack([resize_image(x, model.image_size, resize) for x in photos])
            yield (
                f"another resize: the file says {_describe_resize(stated)}, "
                f"the model wants {_describe_resize(resize)}",
                model.encode(squares),
            )


def _describe_range(preprocessing: Preprocessing) -> str:
    for name, known in _RANGES.items():
        # A quantized input may be half a step off.
        if np.allclose(preprocessing.output_range, known.output_range, rtol=0.005, atol=0.005):
            return name
    pairs = sorted({f"{low:.3g}..{high:.3g}" for low, high in preprocessing.output_range})
    return ", ".join(pairs)


def _describe_resize(resize: Resize) -> str:
    filtered = "" if resize.antialias else " without antialiasing"
    return f"{resize.fit}, {resize.method}{filtered}"


def _agreement(predictor: Predictor, keras: np.ndarray, scores: np.ndarray) -> Agreement:
    off = np.abs(scores.astype(np.float64) - keras)
    top1 = None
    if predictor.head.task != "regression" and np.isfinite(scores).all():
        pairs = zip(
            predictor.head.decode(keras, predictor.labels),
            predictor.head.decode(scores, predictor.labels),
            strict=True,
        )
        top1 = float(np.mean([a.label == b.label for a, b in pairs]))
    return Agreement(largest=float(off.max()), mean=float(off.mean()), top1=top1)


def _open_mediapipe(
    model: TFLiteModel, wanted: bool | None
) -> tuple[MediaPipeClassifier | None, str | None]:
    if wanted is False:
        return None, "not asked for"
    try:
        return MediaPipeClassifier(model), None
    except (PluginImportError, ModelError) as error:
        if wanted:
            raise
        return None, str(error)


def _open_photos(images: Sequence[str | Path]) -> Iterator[Any]:
    # At full size, as a phone has them: a JPEG decoded at a fraction is resized already.
    return (open_image(Path(file)) for file in images)


def _check_outputs(predictor: Predictor, model: TFLiteModel) -> None:
    if len(predictor.labels) != model.outputs or predictor.image_size != model.image_size:
        raise ModelError(
            f"model {model.source!r}: expected {len(predictor.labels)} outputs of images of "
            f"{predictor.image_size} px, as {predictor.source!r} has. "
            f"Received: {model.outputs} of {model.image_size} px."
        )
    labels = () if model.card is None else model.card.labels
    if labels and labels != tuple(predictor.labels):
        raise ModelError(
            f"model {model.source!r}: expected the labels of {predictor.source!r} in their order. "
            f"Received: {list(labels[:5])} for {list(predictor.labels[:5])}."
        )
