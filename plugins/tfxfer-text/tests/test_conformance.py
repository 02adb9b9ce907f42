from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.registry.lookup import get_backbone
from tfxfer.testing import BackboneConformance
from tfxfer_text import MiniLML6


class TestTinyFolder(BackboneConformance):
    weights = "pretrained"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, tiny_folder: Path) -> None:
        cls.backbone = get_backbone(f"text:{tiny_folder}")


@pytest.mark.slow
class TestDistilFolder(BackboneConformance):
    weights = "pretrained"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, distil_folder: Path) -> None:
        cls.backbone = get_backbone(f"text:{distil_folder}")


@pytest.mark.slow
class TestMiniLM(BackboneConformance):
    backbone = MiniLML6
