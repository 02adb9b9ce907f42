from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer.registry.lookup import get_backbone
from tfxfer.testing import BackboneConformance
from tfxfer_text import MiniLML6
from tfxfer_text.miniature import MINIATURE, write_model


class TestOneBlock(BackboneConformance):
    weights = "pretrained"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("models") / "one_block"
        write_model(folder, replace(MINIATURE, blocks=1))
        cls.backbone = get_backbone(f"text:{folder}")


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
