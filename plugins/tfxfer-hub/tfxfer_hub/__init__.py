"""TensorFlow Hub modules and SavedModels as backbones; importing this imports no framework.

`import tfxfer_hub.layer` is what a process needs that reads a saved model, tfxfer installed or not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfxfer_hub.backbone import HubBackbone
    from tfxfer_hub.layer import HubLayer

__all__ = ["HubBackbone", "HubLayer"]

_MODULES = {"HubBackbone": "tfxfer_hub.backbone", "HubLayer": "tfxfer_hub.layer"}


def __getattr__(name: str) -> Any:
    # The layer needs Keras and no tfxfer, the backbone tfxfer and no Keras: neither brings both.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
