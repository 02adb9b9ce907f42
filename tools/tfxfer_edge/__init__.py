"""Keras models as quantized TFLite files that a phone runs, with proof that they still work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from tfxfer.system.lazy import explain_failures

if TYPE_CHECKING:
    from tfxfer_edge.conversion.attempts import convert
    from tfxfer_edge.conversion.converted import Converted
    from tfxfer_edge.conversion.graph import FrozenGraph, freeze
    from tfxfer_edge.conversion.recipe_file import read_recipe
    from tfxfer_edge.conversion.recipes import RECIPES, Recipe, get_recipe
    from tfxfer_edge.door import EdgeModality, list_modalities
    from tfxfer_edge.exports import ExportResult, export
    from tfxfer_edge.extension import add_class
    from tfxfer_edge.tflite.card import ModelCard
    from tfxfer_edge.tflite.interpreter import TFLiteModel
    from tfxfer_edge.tflite.metadata_reader import read_metadata
    from tfxfer_edge.tflite.metadata_writer import write_metadata
    from tfxfer_edge.ungated import convert_files

__all__ = [
    "RECIPES",
    "Converted",
    "EdgeModality",
    "ExportResult",
    "FrozenGraph",
    "ModelCard",
    "Recipe",
    "TFLiteModel",
    "add_class",
    "convert",
    "convert_files",
    "export",
    "freeze",
    "get_recipe",
    "list_modalities",
    "read_metadata",
    "read_recipe",
    "write_metadata",
]

# Loaded when asked for: `tfxfer --help` imports this package.
_get, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "conversion.attempts": ["convert"],
        "conversion.converted": ["Converted"],
        "conversion.graph": ["FrozenGraph", "freeze"],
        "conversion.recipe_file": ["read_recipe"],
        "conversion.recipes": ["RECIPES", "Recipe", "get_recipe"],
        "door": ["EdgeModality", "list_modalities"],
        "exports": ["ExportResult", "export"],
        "extension": ["add_class"],
        "tflite.card": ["ModelCard"],
        "tflite.interpreter": ["TFLiteModel"],
        "tflite.metadata_reader": ["read_metadata"],
        "tflite.metadata_writer": ["write_metadata"],
        "ungated": ["convert_files"],
    },
)
__getattr__ = explain_failures(_get)
