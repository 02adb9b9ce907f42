"""Names for the field numbers and constants of `metadata_schema.fbs` that we read or write.

A field's number is its place in its table, counted from 0; a union takes two, its kind and its
value. They never change: a schema may only grow at the end.

Source:
    metadata_schema.fbs of TensorFlow Lite Support, version 1.0.0 of its parsers, and of what was
    added later the tokenizers alone (1.1.0).
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "METADATA_NAME",
    "PARSER_VERSION",
    "SCHEMA_IDENTIFIER",
    "TOKENIZER_PARSER_VERSION",
    "AssociatedFile",
    "BertTokenizer",
    "ColorSpace",
    "Content",
    "ContentKind",
    "FileKind",
    "Image",
    "ImageSize",
    "Model",
    "Normalization",
    "ProcessUnit",
    "ProcessUnitKind",
    "Stats",
    "SubGraph",
    "Tensor",
]

METADATA_NAME = "TFLITE_METADATA"
"""What the entry in a `.tflite` file is called whose buffer holds the metadata."""

SCHEMA_IDENTIFIER = b"M001"

PARSER_VERSION = "1.0.0"
"""Of the oldest parser that reads everything named here but tokenizers."""

TOKENIZER_PARSER_VERSION = "1.1.0"
"""Of the oldest parser that reads tokenizers."""


class Model(IntEnum):
    """Fields of `ModelMetadata`, the root."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPHS = 3
    AUTHOR = 4
    LICENSE = 5
    FILES = 6
    PARSER_VERSION = 7


class SubGraph(IntEnum):
    """Fields of `SubGraphMetadata`."""

    INPUTS = 2
    OUTPUTS = 3
    FILES = 4
    PROCESS_UNITS = 5


class Tensor(IntEnum):
    """Fields of `TensorMetadata`."""

    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    STATS = 5
    FILES = 6


class AssociatedFile(IntEnum):
    """Fields of `AssociatedFile`."""

    NAME = 0
    DESCRIPTION = 1
    KIND = 2


class FileKind(IntEnum):
    """`AssociatedFileType`: what a packed file is for."""

    UNKNOWN = 0
    AXIS_LABELS = 2
    VOCABULARY = 5


class Content(IntEnum):
    """Fields of `Content`."""

    KIND = 0
    PROPERTIES = 1


class ContentKind(IntEnum):
    """`ContentProperties`: what a tensor holds."""

    FEATURE = 1
    IMAGE = 2


class Image(IntEnum):
    """Fields of `ImageProperties`."""

    COLOR_SPACE = 0
    SIZE = 1


class ColorSpace(IntEnum):
    """`ColorSpaceType`."""

    RGB = 1
    GRAYSCALE = 2


class ImageSize(IntEnum):
    """Fields of `ImageSize`."""

    WIDTH = 0
    HEIGHT = 1


class ProcessUnit(IntEnum):
    """Fields of `ProcessUnit`."""

    KIND = 0
    OPTIONS = 1


class ProcessUnitKind(IntEnum):
    """`ProcessUnitOptions`: what is done to a tensor."""

    NORMALIZATION = 1
    BERT_TOKENIZER = 4


class BertTokenizer(IntEnum):
    """Fields of `BertTokenizerOptions`."""

    VOCABULARY = 0


class Normalization(IntEnum):
    """Fields of `NormalizationOptions`."""

    MEAN = 0
    STD = 1


class Stats(IntEnum):
    """Fields of `Stats`."""

    MAX = 0
    MIN = 1
