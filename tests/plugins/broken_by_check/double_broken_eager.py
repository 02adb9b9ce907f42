"""Doubles that would do, were it not for the import at the top."""

from __future__ import annotations

import jax  # noqa: F401  the quickest of the slow ones
from double_good_backbone import Tiny
from double_good_head import Softmax
from double_good_modality import Ramp


class Eager(Tiny):
    name = "double_eager"


class EagerHead(Softmax):
    name = "double_eager_head"


class EagerModality(Ramp):
    name = "double_eager_modality"
