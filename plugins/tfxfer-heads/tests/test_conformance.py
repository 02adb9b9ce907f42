from tfxfer.testing import HeadConformance
from tfxfer_heads import Classification, Multilabel, Prototype, Regression


class TestClassification(HeadConformance):
    head = Classification


class TestMultilabel(HeadConformance):
    head = Multilabel


class TestRegression(HeadConformance):
    head = Regression


class TestPrototype(HeadConformance):
    head = Prototype
