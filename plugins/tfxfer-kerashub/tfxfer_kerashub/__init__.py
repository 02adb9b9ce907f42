"""KerasHub image backbones for tfxfer; importing this imports neither Keras nor TensorFlow.

`import tfxfer_kerashub.layers` is what a process needs that reads a saved model, tfxfer installed
or not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfxfer_kerashub.backbone import KerasHubBackbone
    from tfxfer_kerashub.errors import PresetError
    from tfxfer_kerashub.layers import KerasHubLayer

__all__ = ["KerasHubBackbone", "KerasHubLayer", "PresetError"]

_MODULES = {
    "KerasHubBackbone": "tfxfer_kerashub.backbone",
    "KerasHubLayer": "tfxfer_kerashub.layers",
    "PresetError": "tfxfer_kerashub.errors",
}


def __getattr__(name: str) -> Any:
    # The layer needs Keras and no tfxfer, the backbone tfxfer and no Keras: neither brings both.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
