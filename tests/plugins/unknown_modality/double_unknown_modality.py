"""A backbone of a modality that no distribution brings."""

from typing import Any

from tfxfer import Backbone


class Homeless(Backbone):
    """Passes its input through."""

    name = "double_homeless"
    family = "double"
    modality = "double_smell"
    default_size = 8
    min_size = 4

    def build(self, inputs: Any) -> Any:
        return inputs
