from tfxfer.testing import BackboneConformance
from tfxfer_densenet import DenseNet121


class TestDenseNet121(BackboneConformance):
    backbone = DenseNet121
