"""Keras models as quantized TFLite files that a phone runs, with proof that they still work."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfxfer_edge.conversion import Converted, convert
    from tfxfer_edge.exports import ExportResult, export
    from tfxfer_edge.graph import FrozenGraph, freeze
    from tfxfer_edge.recipes import RECIPES, Recipe, get_recipe

__all__ = [
    "RECIPES",
    "Converted",
    "ExportResult",
    "FrozenGraph",
    "Recipe",
    "convert",
    "export",
    "freeze",
    "get_recipe",
]

_HOMES = {
    "Converted": "conversion",
    "ExportResult": "exports",
    "FrozenGraph": "graph",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "convert": "conversion",
    "export": "exports",
    "freeze": "graph",
    "get_recipe": "recipes",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `tfxfer --help` imports this package.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
