import pytest

from tfxfer.testing import HeadConformance
from tfxfer_heads import Classification, Multilabel, Regression


class TestClassification(HeadConformance):
    head = Classification


@pytest.mark.slow
class TestMultilabel(HeadConformance):
    head = Multilabel


@pytest.mark.slow
class TestRegression(HeadConformance):
    head = Regression
