"""Imports and has every attribute; what it builds is no tensor."""

from typing import Any

from tfxfer import Backbone


class Nonsense(Backbone):
    """Builds a word."""

    name = "double_nonsense"
    family = "double"

    def build(self, inputs: Any) -> Any:
        return "features"
