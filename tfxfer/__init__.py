"""Transfer learning for Keras: plugins for backbones and heads, and a cached freeze frontier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name -> module. Resolved at first use (PEP 562): `import tfxfer` must not cost the seconds that
# TensorFlow takes, since `tfxfer --version` and every shell completion pay for it, too.
_EXPORTS = {
    "ApplicationBackbone": "tfxfer.application",
    "BACKBONE_END": "tfxfer.backbone",
    "Backbone": "tfxfer.backbone",
    "CONTRACT_VERSION": "tfxfer.backbone",
    "ContractError": "tfxfer.errors",
    "DataError": "tfxfer.errors",
    "DeviceError": "tfxfer.errors",
    "GateError": "tfxfer.errors",
    "Head": "tfxfer.head",
    "ImageError": "tfxfer.errors",
    "ModelError": "tfxfer.errors",
    "Monitor": "tfxfer.head",
    "Phase": "tfxfer.schedule",
    "PluginConflictError": "tfxfer.errors",
    "PluginError": "tfxfer.errors",
    "PluginImportError": "tfxfer.errors",
    "Prediction": "tfxfer.head",
    "Preprocessing": "tfxfer.preprocessing",
    "Registry": "tfxfer.registry",
    "Resize": "tfxfer.preprocessing",
    "RunDirectory": "tfxfer.run",
    "RunError": "tfxfer.errors",
    "ScheduleError": "tfxfer.errors",
    "SetupError": "tfxfer.errors",
    "Stage": "tfxfer.backbone",
    "StorageError": "tfxfer.errors",
    "TfxferError": "tfxfer.errors",
    "UnknownBackboneError": "tfxfer.errors",
    "UnknownHeadError": "tfxfer.errors",
    "UnknownPluginError": "tfxfer.errors",
    "UsageError": "tfxfer.errors",
    "Weights": "tfxfer.backbone",
    "WeightsError": "tfxfer.errors",
    "build_model": "tfxfer.model",
    "evaluate": "tfxfer.inference",
    "fit": "tfxfer.training",
    "freeze_to": "tfxfer.model",
    "from_scratch": "tfxfer.schedule",
    "get_backbone": "tfxfer.registry",
    "get_head": "tfxfer.registry",
    "load_images": "tfxfer.data",
    "load_model": "tfxfer.inference",
    "load_run": "tfxfer.run",
    "predict": "tfxfer.inference",
    "progressive": "tfxfer.schedule",
    "two_phase": "tfxfer.schedule",
}

__all__ = [
    "BACKBONE_END",
    "CONTRACT_VERSION",
    "ApplicationBackbone",
    "Backbone",
    "ContractError",
    "DataError",
    "DeviceError",
    "GateError",
    "Head",
    "ImageError",
    "ModelError",
    "Monitor",
    "Phase",
    "PluginConflictError",
    "PluginError",
    "PluginImportError",
    "Prediction",
    "Preprocessing",
    "Registry",
    "Resize",
    "RunDirectory",
    "RunError",
    "ScheduleError",
    "SetupError",
    "Stage",
    "StorageError",
    "TfxferError",
    "UnknownBackboneError",
    "UnknownHeadError",
    "UnknownPluginError",
    "UsageError",
    "Weights",
    "WeightsError",
    "__version__",
    "build_model",
    "evaluate",
    "fit",
    "freeze_to",
    "from_scratch",
    "get_backbone",
    "get_head",
    "load_images",
    "load_model",
    "load_run",
    "predict",
    "progressive",
    "two_phase",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'tfxfer' has no attribute {name!r}")
    import importlib

    # Stored nowhere: the module's own attribute stays the one truth, which tests may replace.
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from tfxfer.application import ApplicationBackbone
    from tfxfer.backbone import BACKBONE_END, CONTRACT_VERSION, Backbone, Stage, Weights
    from tfxfer.data import load_images
    from tfxfer.errors import (
        ContractError,
        DataError,
        DeviceError,
        GateError,
        ImageError,
        ModelError,
        PluginConflictError,
        PluginError,
        PluginImportError,
        RunError,
        ScheduleError,
        SetupError,
        StorageError,
        TfxferError,
        UnknownBackboneError,
        UnknownHeadError,
        UnknownPluginError,
        UsageError,
        WeightsError,
    )
    from tfxfer.head import Head, Monitor, Prediction
    from tfxfer.inference import evaluate, load_model, predict
    from tfxfer.model import build_model, freeze_to
    from tfxfer.preprocessing import Preprocessing, Resize
    from tfxfer.registry import Registry, get_backbone, get_head
    from tfxfer.run import RunDirectory, load_run
    from tfxfer.schedule import Phase, from_scratch, progressive, two_phase
    from tfxfer.training import fit
