from tfxfer.testing import BackboneConformance
from tfxfer_densenet import DenseNet169


class TestDenseNet169(BackboneConformance):
    backbone = DenseNet169
