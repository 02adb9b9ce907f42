"""One sample: where it is, what is known of it, and what a model takes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tfxfer.errors import ContractError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FAULT_KINDS", "Contract", "Findings", "InputSpec", "Sample"]


FAULT_KINDS = ("corrupt", "empty", "unreadable", "bomb", "unsupported")
"""Why a sample cannot be used: damaged, nothing there, not to be opened, too large to be meant, or
whole and of a format that is not read."""


class Contract(Protocol):
    """What a backbone states of the values its weights expect: `Preprocessing` for images.

    It is data: `run.json` stores it, and the modality's `read_contract` reads it back.
    """

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        ...


@dataclass(frozen=True)
class Sample:
    """Where one sample is: in a file, or in a cell of a table.

    Args:
        name: for messages; a path relative to the data folder, or what the user typed.
        path: the file, where it is one.
        content: the cell, where it is one.
    """

    name: str
    path: Path | None = None
    content: str | None = None


@dataclass(frozen=True, eq=False)
class Findings:
    """What one sample is, or why it cannot be read.

    Args:
        sha256: of the stored bytes.
        identity: equal for two samples exactly if a network would see the same; empty where that
            is not known, so that nothing counts as a copy.
        sketch: what near copies are found by; the same shape for all, None where there is none.
        doubts: what is odd but usable, in a few words each.
        fault: a kind among `FAULT_KINDS`, and what exactly; None where it is usable.
        facts: what `fit_contract` wants to know of the whole set, such as the largest value.

    Raises:
        ContractError: a fault of another kind.
    """

    sha256: str = ""
    identity: str = ""
    sketch: np.ndarray | None = None
    doubts: tuple[str, ...] = ()
    fault: tuple[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault[0] not in FAULT_KINDS:
            raise ContractError(
                f"findings: expected a kind of fault among {', '.join(FAULT_KINDS)}. "
                f"Received: fault={self.fault!r}."
            )


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Args:
        shape: of one sample, without the batch.
        dtype: of the model's input.
        stored: of what `read` returns; narrower where that loses nothing, such as bytes.
        is_padded: whether the first side is as long as the longest sample may be, and filled up
            behind a shorter one. The model then takes any length, and a batch is cut to what its
            samples use, see `Modality.count_used`.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    stored: str = "float32"
    is_padded: bool = False

    @property
    def model_shape(self) -> tuple[int | None, ...]:
        """The shape that the model's input has, without the batch."""
        return (None, *self.shape[1:]) if self.is_padded else self.shape
