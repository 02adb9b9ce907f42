"""What accelerators say that they take: lists of documents that are named and dated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType

__all__ = ["PublishedList", "read_lists"]

_FILE = "published.toml"


@dataclass(frozen=True)
class PublishedList:
    """Operators that an accelerator takes.

    Args:
        name: of the accelerator.
        source: the document.
        read: when, as a date.
        operators: the types that each may compute in; empty where the list does not say.
        conditions: what else must hold, in words, for operators where the list says so.
        notes: what it says of all files.
    """

    name: str
    source: str
    read: str
    operators: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@cache
def read_lists() -> Mapping[str, PublishedList]:
    """Returns all lists, by `xnnpack`, `gpu`, `nnapi`, `edge_tpu` and `micro`."""
    document = tomllib.loads(files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            key: PublishedList(
                name=entry["name"],
                source=entry["source"],
                read=entry["read"].isoformat(),
                operators={
                    name: tuple(group["types"])
                    for group in entry["operators"]
                    for name in group["names"].split()
                },
                conditions=entry.get("conditions", {}),
                notes=tuple(entry.get("notes", ())),
            )
            for key, entry in document.items()
        }
    )
