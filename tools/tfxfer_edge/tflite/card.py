"""What a `.tflite` file says of itself, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfxfer.data.provenance import Provenance
from tfxfer.errors import ModelError
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.system.arguments import check_kind, check_texts, check_word
from tfxfer_edge.door import IMAGE

__all__ = [
    "CONTRACT_FILE",
    "EXPORT_MANIFEST",
    "KINDS",
    "LABELS_FILE",
    "MICRO_FILES",
    "ModelCard",
    "check_labels",
    "check_utf8",
]

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
        head: the head that it was trained with, which scores it; None where that is not known.
        head_options: of it, as JSON data: its settings, such as a threshold.
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


def check_labels(labels: Sequence[str], *, what: str) -> None:
    """Refuses labels that a file's `labels.txt` cannot hold, a line each, or that nobody can tell.

    Not in the card's constructor: the 1001 labels of ImageNet's files have `crane` twice.

    Args:
        labels: names of the outputs.
        what: has them, for the message.

    Raises:
        ModelError: names one.
    """
    bad = [x for x in labels if not x.strip() or "\n" in x or "\r" in x]
    bad += [x for x, times in Counter(labels).items() if times > 1]
    if bad:
        raise ModelError(
            f"{what}: expected labels of one line each, not blank and no two alike. "
            f"Received: label={bad[0][:80]!r}."
        )
    for label in labels:
        check_utf8(label, what=what, name="label")


def check_utf8(text: str, *, what: str, name: str) -> None:
    """Refuses text that a file cannot hold: a disk's own name may have bytes that are no UTF-8.

    Raises:
        ModelError: shows it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelError(
            f"{what}: expected {name} in UTF-8. Received: {name}={text[:80]!r}."
        ) from error
