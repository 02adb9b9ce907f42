import pytest

from tfxfer.testing import BackboneConformance
from tfxfer_mobilenet import (
    MobileNetV2,
    MobileNetV2x035,
    MobileNetV2x050,
    MobileNetV2x075,
    MobileNetV3Large,
    MobileNetV3Small,
)


class TestMobileNetV2x035(BackboneConformance):
    backbone = MobileNetV2x035


@pytest.mark.slow
class TestMobileNetV2(BackboneConformance):
    backbone = MobileNetV2


@pytest.mark.slow
class TestMobileNetV2x075(BackboneConformance):
    backbone = MobileNetV2x075


@pytest.mark.slow
class TestMobileNetV2x050(BackboneConformance):
    backbone = MobileNetV2x050


@pytest.mark.slow
class TestMobileNetV3Small(BackboneConformance):
    backbone = MobileNetV3Small


@pytest.mark.slow
class TestMobileNetV3Large(BackboneConformance):
    backbone = MobileNetV3Large
