"""How far a client may be off follows from the outputs' own size, and from what quantizing did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.inference.predictor import Predictor
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import get_head
from tfxfer_edge.proof.parity import Agreement, Parity, check_parity, find_limit
from tfxfer_edge.tflite.interpreter import TFLiteModel

from .. import photo_classifier as photos
from .photo_files import write_file

# In no list of hypotheses: brighter, and with twice the contrast.
BRIGHTER = Preprocessing.from_mean_std(mean=20.0, std=60.0)
FLAT = 1e-3


def scaled(factor: float, *, bias: float = 0.0, activation: str = "linear") -> Any:
    """Returns a model whose outputs before the activation are smaller, around another number."""
    import keras

    model = keras.models.clone_model(photos.build(activation=activation, rescales=0))
    kernel, offset = photos.build(activation=activation, rescales=0).get_weights()
    model.set_weights([kernel * factor, offset * factor + bias])
    return model


def predictor_of(model: Any, head: str, *, off: float = 0.0) -> Predictor:
    """Returns Keras's side; `off` is how far quantization has taken the file from it."""
    noise = off * np.where(np.arange(len(photos.LABELS)) % 2, 1, -1)
    values = photos.MINUS_ONE_TO_ONE
    return replace(
        photos.predictor(),
        head=get_head(head),
        score=lambda pixels: np.asarray(model(values.apply(np.asarray(pixels)))) + noise,
    )


def check(
    folder: Path,
    model: Any,
    kind: str,
    head: str,
    *,
    stated: Preprocessing = photos.MINUS_ONE_TO_ONE,
    off: float = 0.0,
    judged: bool = True,
) -> Parity:
    content = photos.convert(model)
    path = write_file(folder, content, stated, metadata_kind=kind)
    # As the gate scores it: by what the conversion knows, not by what the metadata says.
    reference: Callable[[Any], np.ndarray] = TFLiteModel(
        content, preprocessing=photos.MINUS_ONE_TO_ONE
    ).score
    return check_parity(
        predictor_of(model, head, off=off),
        path,
        photos.FILES,
        mediapipe=False,
        reference=reference if judged else None,
    )


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_a_regressor_is_measured_in_its_own_unit(tmp_path: Path, unit: float, judged: bool) -> None:
    model = scaled(unit)
    right = check(tmp_path, model, "regressor", "regression", judged=judged)
    assert right.fault is None
    wrong = check(tmp_path, model, "regressor", "regression", stated=BRIGHTER, judged=judged)
    assert wrong.contract is not None
    assert "the model wants -1..1" in wrong.contract
    # And where no hypothesis explains it: of values in metres all that is wrong is below 0.02.
    unexplained = replace(wrong, contract=None)
    assert unexplained.fault is not None
    assert "LiteRT differs" in unexplained.fault


@pytest.mark.parametrize("off", [0.0, 0.05])
def test_flat_scores_that_the_gate_has_passed(tmp_path: Path, off: float) -> None:
    model = scaled(FLAT, activation="softmax")
    found = check(tmp_path, model, "classifier", "classification", off=off)
    assert found.interpreter.mean == pytest.approx(off, abs=1e-5)
    assert found.spread < 0.01
    # What quantization did is the gate's to judge, and it has.
    assert found.fault is None
    # Nobody has judged it: then flat scores are near the float model's, or refused.
    alone = check(tmp_path, model, "classifier", "classification", off=off, judged=False)
    assert (alone.fault is None) == (off == 0.0)


def test_flat_scores_and_a_wrong_preprocessing(tmp_path: Path) -> None:
    model = scaled(FLAT, activation="softmax")
    found = check(tmp_path, model, "classifier", "classification", stated=BRIGHTER, off=0.05)
    found = replace(found, contract=None)
    assert found.fault is not None
    assert "LiteRT differs from the file as it was judged" in found.fault


def test_two_steps_of_a_rounded_output_are_none() -> None:
    flat = np.full((8, 3), 1 / 3)
    assert find_limit(flat, step=1 / 256, is_judged=True, is_share=True) == pytest.approx(2 / 256)
    assert find_limit(flat, step=0.0, is_judged=True, is_share=True) < 1e-3
    values = np.full((8, 1), 5000.0)
    assert find_limit(values, step=20.0, is_judged=True, is_share=False) == 40.0
    assert find_limit(np.zeros((8, 1)), step=0.0, is_judged=False, is_share=False) == 0.0


def test_scores_that_are_no_numbers_never_pass() -> None:
    nan = Agreement(largest=float("nan"), mean=float("nan"), top1=None, drift=float("nan"))
    assert Parity(4, nan, spread=1.0, limit=1.0).fault is not None
    assert Parity(4, replace(nan, drift=None), spread=1.0, limit=1.0).fault is not None
