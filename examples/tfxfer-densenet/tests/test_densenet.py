from tfxfer_densenet import DenseNet121

from tfxfer.testing import BackboneConformance


class TestDenseNet121(BackboneConformance):
    backbone = DenseNet121
