"""What remains of a training: the model, its answers, its figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.data.provenance import Provenance
from tfxfer.data.samples import SampleData
from tfxfer.evaluation import find_warnings, score_predictions
from tfxfer.inference.answers import list_answers
from tfxfer.inference.keras_model import save_model, wrap_model
from tfxfer.inference.provenance import add_to_keras_file
from tfxfer.inference.scoring import score_split
from tfxfer.job.causes import find_cause
from tfxfer.job.record import RunRecord
from tfxfer.job.slices import record_slices
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.system.files import atomic_write, write_table
from tfxfer.trust.calibration import calibrate_scores, find_tempering, fold_temperature
from tfxfer.trust.temperature import Calibration, compare_calibration, temper

__all__ = ["write_result"]


def write_result(
    run: RunDirectory,
    record: RunRecord,
    data: SampleData,
    model: Any,
    progress: Progress | None,
    *,
    seed: int,
    calibrate: bool,
) -> np.ndarray:
    """Scores a trained model, settles its confidence, and writes all that a run keeps of it.

    Args:
        run: whose lock is held.
        record: of the run.
        data: its samples.
        model: with its final weights; its last layer is divided by a temperature.
        progress: told of samples scored.
        seed: of the intervals.
        calibrate: False leaves the model as it was trained.

    Shapes: returns the scores of the test samples, (samples, outputs).
    """
    predictor = wrap_model(model)
    tempering = find_tempering(model) if calibrate else None
    raw = score_split(predictor, data.val, progress=progress)
    scores, temperature, reason = {data.val.name: raw}, 1.0, ""
    if tempering is not None:
        fitted, scores[data.val.name] = calibrate_scores(raw, data.val.targets, tempering)
        fold_temperature(model, tempering, fitted.value)
        temperature, reason = fitted.value, fitted.reason
    _save(run, data, model)
    record.seal(run.model_path.name)
    scores[data.test.name] = score_split(predictor, data.test, progress=progress)
    calibration = None
    if tempering is not None:
        link, after = tempering.link, scores[data.test.name]
        before = after if temperature == 1 else temper(after, 1 / temperature, link=link)
        val = compare_calibration(
            raw, scores[data.val.name], data.val.targets, link=link, seed=seed
        )
        test = compare_calibration(before, after, data.test.targets, link=link, seed=seed)
        calibration = Calibration(temperature, val, test, reason).to_dict()
    metrics: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for split in (data.val, data.test):
        metrics[split.name] = score_predictions(
            split.targets,
            scores[split.name],
            head=predictor.head,
            labels=predictor.labels,
            seed=seed,
        )
        rows += list_answers(predictor, split, scores[split.name])
    record_slices(run, data.test, scores[data.test.name], predictor, metrics["test"], seed=seed)
    write_table(run.predictions_path, rows)
    cause = find_cause(record.manifest, data.train.raw_labels, predictor.head)
    warnings = find_warnings(metrics["test"], predictor.head, cause=cause)
    record.update(metrics=metrics, calibration=calibration, warnings=tuple(warnings))
    record.seal()
    return scores[data.test.name]


def _save(run: RunDirectory, data: SampleData, model: Any) -> None:
    provenance = Provenance.of_rows(data.rows)
    with atomic_write(run.model_path) as temporary:
        save_model(model, temporary)
        if provenance is not None:
            add_to_keras_file(temporary, provenance)
