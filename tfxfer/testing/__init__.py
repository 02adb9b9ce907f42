"""The conformance kit: what tfxfer expects of a plugin, as checks anybody runs.

With pytest, a plugin's whole test file is:

    from my_plugin import MyNet
    from tfxfer.testing import BackboneConformance


    class TestMyNet(BackboneConformance):
        backbone = MyNet

Without: `tfxfer plugin check my_net`, or `check_backbone("my_net")` in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "BACKBONE_CHECKS": "tfxfer.testing.kits",
    "BackboneConformance": "tfxfer.testing.pytest_kit",
    "Check": "tfxfer.testing.check",
    "HEAD_CHECKS": "tfxfer.testing.kits",
    "HeadConformance": "tfxfer.testing.pytest_kit",
    "MODALITY_CHECKS": "tfxfer.testing.modality_kit",
    "ModalityConformance": "tfxfer.testing.pytest_kit",
    "Report": "tfxfer.testing.check",
    "Result": "tfxfer.testing.check",
    "check_backbone": "tfxfer.testing.kits",
    "check_head": "tfxfer.testing.kits",
    "check_modality": "tfxfer.testing.modality_kit",
}

__all__ = [
    "BACKBONE_CHECKS",
    "HEAD_CHECKS",
    "MODALITY_CHECKS",
    "BackboneConformance",
    "Check",
    "HeadConformance",
    "ModalityConformance",
    "Report",
    "Result",
    "check_backbone",
    "check_head",
    "check_modality",
]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `check_backbone` needs no pytest, and pytest's classes do. The checks
    # import Keras when they run: naming them in a test file must not take seconds.
    if name not in _EXPORTS:
        raise AttributeError(f"module 'tfxfer.testing' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    from tfxfer.testing.check import Check, Report, Result
    from tfxfer.testing.kits import BACKBONE_CHECKS, HEAD_CHECKS, check_backbone, check_head
    from tfxfer.testing.modality_kit import MODALITY_CHECKS, check_modality
    from tfxfer.testing.pytest_kit import (
        BackboneConformance,
        HeadConformance,
        ModalityConformance,
    )
