"""What a `.tflite` file says of itself, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.arguments import check_kind, check_texts, check_word
from tfxfer_edge.door import IMAGE

__all__ = ["CONTRACT_FILE", "EXPORT_MANIFEST", "KINDS", "LABELS_FILE", "MICRO_FILES", "ModelCard"]

KINDS = ("classifier", "multilabel_classifier", "regressor", "features")
LABELS_FILE = "labels.txt"
EXPORT_MANIFEST = "export.json"
MICRO_FILES = ("model_data.cc", "model_data.h")
"""What a microcontroller's program is linked with."""
CONTRACT_FILE = "tfxfer.json"
"""Packed beside the labels: the kind of task and how a sample becomes the inputs, as far as the
schema has no field.

An associated file and not `custom_metadata`: the latter asks for a parser of version 1.5.0 where
everything else is content with 1.0.0.
"""


@dataclass(frozen=True)
class ModelCard:
    """What a `.tflite` file says of itself.

    Args:
        name: of the model.
        description: what it tells of a sample.
        version: of the model.
        author: who trained it.
        licence: under which it may be used.
        labels: names of the outputs, in order; none for a feature vector.
        metadata_kind: `classifier`, `multilabel_classifier`, `regressor` or `features`.
        preprocessing: what pixels 0..255 go through before they are the input's values; None where
            they go in as they are. For an integer input it is what its scale and zero point stand
            for: clients feed bytes.
        resize: how a photo becomes the square.
        threshold: of a multilabel classifier, where it is not its head's default.
        white: value of white in files with more than 8 bits a channel, as in `Preprocessing`.
        provenance: which samples it has learnt from, where that is known.
        modality: what it reads. The next three are for others than images, whose inputs the
            metadata's schema can say.
        size: of the inputs, in the modality's unit.
        contract: how a raw sample becomes the inputs, as the modality's `read_contract` reads it.
        assets: files that the contract needs, by name, such as a vocabulary.
        head: the head that a label can be added with, see `tfxfer_edge.add_class`; None where none
            can.
        head_options: of it.
    """

    name: str
    description: str = ""
    version: str = "1"
    author: str = ""
    licence: str = ""
    labels: tuple[str, ...] = ()
    metadata_kind: str = "classifier"
    preprocessing: Preprocessing | None = None
    resize: Resize = field(default_factory=Resize)
    threshold: float | None = None
    white: int | None = None
    provenance: Provenance | None = None
    modality: str = IMAGE
    size: int | None = None
    contract: Mapping[str, Any] | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict)
    head: str | None = None
    head_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = check_texts(
            self.labels, where="model card", name="labels", expected="the outputs' names"
        )
        object.__setattr__(self, "labels", labels)
        for name in ("name", "description", "version", "author", "licence", "modality"):
            check_kind(getattr(self, name), str, where="model card", name=name, expected="text")
        check_word(
            self.metadata_kind, KINDS, where="model card", name="metadata_kind", error=ModelError
        )
