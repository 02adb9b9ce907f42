"""Entry points of everything installed, read from metadata alone."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint

from tfxfer.registry.component import Kind

__all__ = ["GROUPS"]

GROUPS: Mapping[str, Kind] = {
    "tfxfer.backbones": "backbone",
    "tfxfer.heads": "head",
    "tfxfer.commands": "command",
}
"""Entry-point groups, and the kind of component that each brings."""


_log = logging.getLogger(__name__)


def _installed() -> Iterator[EntryPoint]:
    """Yields the entry points of our groups, whatever else is wrong in the environment."""
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
            if "tfxfer." not in (dist.read_text("entry_points.txt") or ""):
                continue
            points = tuple(dist.entry_points)
        except Exception as error:  # noqa: BLE001 - the fault of one costs only that one
            _log.warning("metadata of one installed distribution cannot be read: %s", error)
            continue
        yield from (point for point in points if point.group in GROUPS)


def _label(dist: Distribution) -> tuple[str, str]:
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
