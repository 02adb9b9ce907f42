"""Folder or CSV → audited, stratified, seeded samples."""

from __future__ import annotations

from typing import Any

import lazy_loader

# Loaded on first use: `tfxfer --version` must not pay for numpy and Pillow.
_get, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Images are one modality among others, above this package.
_MOVED = {
    "AUGMENT_LEVELS": "tfxfer.images.augment",
    "ImageData": "tfxfer.data.SampleData",
    "ImageSplit": "tfxfer.data.SampleSplit",
    "load_images": "tfxfer.load_images",
    "make_views": "tfxfer.images.augment",
    "open_image": "tfxfer.images.decode",
    "resize_image": "tfxfer.images.decode",
}


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        raise AttributeError(f"tfxfer.data.{name} has moved: see {_MOVED[name]}")
    return _get(name)
