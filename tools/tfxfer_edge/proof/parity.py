"""Whether what runs on the phone is what was trained.

One image file goes three ways: to Keras, to the `.tflite` file through LiteRT, and to the same file
through MediaPipe Tasks, which knows nothing but its metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import DataError, ModelError, PluginImportError
from tfxfer.preprocessing import Preprocessing
from tfxfer.progress import Progress
from tfxfer_edge.proof.contract import (
    EXPLAINED,
    check_outputs,
    diagnose_contract,
    make_square,
    measure_spread,
    open_photos,
)
from tfxfer_edge.proof.mediapipe import MediaPipeClassifier
from tfxfer_edge.tflite.interpreter import TFLiteModel

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor

__all__ = ["Agreement", "Parity", "check_parity", "measure_agreement"]

_DIAGNOSED_IMAGES = 16
_NEAR = 0.02  # of scores 0..1: what quantization alone makes of a model that knows nothing


@dataclass(frozen=True)
class Agreement:
    """How near one client's scores are to Keras's.

    Args:
        largest: difference of any score of any sample.
        mean: difference over all scores.
        top1: share of samples with the same answer; None for values and features.
    """

    largest: float
    mean: float
    top1: float | None


@dataclass(frozen=True)
class Parity:
    """One file against the model it was made of.

    Args:
        images: how many were compared.
        interpreter: LiteRT, on photos that we resized, or texts that we split.
        mediapipe: MediaPipe Tasks, on photos that we resized, or texts as they are; None where it
            did not run.
        mediapipe_raw: the same on the photos as they are, which it resizes itself; None of texts.
        mediapipe_note: why MediaPipe did not run.
        contract: what is wrong between raw samples, weights and labels; None where nothing
            is found.
        spread: how much Keras's scores differ from sample to sample, mean over all.
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
        limit = max(EXPLAINED * self.spread, _NEAR)
        for name, way in (("LiteRT", self.interpreter), ("MediaPipe", self.mediapipe)):
            # Not `>`: the NaN of a class that a client does not know would pass.
            if way is not None and not way.mean <= limit:
                return f"{name} differs from Keras by {way.mean:.3g} on average, above {limit:.3g}"
        return None


def check_parity(
    predictor: Predictor,
    tflite: str | Path | bytes,
    images: Sequence[str | Path],
    *,
    mediapipe: bool | None = None,
    preprocessing: Preprocessing | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Compares a file with the Keras model it was made of, on image files.

    Args:
        predictor: the Keras model, as `tfxfer.inference.predictor.Predictor`.
        tflite: the file, or its content.
        images: photos, in any format that training reads.
        mediapipe: whether MediaPipe runs, too; None where it is installed and takes the file.
        preprocessing: what pixels go through before a float input without metadata.
        progress: told of photos.

    Raises:
        DataError: no images.
        ModelError: the file is no image model, or of other outputs than the predictor.
        PluginImportError: `mediapipe=True`, and it is not installed.
    """
    model = TFLiteModel(tflite, preprocessing=preprocessing)
    check_outputs(predictor, model)
    if not images:
        raise DataError("parity: expected at least one image. Received: none.")
    seen: Preprocessing = predictor.contract
    if model.card is not None:
        seen = replace(seen, resize=model.card.resize)
    client, note = _open_mediapipe(model, mediapipe)
    rows: dict[str, list[np.ndarray]] = {"trained": [], "ours": [], "theirs": [], "raw": []}
    named: tuple[str | None, ...] | None = None
    try:
        for number, photo in enumerate(open_photos(images)):
            if progress is not None:
                progress("comparing photos with Keras and MediaPipe", number, len(images))
            trained = make_square(photo, predictor.size, predictor.contract)
            square = make_square(photo, model.image_size, seen)
            rows["trained"].append(trained)
            rows["ours"].append(model.score(square[None])[0])
            if client is not None:
                scores, named = client.classify(square)
                rows["theirs"].append(scores)
                rows["raw"].append(client.classify(np.asarray(photo))[0])
    finally:
        if client is not None:
            client.__exit__(None, None, None)
    # At once: Keras traces a model again for each number of images.
    keras = predictor.score(np.stack(rows["trained"]))
    if progress is not None:
        progress("comparing photos with Keras and MediaPipe", len(images), len(images))

    def compare(name: str) -> Agreement | None:
        return measure_agreement(predictor, keras, np.stack(rows[name])) if rows[name] else None

    contract = diagnose_contract(predictor, model, images[:_DIAGNOSED_IMAGES])
    if contract is None and named is not None and named != tuple(predictor.labels):
        contract = f"labels: MediaPipe calls the outputs {list(named[:5])}"
    return Parity(
        images=len(images),
        interpreter=measure_agreement(predictor, keras, np.stack(rows["ours"])),
        spread=measure_spread(keras),
        mediapipe=compare("theirs"),
        mediapipe_raw=compare("raw"),
        mediapipe_note=note,
        contract=contract,
    )


def measure_agreement(predictor: Predictor, keras: np.ndarray, scores: np.ndarray) -> Agreement:
    """Returns how near scores are to those of Keras.

    Shapes: (samples, outputs) both.
    """
    off = np.abs(scores.astype(np.float64) - keras)
    top1 = None
    figures = predictor.head.figures
    has_own_unit = figures.catalogue[figures.headlines[0]].unit == "own"  # numbers, not names
    if not has_own_unit and np.isfinite(scores).all():
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
