"""Folder or CSV → audited, stratified, seeded images."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfxfer.data.audit import Audit, Problem
    from tfxfer.data.augment import AUGMENT_LEVELS, make_views
    from tfxfer.data.balance import (
        BALANCE_MODES,
        class_weights,
        oversampled_order,
        sample_weights,
    )
    from tfxfer.data.decode import open_image, resize_image
    from tfxfer.data.images import ImageData, ImageSplit
    from tfxfer.data.loading import load_images, load_split
    from tfxfer.data.sources import Record, Source, read_source
    from tfxfer.data.split import split_records

__all__ = [
    "AUGMENT_LEVELS",
    "BALANCE_MODES",
    "Audit",
    "ImageData",
    "ImageSplit",
    "Problem",
    "Record",
    "Source",
    "class_weights",
    "load_images",
    "load_split",
    "make_views",
    "open_image",
    "oversampled_order",
    "read_source",
    "resize_image",
    "sample_weights",
    "split_records",
]

# Loaded on first use: `tfxfer --version` must not pay for numpy and Pillow.
_HOMES = {
    "audit": ("Audit", "Problem"),
    "augment": ("AUGMENT_LEVELS", "make_views"),
    "balance": ("BALANCE_MODES", "class_weights", "oversampled_order", "sample_weights"),
    "decode": ("open_image", "resize_image"),
    "images": ("ImageData", "ImageSplit"),
    "loading": ("load_images", "load_split"),
    "sources": ("Record", "Source", "read_source"),
    "split": ("split_records",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
