import pytest

from tfxfer.testing import BackboneConformance
from tfxfer_classics import (
    VGG16,
    VGG19,
    ConvNeXtTiny,
    DenseNet121,
    InceptionV3,
    NASNetMobile,
    Xception,
)


@pytest.mark.slow
class TestVGG16(BackboneConformance):
    backbone = VGG16


@pytest.mark.slow
class TestVGG19(BackboneConformance):
    backbone = VGG19


@pytest.mark.slow
class TestInceptionV3(BackboneConformance):
    backbone = InceptionV3


@pytest.mark.slow
class TestXception(BackboneConformance):
    backbone = Xception


@pytest.mark.slow
class TestDenseNet121(BackboneConformance):
    backbone = DenseNet121


@pytest.mark.slow
class TestConvNeXtTiny(BackboneConformance):
    backbone = ConvNeXtTiny


@pytest.mark.slow
class TestNASNetMobile(BackboneConformance):
    backbone = NASNetMobile
