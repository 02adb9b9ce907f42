from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.registry.lookup import get_backbone
from tfxfer.testing import BackboneConformance


class TestResNetPreset(BackboneConformance):
    weights = "preset"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _preset(cls, resnet_preset: Path) -> None:
        cls.backbone = get_backbone(f"kerashub:{resnet_preset}")


@pytest.mark.slow
class TestViTPreset(BackboneConformance):
    weights = "preset"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _preset(cls, vit_preset: Path) -> None:
        cls.backbone = get_backbone(f"kerashub:{vit_preset}")
