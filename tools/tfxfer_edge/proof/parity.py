"""Whether what runs on the phone is what was trained.

One image file goes three ways: to Keras, to the `.tflite` file through LiteRT, and to the same file
through MediaPipe Tasks, which knows nothing but its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.spread import spread_rows
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

__all__ = [
    "Agreement",
    "Parity",
    "check_parity",
    "find_limit",
    "has_own_unit",
    "measure_agreement",
]

_DIAGNOSED_IMAGES = 16
_STEPS = 2  # of a rounded output: one client may round up where the other rounds down
_ROUNDED = 1e-3  # of the outputs' size: two runtimes' floats, and a mean and std of 24 bits
_NEAR = 0.02  # of 1, or of values' size, where nobody has judged what quantization did to them


@dataclass(frozen=True)
class Agreement:
    """How near one client's scores are to Keras's.

    Args:
        largest: difference of any score of any sample.
        mean: difference over all scores.
        top1: share of samples with the same answer; None for values and features.
        drift: mean difference from the scores that the same file was judged by; None where it was
            not judged. What quantization did to it is in both, and in this no more.
    """

    largest: float
    mean: float
    top1: float | None
    drift: float | None = None


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
        limit: how far a client may be off, on average; see `find_limit`.
    """

    images: int
    interpreter: Agreement
    spread: float
    mediapipe: Agreement | None = None
    mediapipe_raw: Agreement | None = None
    mediapipe_note: str | None = None
    contract: str | None = None
    limit: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)

    @property
    def fault(self) -> str | None:
        """What is wrong, in one line; None where both clients answer as Keras does."""
        if self.contract is not None:
            return self.contract
        for name, way in (("LiteRT", self.interpreter), ("MediaPipe", self.mediapipe)):
            if way is None:
                continue
            off, whom = way.mean, "Keras"
            if way.drift is not None:
                off, whom = way.drift, "the file as it was judged"
            # Not `>`: the NaN of a class that a client does not know would pass.
            if not off <= self.limit:
                return f"{name} differs from {whom} by {off:.3g} on average, above {self.limit:.3g}"
        return None


def check_parity(
    predictor: Predictor,
    tflite: str | Path | bytes,
    images: Sequence[str | Path],
    *,
    mediapipe: bool | None = None,
    preprocessing: Preprocessing | None = None,
    reference: Callable[[Any], np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Compares a file with the Keras model it was made of, on image files.

    Args:
        predictor: the Keras model, as `tfxfer.inference.predictor.Predictor`.
        tflite: the file, or its content.
        images: photos, in any format that training reads.
        mediapipe: whether MediaPipe runs, too; None where it is installed and takes the file. Then
            one that hangs or crashes is a note.
        preprocessing: what pixels go through before a float input without metadata.
        reference: scores samples with this very file as the gate does, which has passed it: by what
            its conversion knows, and not by its metadata. Clients are then held to that.
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
            if client is None:
                continue
            try:
                scores, named = client.classify(square)
                raw, _ = client.classify(np.asarray(photo))
            except ModelError as error:
                if mediapipe:
                    raise
                client.__exit__()
                client, note, named = None, str(error), None
                rows |= {"theirs": [], "raw": []}
                continue
            rows["theirs"].append(scores)
            rows["raw"].append(raw)
    finally:
        if client is not None:
            client.__exit__()
    # At once: Keras traces a model again for each number of images.
    trained_pixels = np.stack(rows["trained"])
    keras = predictor.score(trained_pixels)
    judged = None if reference is None else reference(trained_pixels)
    if progress is not None:
        progress("comparing photos with Keras and MediaPipe", len(images), len(images))

    def compare(name: str) -> Agreement | None:
        if not rows[name]:
            return None
        return measure_agreement(predictor, keras, np.stack(rows[name]), judged=judged)

    some = [images[row] for row in spread_rows(len(images), _DIAGNOSED_IMAGES)]
    contract = diagnose_contract(predictor, model, some)
    if contract is None and named is not None and named != tuple(predictor.labels):
        contract = f"labels: MediaPipe calls the outputs {list(named[:5])}"
    return Parity(
        images=len(images),
        interpreter=measure_agreement(predictor, keras, np.stack(rows["ours"]), judged=judged),
        spread=measure_spread(keras),
        mediapipe=compare("theirs"),
        mediapipe_raw=compare("raw"),
        mediapipe_note=note,
        contract=contract,
        limit=find_limit(
            keras if judged is None else judged,
            step=model.output.scale,
            is_judged=judged is not None,
            is_share=not has_own_unit(predictor),
        ),
    )


def find_limit(expected: np.ndarray, *, step: float, is_judged: bool, is_share: bool) -> float:
    """Returns how far a client's scores may be off, mean over all.

    It follows from the scores: from how they differ from sample to sample, from the steps that a
    file rounds them to, and from their own size. A fixed number is nothing to values in metres and
    everything to probabilities of a thousand labels.

    Args:
        expected: what the client is held to, (samples, outputs).
        step: of the file's integer output; 0 where it is float.
        is_judged: whether they are the file's own. Else they are the float model's, and what
            quantization did is in the difference.
        is_share: whether they are shares of 1. Of those, quantization alone takes some hundredths
            where a model knows nothing.
    """
    size = float(np.abs(expected).mean())
    rest = _ROUNDED * size if is_judged else _NEAR * (1.0 if is_share else size)
    return max(EXPLAINED * measure_spread(expected), _STEPS * step, rest)


def has_own_unit(predictor: Predictor) -> bool:
    """Returns whether the outputs are numbers in the unit of the labels, and no shares."""
    figures = predictor.head.figures
    return figures.catalogue[figures.headlines[0]].unit == "own"


def measure_agreement(
    predictor: Predictor,
    keras: np.ndarray,
    scores: np.ndarray,
    *,
    judged: np.ndarray | None = None,
) -> Agreement:
    """Returns how near scores are to those of Keras, and to those that the file was judged by.

    Shapes: (samples, outputs) all.
    """
    off = np.abs(scores.astype(np.float64) - keras)
    top1 = None
    if not has_own_unit(predictor) and np.isfinite(scores).all():
        pairs = zip(
            predictor.head.decode(keras, predictor.labels),
            predictor.head.decode(scores, predictor.labels),
            strict=True,
        )
        top1 = float(np.mean([a.label == b.label for a, b in pairs]))
    drift = None if judged is None else float(np.abs(scores.astype(np.float64) - judged).mean())
    return Agreement(largest=float(off.max()), mean=float(off.mean()), top1=top1, drift=drift)


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
