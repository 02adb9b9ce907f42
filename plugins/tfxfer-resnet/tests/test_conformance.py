import pytest

from tfxfer.testing import BackboneConformance
from tfxfer_resnet import (
    ResNet50,
    ResNet50V2,
)


@pytest.mark.slow
class TestResNet50V2(BackboneConformance):
    backbone = ResNet50V2


@pytest.mark.slow
class TestResNet50(BackboneConformance):
    backbone = ResNet50
