"""What distributions offer, by kind and name, and what is said of a name that none or two have."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint
from typing import NoReturn

from tfxfer.errors import (
    PluginConflictError,
    UnknownBackboneError,
    UnknownHeadError,
    UnknownPluginError,
)
from tfxfer.registry.component import Component, Kind, normalise_name
from tfxfer.registry.discovery import (
    DEFAULTS,
    Claims,
    collect_claims,
    find_entry_points,
    list_components,
    read_label,
)
from tfxfer.registry.suggestion import suggest_distribution
from tfxfer.system.arguments import check_kind
from tfxfer.system.spelling import did_you_mean

__all__ = ["Catalogue"]

_UNKNOWN: Mapping[Kind, type[UnknownPluginError]] = {
    "backbone": UnknownBackboneError,
    "head": UnknownHeadError,
}


class Catalogue:
    """The components that entry points name, none of them imported.

    Args:
        entry_points: what to look at; None for everything installed, read at the first question.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._entry_points = None if entry_points is None else tuple(entry_points)

    def list(self, kind: Kind | None = None) -> tuple[Component, ...]:
        """Returns every component, by kind and name."""
        return tuple(c for c in self._components if kind in (None, c.kind))

    def find(self, kind: Kind, name: str) -> tuple[Component, str | None]:
        """Returns the component of a name; of `prefix:handle`, that of the prefix and the handle.

        Raises:
            UnknownPluginError: nothing has the name.
            UsageError: it is no text.
        """
        check_kind(name, str, where=kind, name="name", expected="the name of one")
        named = {c.name: c for c in self.list(kind)}
        if name in named:
            return named[name], None
        prefix, _, handle = name.partition(":")
        if kind != "backbone" or not handle or prefix not in named:
            self.raise_unknown(kind, name)
        return named[prefix], handle

    def find_distribution(self, component: Component) -> Distribution | None:
        """Returns what brings a component; None where its entry point tells none.

        Raises:
            PluginConflictError: others claim its name, too.
        """
        if component.status == "conflict":
            rivals = [c for c in self.list(component.kind) if c.name == component.name]
            spare = " or ".join(f"pip uninstall {c.distribution}" for c in rivals)
            raise PluginConflictError(
                f"{component.kind} {component.name!r}: expected one distribution to bring it. "
                f"Received: {component.origin}, {component.error}. Remove one: {spare}"
            )
        ((_, dist),) = self._claims[component.kind, component.name].values()
        return dist

    def find_default(self, kind: Kind) -> str:
        """Returns the name that distributions declare for where nobody names a component.

        Raises:
            UnknownPluginError: none declares one.
            PluginConflictError: two declare different ones.
        """
        declared = self._list_declared(kind)
        if len(declared) == 1:
            return next(iter(declared))
        if declared:
            listed = ", ".join(
                f"{name!r} of {' and '.join(filter(None, origins)) or 'no distribution'}"
                for name, origins in sorted(declared.items())
            )
            raise PluginConflictError(
                f"default {kind}: expected distributions to agree on one. Received: {listed}. "
                f"Name the one that is meant: --{kind} NAME"
            )
        components = self.list(kind)
        installed = ", ".join(f"{c.name} ({c.origin})" for c in components) or "none"
        known = None if components else suggest_distribution(kind, "")
        raise UnknownPluginError(
            f"default {kind}: expected a distribution that declares one. Received: none. "
            f"Installed: {installed}. Name one: --{kind} NAME"
            + (f", or try: pip install {known}" if known else "")
        )

    def find_few_head(self) -> str | None:
        """Returns the head that distributions declare for few samples; None without one they share.

        It takes the place of the default one, as `few_shots_head` among the defaults.
        """
        declared = self._list_declared("few_shots_head")
        return next(iter(declared)) if len(declared) == 1 else None

    def _list_declared(self, name: str) -> Mapping[str, Sequence[str]]:
        """Returns what is declared for a name, and by which distributions."""
        declared: dict[str, list[str]] = {}
        for point in self._points:
            if point.group == DEFAULTS and point.name == name:
                label = ("", "") if point.dist is None else read_label(point.dist)
                declared.setdefault(point.value.strip(), []).append(" ".join(label).strip())
        return declared

    def raise_unknown(self, kind: Kind, name: str, why: str = "") -> NoReturn:
        """Raises the error of a name that nothing has, with names like it and what brings it."""
        components = self.list(kind)
        names = sorted({c.name for c in components})
        told = f"no {kind} named {name!r}{': ' + why if why else ''}."
        lines = [told + did_you_mean(name, names)]
        listed = ", ".join(f"{c.name} ({c.origin})" for c in components) or "none"
        lines.append(f"  Installed: {listed}. To list all: tfxfer plugins")
        known = suggest_distribution(kind, name)
        if known and known not in {normalise_name(c.distribution) for c in components}:
            lines.append(f"  Try: pip install {known}")
        raise _UNKNOWN.get(kind, UnknownPluginError)("\n".join(lines))

    @functools.cached_property
    def _points(self) -> tuple[EntryPoint, ...]:
        return tuple(find_entry_points()) if self._entry_points is None else self._entry_points

    @functools.cached_property
    def _claims(self) -> Claims:
        return collect_claims(self._points)

    @functools.cached_property
    def _components(self) -> tuple[Component, ...]:
        return list_components(self._claims)
