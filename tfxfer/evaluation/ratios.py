"""Ratios of counts, of which some do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["describe_class", "divide", "list_unpredicted", "mean_defined"]


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns a ratio, not a number where the denominator is 0.

    Example:
        >>> divide(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
        array([0.5, nan])
    """
    nowhere = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=nowhere, where=denominator != 0)


def mean_defined(columns: np.ndarray) -> np.ndarray:
    """Returns the means of rows over the columns that are numbers.

    Shapes: columns (rows, columns); returns (rows,).
    """
    defined = ~np.isnan(columns)
    return divide(np.where(defined, columns, 0).sum(axis=1), defined.sum(axis=1))


def describe_class(label: str, hits: float, answers: float, samples: float) -> dict[str, Any]:
    """Returns precision, recall and F1 of one class as JSON data.

    Args:
        label: its name.
        hits: samples of the class that were given it.
        answers: samples that were given it.
        samples: samples of the class.
    """
    # null, not 0, for what does not exist: no answers have no precision, no samples no recall.
    return {
        "label": label,
        "precision": float(hits / answers) if answers else None,
        "recall": float(hits / samples) if samples else None,
        "f1": float(2 * hits / (answers + samples)) if samples else None,
        "images": int(samples),
    }


def list_unpredicted(document: Mapping[str, Any]) -> list[str]:
    """Returns the classes of a document that have samples and were never given to any.

    Example:
        >>> found = [describe_class("ant", 3, 5, 3), describe_class("bee", 0, 0, 2)]
        >>> list_unpredicted({"per_class": found})
        ['bee']
    """
    return [
        item["label"]
        for item in document["per_class"]
        if item["images"] and item["precision"] is None
    ]
