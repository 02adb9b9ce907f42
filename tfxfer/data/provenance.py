"""Which samples a model has learnt from, in a form that travels with its file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tfxfer.data.identity import FINGERPRINT_BYTES, is_fingerprint
from tfxfer.data.table import SplitRow
from tfxfer.errors import ModelError

__all__ = ["PROVENANCE_FILE", "Provenance"]

PROVENANCE_FILE = "tfxfer_trained_on.bin"
"""What the archive inside a model file calls it: 8 bytes a sample, sorted."""


@dataclass(frozen=True)
class Provenance:
    """The samples that a model was trained on, or whose figures chose its epoch.

    A figure on any of them flatters. They are known by their content, so that renaming or moving
    them hides nothing; 8 bytes of a hash tell nobody what is on a photo, yet tell whoever has the
    photo that it was used.

    Args:
        fingerprints: of the samples of train and val.

    Raises:
        ModelError: something else than fingerprints.
    """

    fingerprints: frozenset[str]

    def __post_init__(self) -> None:
        bad = [text for text in self.fingerprints if not is_fingerprint(text)]
        if bad:
            raise ModelError(
                f"provenance: expected fingerprints of 16 hexadecimal digits. Received: {bad[0]!r}."
            )

    def __len__(self) -> int:
        return len(self.fingerprints)

    @classmethod
    def of_rows(cls, rows: Iterable[SplitRow]) -> Self | None:
        """Returns what a split says; None where it knows no content, as those of tfxfer 0.1."""
        learnt = [row.fingerprint for row in rows if row.split != "test"]
        return cls(frozenset(learnt)) if learnt and all(learnt) else None

    def find_known(self, fingerprints: Sequence[str]) -> np.ndarray:
        """Returns which samples were learnt from or chosen by: bool (samples,)."""
        return np.array([text in self.fingerprints for text in fingerprints], bool)

    def to_bytes(self) -> bytes:
        """Returns 8 bytes a sample; the same samples give the same bytes."""
        return bytes.fromhex("".join(sorted(self.fingerprints)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads `to_bytes`.

        Raises:
            ModelError: it is something else.
        """
        if not data or len(data) % FINGERPRINT_BYTES:
            raise ModelError(
                f"provenance: expected {FINGERPRINT_BYTES} bytes a sample. "
                f"Received: {len(data)} bytes."
            )
        digits, width = data.hex(), 2 * FINGERPRINT_BYTES
        return cls(frozenset(digits[i : i + width] for i in range(0, len(digits), width)))

    def to_text(self) -> str:
        """Returns the same as Base64, for JSON."""
        return base64.b64encode(self.to_bytes()).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads `to_text`.

        Raises:
            ModelError: it is something else.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ModelError(f"provenance: expected Base64. Received: {error}.") from error
        return cls.from_bytes(data)
