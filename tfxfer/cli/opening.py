"""A model that a command was given, as what scores samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfxfer.cli.options import read_labels
from tfxfer.cli.output import Output
from tfxfer.registry.lookup import get_head
from tfxfer.system.quiet import quiet_native

if TYPE_CHECKING:
    from tfxfer.inference.predictor import Predictor

__all__ = ["open_predictor"]


def open_predictor(
    output: Output, model: str, *, labels_file: str | None, head: str | None
) -> Predictor:
    """Returns what scores samples, and keeps TensorFlow, where that takes it, from greeting."""
    from tfxfer.inference.loading import load_predictor

    registry = output.registry
    with quiet_native():
        predictor = load_predictor(
            model,
            labels=read_labels(labels_file),
            head=None if head is None else get_head(head, registry=registry),
            registry=registry,
        )
    output.check_interrupt()
    return predictor
