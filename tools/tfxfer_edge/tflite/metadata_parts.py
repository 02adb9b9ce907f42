"""Tables of the metadata's schema that the ends of every model are described with."""

from __future__ import annotations

import numpy as np

from tfxfer_edge.tflite import metadata_schema as schema
from tfxfer_edge.tflite.metadata_builder import Draft

__all__ = ["draft_content", "draft_feature", "draft_file", "draft_stats", "list_limits"]


def draft_content(kind: schema.ContentKind, properties: Draft) -> Draft:
    """Returns what a tensor holds."""
    return Draft({schema.Content.KIND: np.uint8(kind), schema.Content.PROPERTIES: properties})


def draft_feature() -> Draft:
    """Returns the words for a tensor that is no picture."""
    return draft_content(schema.ContentKind.FEATURE, Draft({}))


def draft_stats(low: tuple[float, ...], high: tuple[float, ...]) -> Draft:
    """Returns the limits of a tensor's values."""
    return Draft({schema.Stats.MIN: low, schema.Stats.MAX: high})


def list_limits(dtype: str) -> tuple[float, float]:
    """Returns the smallest and the largest value of an integer.

    Example:
        >>> list_limits("int8")
        (-128.0, 127.0)
    """
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def draft_file(name: str, kind: schema.FileKind, description: str) -> Draft:
    """Returns the words for a file that is packed behind the model."""
    return Draft(
        {
            schema.AssociatedFile.NAME: name,
            schema.AssociatedFile.DESCRIPTION: description,
            schema.AssociatedFile.KIND: np.uint8(kind),
        }
    )
