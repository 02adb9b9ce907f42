"""Made for a tfxfer that does not exist yet."""

from typing import Any

from tfxfer import Backbone


class Newer(Backbone):
    """Passes its input through."""

    name = "double_newer"
    family = "double"
    contract_version = "0.2"

    def build(self, inputs: Any) -> Any:
        return inputs
