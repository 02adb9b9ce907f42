"""What a head makes of the labels that DATA has, before a single sample is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfxfer.data.record import Source
from tfxfer.errors import DataError
from tfxfer.modality import Modality

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["read_labels"]

_MAX_NAME_LENGTH = 200


def read_labels(source: Source, head: Head, modality: Modality) -> Mapping[str, tuple[str, ...]]:
    """Returns what each label of DATA names, by the label as DATA has it.

    Args:
        source: lists the samples.
        head: says what a label means.
        modality: what to call a sample.

    Raises:
        DataError: a label that the head cannot mean, a name too long for a line of labels.txt, or
            a sample that a table lists under two labels.
    """
    read: dict[str, tuple[str, ...]] = {}
    for record in source.records:
        if record.label not in read:
            where = f"{modality.noun} {record.path!r}"
            read[record.label] = _read_label(record.label, head, where)
    for dispute in source.disputes:
        first, other = (
            read[label] if label in read else _read_label(label, head, dispute.path)
            for label in dispute.labels
        )
        if first != other:
            raise DataError(dispute.message)
    return read


def _read_label(label: str, head: Head, where: str) -> tuple[str, ...]:
    try:
        names = tuple(head.read_label(label))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    for name in names:
        if len(name) > _MAX_NAME_LENGTH:
            raise DataError(
                f"{where}: expected a label of at most {_MAX_NAME_LENGTH} characters, since "
                f"labels.txt has one per line. Received: label={name[:60]!r}, {len(name)} "
                "characters. Rename it."
            )
    return names
