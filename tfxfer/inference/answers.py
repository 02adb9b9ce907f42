"""What a model said of each labelled sample, as the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.data.samples import SampleSplit
from tfxfer.inference.predictor import Predictor

__all__ = ["list_answers"]


def list_answers(
    predictor: Predictor, split: SampleSplit, scores: np.ndarray
) -> list[dict[str, Any]]:
    """Returns one row per sample of a split, in its order: what it is and what was answered.

    Args:
        predictor: that scored them.
        split: the samples.
        scores: of each, as `score_split` returns them.

    Shapes: scores (samples, outputs).

    Returns:
        Dicts with the keys `path` (relative to the data), `split`, `truth` (the label as DATA has
        it), `label`, `score` and `right`: `true` or `false`, empty for a task whose answers are
        never simply right.
    """
    answers = predictor.head.decode(scores, predictor.labels)
    rights = predictor.head.make_figures(split.targets, scores, predictor.labels).rights()
    # Of several ways to be right the first is the strict one, such as the very label.
    words = [""] * len(split)
    if rights:
        words = ["true" if right else "false" for right in next(iter(rights.values())).tolist()]
    return [
        {
            "path": record.path,
            "split": split.name,
            "truth": record.label,
            "label": answer.label,
            "score": answer.score,
            "right": word,
        }
        for record, answer, word in zip(split.records, answers, words, strict=True)
    ]
