"""Whether a text gets the same answer on the phone as where it was trained.

One text goes three ways: to Keras, to the `.tflite` file through LiteRT with the vocabulary that is
packed in it, and to the same file through MediaPipe Tasks, which splits it into tokens itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import DataError, ModelError, PluginImportError
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.sample import Sample
from tfxfer_edge.proof.contract import measure_spread
from tfxfer_edge.proof.mediapipe import MediaPipeTexts
from tfxfer_edge.proof.parity import Parity, find_limit, has_own_unit, measure_agreement
from tfxfer_edge.tflite.assets import read_packed_contract
from tfxfer_edge.tflite.sample_model import SampleModel

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor

__all__ = ["check_text_parity", "find_foreign_case"]

_BATCH_TEXTS = 32


def find_foreign_case(contract: Mapping[str, Any]) -> str | None:
    """Returns why MediaPipe cannot read texts for a vocabulary, in a line; None where it can.

    Args:
        contract: of the texts, as data.
    """
    if contract.get("lowercase") is not False:
        return None
    return (
        "the vocabulary has capitals, and MediaPipe's TextClassifier makes every text lower case: "
        "an app has to split texts into tokens itself, as run.py does"
    )


def check_text_parity(
    predictor: Predictor,
    tflite: bytes,
    samples: Sequence[Sample],
    *,
    mediapipe: bool | None = None,
    reference: Callable[[Any], np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Compares a file with the Keras model it was made of, on raw texts.

    Args:
        predictor: the Keras model.
        tflite: the file, with its metadata.
        samples: texts.
        mediapipe: whether MediaPipe runs, too; None where it is installed and takes the file.
        reference: as in `check_parity`.
        progress: told of texts.

    Raises:
        DataError: no texts.
        ModelError: the file has other outputs or labels than the predictor.
        PluginImportError: `mediapipe=True`, and it is not installed.
    """
    model = SampleModel(tflite)
    if not samples:
        raise DataError("parity: expected at least one text. Received: none.")
    if len(predictor.labels) != model.outputs:
        raise ModelError(
            f"model {model.source!r}: expected {len(predictor.labels)} outputs, as "
            f"{predictor.source!r} has. Received: {model.outputs}."
        )
    modality, size, contract = read_packed_contract(model)
    trained = _read(predictor.modality, predictor.size, predictor.contract, samples)
    found = _read(modality, size, contract, samples)
    what = "comparing texts with Keras and MediaPipe"
    told = progress or (lambda *_: None)
    told(what, 0, len(samples))
    keras = np.concatenate(
        [
            predictor.score(map_arrays(lambda x, at=at: x[at : at + _BATCH_TEXTS], trained))
            for at in range(0, len(samples), _BATCH_TEXTS)
        ]
    )
    judged = None if reference is None else reference(trained)
    ours = model.score(found)
    theirs, named, note = _ask_mediapipe(
        model, samples, mediapipe, lambda n: told(what, n, len(samples))
    )
    told(what, len(samples), len(samples))
    fault = _find_fault(trained, found)
    if fault is None and named is not None and named != tuple(predictor.labels):
        fault = f"labels: MediaPipe calls the outputs {list(named[:5])}"
    return Parity(
        images=len(samples),
        interpreter=measure_agreement(predictor, keras, ours, judged=judged),
        spread=measure_spread(keras),
        mediapipe=None
        if theirs is None
        else measure_agreement(predictor, keras, theirs, judged=judged),
        mediapipe_note=note,
        contract=fault,
        limit=find_limit(
            keras if judged is None else judged,
            step=model.output.scale,
            is_judged=judged is not None,
            is_share=not has_own_unit(predictor),
        ),
    )


def _read(modality: Modality, size: int, contract: Any, samples: Sequence[Sample]) -> Arrays:
    with modality.reading():
        found = [modality.read(sample, size=size, contract=contract) for sample in samples]
    return map_arrays(lambda *rows: np.concatenate(rows), *found)


def _find_fault(trained: Arrays, found: Arrays) -> str | None:
    assert isinstance(trained, dict)
    assert isinstance(found, dict)
    for name, values in trained.items():
        if not np.array_equal(values, found[name]):
            return f"tokens: what the file says of texts gives other {name} than the run has"
    return None


def _ask_mediapipe(
    model: SampleModel, samples: Sequence[Sample], wanted: bool | None, tell: Any
) -> tuple[np.ndarray | None, tuple[str | None, ...] | None, str | None]:
    """Returns scores, the labels that MediaPipe gives them, and why there are none."""
    card = model.card
    foreign = None if card is None or card.contract is None else find_foreign_case(card.contract)
    if wanted is False or (wanted is None and foreign is not None):
        return None, None, foreign or "not asked for"
    try:
        client = MediaPipeTexts(model)
    except (PluginImportError, ModelError) as error:
        if wanted:
            raise
        return None, None, str(error)
    rows, named = [], None
    with client:
        for number, sample in enumerate(samples):
            tell(number)
            try:
                scores, named = client.classify(_find_text(sample))
            except ModelError as error:
                if wanted:
                    raise
                return None, None, str(error)
            rows.append(scores)
    return np.stack(rows), named, None


def _find_text(sample: Sample) -> str:
    if sample.content is not None:
        return sample.content
    assert sample.path is not None  # a sample is one or the other
    return sample.path.read_text(encoding="utf-8-sig")
