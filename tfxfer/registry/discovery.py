"""Entry points of everything installed, read from metadata alone, and what they claim."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import Distribution, EntryPoint
from typing import get_args

from tfxfer.registry.component import Component, Kind, Status, normalise_name
from tfxfer.version import __version__

__all__ = [
    "DEFAULTS",
    "GROUPS",
    "RESERVED_COMMANDS",
    "Claims",
    "collect_claims",
    "find_entry_points",
    "list_components",
    "read_label",
    "read_name",
]

GROUPS: Mapping[str, Kind] = {
    "tfxfer.modalities": "modality",
    "tfxfer.backbones": "backbone",
    "tfxfer.heads": "head",
    "tfxfer.commands": "command",
    "tfxfer.readers": "reader",
    "tfxfer.exporters": "exporter",
    "tfxfer.demos": "demo",
}
"""Entry-point groups, and the kind of component that each brings."""

DEFAULTS = "tfxfer.defaults"
"""Entry-point group of what is taken where nobody names a component: `head = "NAME"`. Its values
are names of components, and are never imported."""

_OURS = (*GROUPS, DEFAULTS)

RESERVED_COMMANDS = frozenset(
    {
        "advise",
        "audit",
        "compare",
        "demo",
        "doctor",
        "evaluate",
        "explain",
        "gap",
        "help",
        "meta",
        "plugin",
        "plugins",
        "predict",
        "report",
        "train",
    }
)
"""Commands that `tfxfer` itself has: a plugin that claims one of them loses it."""

_RESERVED: Mapping[Kind, frozenset[str]] = {
    "command": RESERVED_COMMANDS,
    # Endings that tfxfer reads through Keras, and asks no reader for.
    "reader": frozenset({"keras", "h5", "hdf5"}),
}

Claims = Mapping[tuple[Kind, str], Mapping[str, tuple[Component, Distribution | None]]]
"""What claims each name of a kind, by the distribution's normalised name."""

_log = logging.getLogger(__name__)


def find_entry_points(groups: Collection[str] = _OURS) -> Iterator[EntryPoint]:
    """Yields the entry points of some groups, whatever else is wrong in the environment.

    Args:
        groups: by default all of tfxfer's own.
    """
    seen = set()
    for dist in importlib.metadata.distributions():
        # importlib.metadata.entry_points() parses every file of every distribution and fails as a
        # whole when one is malformed; hence the look at the text first, one file at a time.
        try:
            # The first of a name on sys.path hides the others, whatever they offer. The private
            # name comes from the folder's; entry_points() goes by it, too. Reading METADATA
            # instead would cost a millisecond for every distribution there is.
            name = getattr(dist, "_normalized_name", None) or dist.metadata["Name"]
            if name in seen:
                continue
            seen.add(name)
            text = dist.read_text("entry_points.txt") or ""
            if not any(group in text for group in groups):
                continue
            points = tuple(dist.entry_points)
        except Exception as error:  # noqa: BLE001 - the fault of one costs only that one
            where = getattr(dist, "_path", "an installed distribution")
            _log.warning("metadata in %s cannot be read: %s", where, error)
            continue
        yield from (point for point in points if point.group in groups)


def read_name(kind: Kind, name: str) -> str:
    """Returns what an entry point's name claims: of a reader an ending, however it is written.

    Example:
        >>> read_name("reader", ".TFLite"), read_name("head", ".Head")
        ('tflite', '.Head')
    """
    return name.lower().removeprefix(".") if kind == "reader" else name


def collect_claims(points: Iterable[EntryPoint]) -> Claims:
    """Returns what claims each name among entry points; those of other groups are passed over."""
    claims: dict[tuple[Kind, str], dict[str, tuple[Component, Distribution | None]]] = {}
    labels: dict[Distribution | None, tuple[str, str]] = {None: ("", "")}
    for point in points:
        if point.group not in GROUPS:
            continue
        dist = point.dist
        # Reading a METADATA file is most of the cost of a listing: once per distribution.
        if dist is not None and dist not in labels:
            labels[dist] = read_label(dist)
        kind = GROUPS[point.group]
        name = read_name(kind, point.name)
        component = Component(kind, name, point.value, *labels[dist])
        rivals = claims.setdefault((component.kind, component.name), {})
        # One distribution found twice on sys.path is not two: the first one is imported.
        rivals.setdefault(normalise_name(component.distribution) or point.value, (component, dist))
    return claims


def list_components(claims: Claims) -> tuple[Component, ...]:
    """Returns every component by kind and name, with what metadata alone tells of it."""
    found = []
    is_here = functools.cache(_has_module)  # one distribution has many components
    for (kind, name), rivals in claims.items():
        components = [component for component, _ in rivals.values()]
        for component in components:
            others = [other.origin for other in components if other is not component]
            if name in _RESERVED.get(kind, ()):
                others.append(f"tfxfer {__version__}")
            status: Status = "ok"
            error = None
            if others:
                status, error = "conflict", f"also claimed by {', '.join(others)}"
            elif not is_here(component.package):
                status, error = "missing", f"module {component.package!r} is not installed"
            found.append(replace(component, status=status, error=error))
    kinds = get_args(Kind)
    return tuple(sorted(found, key=lambda c: (kinds.index(c.kind), c.name, c.distribution)))


def read_label(dist: Distribution) -> tuple[str, str]:
    """Returns the name and the version of a distribution, empty where they cannot be read."""
    try:
        metadata = dist.metadata  # parsed anew at every access
        return str(metadata["Name"] or ""), str(metadata["Version"] or "")
    except Exception:  # noqa: BLE001 - unreadable metadata costs the provenance, not the listing
        return "", ""


def _has_module(top: str) -> bool:
    """Whether a top-level module could be imported; of a dotted name, parents would be imported."""
    try:
        return top in sys.modules or (top != "" and importlib.util.find_spec(top) is not None)
    except (ImportError, ValueError):  # a finder that fails, or a name that is none
        return False
