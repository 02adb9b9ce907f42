"""The heads tfxfer ships: one class per task, each found through its entry point."""

from __future__ import annotations

from tfxfer_heads.classification import Classification
from tfxfer_heads.multilabel import Multilabel
from tfxfer_heads.prototype import Prototype
from tfxfer_heads.regression import Regression

__all__ = ["Classification", "Multilabel", "Prototype", "Regression"]
