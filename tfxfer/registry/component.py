"""One name that one distribution offers, and how messages speak of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from tfxfer.errors import ContractError

__all__ = [
    "Component",
    "Kind",
    "Status",
    "format_pairs",
    "normalise_name",
    "raise_contract_error",
]

Kind = Literal["modality", "backbone", "head", "command", "reader", "exporter", "demo"]
"""What a component can be, in the order of every list."""

Status = Literal["ok", "missing", "conflict", "broken"]
"""What is known of a component; `broken` takes an import."""


@dataclass(frozen=True)
class Component:
    """One name that one distribution offers.

    Args:
        kind: one of `Kind`.
        name: what users type; of a reader, the ending of the files it reads.
        value: where it lives, as the entry point says: `module:attribute`.
        distribution: pip name of what brought it; empty when an entry point tells none.
        version: version of that distribution.
        status: `ok`, `missing` (its module is not there) or `conflict` (two distributions claim
            the name), all from metadata alone; `broken` only after `Registry.check`.
        error: one line on what is wrong; None when nothing is.
    """

    kind: Kind
    name: str
    value: str
    distribution: str
    version: str
    status: Status = "ok"
    error: str | None = None

    @property
    def origin(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution or 'no distribution'} {self.version}".rstrip()

    @property
    def package(self) -> str:
        """Top-level module that it lives in."""
        return self.value.partition(":")[0].partition(".")[0].strip()

    def to_dict(self) -> dict[str, str]:
        """Returns plain JSON data; `error` only where there is one."""
        document = {
            "kind": self.kind,
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "status": self.status,
        }
        return document | ({"error": self.error} if self.error is not None else {})


def normalise_name(name: str) -> str:
    """Returns a distribution's name as PEP 503 compares it."""
    # packaging.utils has the same line, but would cost every listing its import.
    return re.sub(r"[-_.]+", "-", name).lower()


def format_pairs(options: Mapping[str, Any]) -> str:
    """Returns `name=value, …`, as every message shows what it received."""
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def raise_contract_error(component: Component, expected: str, **received: Any) -> NoReturn:
    """Raises the ContractError of a component that is not what was expected."""
    raise ContractError(
        f"{component.kind} {component.name!r}: expected {expected}. "
        f"Received: {format_pairs(received)}. [{component.origin}]"
    )
