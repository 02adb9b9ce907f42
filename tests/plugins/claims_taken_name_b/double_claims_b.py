"""A backbone that would work, were it not for the other one of the same name."""

from typing import Any

from tfxfer import Backbone


class Claimed(Backbone):
    """Passes its input through."""

    name = "double_taken"
    family = "double"

    def build(self, inputs: Any) -> Any:
        return inputs
