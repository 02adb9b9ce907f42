import pytest

from tfxfer.testing import BackboneConformance
from tfxfer_efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    EfficientNetV2B0,
)


class TestEfficientNetLite0(BackboneConformance):
    backbone = EfficientNetLite0


@pytest.mark.slow
class TestEfficientNetLite1(BackboneConformance):
    backbone = EfficientNetLite1


@pytest.mark.slow
class TestEfficientNetLite2(BackboneConformance):
    backbone = EfficientNetLite2


@pytest.mark.slow
class TestEfficientNetB0(BackboneConformance):
    backbone = EfficientNetB0


@pytest.mark.slow
class TestEfficientNetB1(BackboneConformance):
    backbone = EfficientNetB1


@pytest.mark.slow
class TestEfficientNetB2(BackboneConformance):
    backbone = EfficientNetB2


@pytest.mark.slow
class TestEfficientNetB3(BackboneConformance):
    backbone = EfficientNetB3


@pytest.mark.slow
class TestEfficientNetV2B0(BackboneConformance):
    backbone = EfficientNetV2B0
