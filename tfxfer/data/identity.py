"""What a sample is known by, wherever it lies: a short hash of its content."""

from __future__ import annotations

from collections.abc import Sequence

from tfxfer.data.record import Record

__all__ = ["FINGERPRINT_BYTES", "is_fingerprint", "make_keys", "shorten_sha256"]

FINGERPRINT_BYTES = 8
"""A million samples against a million others: a chance of 5 in 100 million that two are taken for
one."""

_DIGITS = set("0123456789abcdef")


def shorten_sha256(sha256: str) -> str:
    """Returns a sample's fingerprint, 16 hexadecimal digits; empty where its hash is not known."""
    return sha256[: 2 * FINGERPRINT_BYTES]


def is_fingerprint(text: str) -> bool:
    """Returns whether a text is what `shorten_sha256` returns of a hash."""
    return len(text) == 2 * FINGERPRINT_BYTES and set(text) <= _DIGITS


def make_keys(
    records: Sequence[Record], sha256s: Sequence[str], groups: Sequence[int]
) -> list[str]:
    """Returns what the place of each sample in a split follows from.

    That is its content, so that it may be renamed or moved. The name of a group that the user gave
    stands for all of the group, copies included: a patient's next photo leaves the others where
    they were. A sample whose modality knows no hash is known by its path.

    Args:
        records: the samples.
        sha256s: of each one's content.
        groups: one per sample; those with one value stay together.
    """
    named: dict[int, str] = {}
    for record, group in zip(records, groups, strict=True):
        if record.group is not None:
            named[group] = min(record.group, named.get(group, record.group))
    return [
        f"group:{named[group]}" if group in named else sha256 or f"path:{record.path}"
        for record, sha256, group in zip(records, sha256s, groups, strict=True)
    ]
