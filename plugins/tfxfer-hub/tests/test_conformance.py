from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.registry.lookup import get_backbone
from tfxfer.testing import BackboneConformance


class TestHubModule(BackboneConformance):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _module(cls, saved: Path) -> None:
        cls.backbone = get_backbone(f"hub:{saved}")


@pytest.mark.slow
class TestHubMap(BackboneConformance):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _module(cls, saved_map: Path) -> None:
        cls.backbone = get_backbone(f"hub:{saved_map}#pixels=-1..1,size=48")
