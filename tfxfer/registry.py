"""Entry points → backbones, heads and commands: lazy, cached, isolated from one another's faults.

A distribution brings a component with one line in its `pyproject.toml`:

    [project.entry-points."tfxfer.backbones"]
    mobilenet_v2 = "tfxfer_mobilenet:MobileNetV2"

Listing reads metadata only; nothing of a plugin is imported before its own name is asked for.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import Distribution, EntryPoint
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from tfxfer import __version__
from tfxfer.backbone import Backbone
from tfxfer.contract import (
    Component,
    Kind,
    Status,
    breach,
    check_backbone,
    check_class,
    check_head,
    check_options,
    check_requirement,
    format_pairs,
    make_instance,
    normalise_name,
)
from tfxfer.errors import (
    PluginConflictError,
    PluginImportError,
    TfxferError,
    UnknownBackboneError,
    UnknownHeadError,
    UnknownPluginError,
    UsageError,
)
from tfxfer.head import Head

if TYPE_CHECKING:
    import click

__all__ = [
    "GROUPS",
    "RESERVED_COMMANDS",
    "Component",
    "Registry",
    "default_registry",
    "find_bringer",
    "get_backbone",
    "get_head",
]

GROUPS: Mapping[str, Kind] = {
    "tfxfer.backbones": "backbone",
    "tfxfer.heads": "head",
    "tfxfer.commands": "command",
}
"""Entry-point groups, and the kind of component that each brings."""

_UNKNOWN: Mapping[Kind, type[UnknownPluginError]] = {
    "backbone": UnknownBackboneError,
    "head": UnknownHeadError,
    "command": UnknownPluginError,
}

RESERVED_COMMANDS = frozenset(
    {"demo", "doctor", "evaluate", "plugin", "plugins", "predict", "train"}
)
"""Commands that `tfxfer` itself has: a plugin that claims one of them loses it."""

# This project's own distributions, so that an unknown name can say what would bring it.
_KNOWN: tuple[tuple[Kind, str, str], ...] = (
    ("backbone", "efficientnet_lite", "tfxfer-efficientnet"),
    ("backbone", "mobilenet", "tfxfer-mobilenet"),
    ("backbone", "resnet", "tfxfer-resnet"),
    ("backbone", "vgg", "tfxfer-classics"),
    ("backbone", "inception", "tfxfer-classics"),
    ("backbone", "xception", "tfxfer-classics"),
    ("backbone", "densenet", "tfxfer-classics"),
    ("backbone", "convnext", "tfxfer-classics"),
    ("backbone", "nasnet", "tfxfer-classics"),
    ("backbone", "hub:", "tfxfer-hub"),
    ("backbone", "kerashub:", "tfxfer-kerashub"),
    ("head", "classification", "tfxfer-heads"),
    ("head", "multilabel", "tfxfer-heads"),
    ("head", "regression", "tfxfer-heads"),
    ("command", "export", "tfxfer-edge"),
    ("command", "benchmark", "tfxfer-edge"),
)

_log = logging.getLogger(__name__)


class Registry:
    """The components that installed distributions offer.

    Args:
        entry_points: what to look at; None for everything installed, read at the first question.

    Example:
        >>> from importlib.metadata import EntryPoint
        >>> point = EntryPoint("tiny", "no_such_module:Tiny", "tfxfer.backbones")
        >>> [(c.kind, c.name, c.status) for c in Registry([point]).list()]
        [('backbone', 'tiny', 'missing')]
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._entry_points = None if entry_points is None else tuple(entry_points)
        self._loaded: dict[tuple[Kind, str], Any] = {}

    def list(self, kind: Kind | None = None) -> tuple[Component, ...]:
        """Returns every component, by kind and name. Imports no plugin."""
        return tuple(c for c in self._components if kind in (None, c.kind))

    def load_backbone(self, name: str) -> Backbone:
        """Returns a new instance of the backbone that users call `name`.

        `prefix:handle` makes an instance with the class method `from_handle(handle)` of the
        backbone named `prefix`.

        Raises:
            UnknownBackboneError: no installed backbone has the name.
            PluginConflictError: two distributions claim it.
            PluginImportError: its module does not import.
            ContractError: it imports, but is not what a backbone must be.
            UsageError: a handle is missing.
        """
        component, handle = self._find("backbone", name)
        found = self._load(component)
        check_class(component, found, Backbone)
        from_handle = getattr(found, "from_handle", None)
        if handle is not None:
            if not callable(from_handle):
                self._unknown("backbone", name, f"{component.name!r} takes no handle after a colon")
            instance = make_instance(component, lambda: from_handle(handle))
        elif from_handle is not None:
            raise UsageError(
                f"backbone {name!r}: expected a handle, as in '{name}:HANDLE'. "
                f"Received: name={name!r}. [{component.origin}]"
            )
        else:
            instance = make_instance(component, found)
        check_backbone(component, instance, asked=name)
        return instance

    def load_head(self, name: str, /, **options: Any) -> Head:
        """Returns a new instance of the head that users call `name`.

        Args:
            name: the entry point's name.
            options: keyword arguments of its constructor.

        Raises:
            UnknownHeadError: no installed head has the name.
            PluginConflictError: two distributions claim it.
            PluginImportError: its module does not import.
            ContractError: it imports, but is not what a head must be.
            UsageError: it has no such option, or refuses the value.
        """
        component, _ = self._find("head", name)
        found = self._load(component)
        check_class(component, found, Head)
        check_options(component, found, options)
        if options:
            try:
                instance = found(**options)
            except TfxferError:
                raise
            except (TypeError, ValueError) as error:
                raise UsageError(
                    f"head {name!r}: expected options it accepts. "
                    f"Received: {format_pairs(options)}: {error}. [{component.origin}]"
                ) from error
        else:
            instance = make_instance(component, found)
        check_head(component, instance)
        return instance

    def load_command(self, name: str) -> click.Command:
        """Returns the click command of a plugin.

        Raises:
            UnknownPluginError: no installed plugin brings the command.
            PluginConflictError: two distributions claim it.
            PluginImportError: its module does not import.
            ContractError: it is no `click.Command`.
        """
        import click

        component, _ = self._find("command", name)
        command = self._load(component)
        if not isinstance(command, click.Command):
            breach(component, "a click.Command", value=command)
        return command

    def check(self, component: Component, *, timeout_s: float = 60.0) -> Component:
        """Imports a component in a process of its own and returns it with what that showed.

        Args:
            component: as `list` returned it. One that is missing or in conflict stays so.
            timeout_s: how long the import may take, in seconds.

        Returns:
            The component, `broken` with an error if its import raises, hangs or breaks the
            contract.
        """
        if component.status in ("missing", "conflict"):
            return component
        from tfxfer.isolation import find_fault

        error = find_fault(component, timeout_s=timeout_s)
        return replace(component, status="broken" if error else "ok", error=error)

    def exercise(self, component: Component) -> None:
        """Loads a component here and now; raises what loading raises."""
        if component.kind == "command":
            self.load_command(component.name)
        elif component.kind == "head":
            self.load_head(component.name)
        elif hasattr(found := self._load(component), "from_handle"):
            # What from_handle makes depends on the handle: the class is all there is to check.
            check_class(component, found, Backbone)
        else:
            self.load_backbone(component.name)

    @functools.cached_property
    def _points(self) -> dict[tuple[Kind, str], dict[str, tuple[Component, Distribution | None]]]:
        """What claims each name, keyed by normalised distribution name."""
        points = _installed() if self._entry_points is None else self._entry_points
        claims: dict[tuple[Kind, str], dict[str, tuple[Component, Distribution | None]]] = {}
        labels: dict[Distribution | None, tuple[str, str]] = {None: ("", "")}
        for point in points:
            if point.group not in GROUPS:
                continue
            dist = point.dist
            # Reading a METADATA file is most of the cost of a listing: once per distribution.
            if dist is not None and dist not in labels:
                labels[dist] = _label(dist)
            component = Component(GROUPS[point.group], point.name, point.value, *labels[dist])
            rivals = claims.setdefault((component.kind, component.name), {})
            # One distribution found twice on sys.path is not two: the first one is imported.
            rivals.setdefault(
                normalise_name(component.distribution) or point.value, (component, dist)
            )
        return claims

    @functools.cached_property
    def _components(self) -> tuple[Component, ...]:
        found = []
        is_here = functools.cache(_has_module)  # one distribution has many components
        for (kind, name), rivals in self._points.items():
            claims = [component for component, _ in rivals.values()]
            for claim in claims:
                others = [other.origin for other in claims if other is not claim]
                if kind == "command" and name in RESERVED_COMMANDS:
                    others.append(f"tfxfer {__version__}")
                top = claim.value.partition(":")[0].partition(".")[0].strip()
                status: Status = "ok"
                error = None
                if others:
                    status, error = "conflict", f"also claimed by {', '.join(others)}"
                elif not is_here(top):
                    status, error = "missing", f"module {top!r} is not installed"
                found.append(replace(claim, status=status, error=error))
        kinds = get_args(Kind)
        return tuple(sorted(found, key=lambda c: (kinds.index(c.kind), c.name, c.distribution)))

    def _find(self, kind: Kind, name: str) -> tuple[Component, str | None]:
        named = {c.name: c for c in self.list(kind)}
        if name in named:
            return named[name], None
        prefix, _, handle = name.partition(":")
        if kind != "backbone" or not handle or prefix not in named:
            self._unknown(kind, name)
        return named[prefix], handle

    def _load(self, component: Component) -> Any:
        """Returns what the entry point of a component names, imported once."""
        key = component.kind, component.name
        if key not in self._loaded:
            if component.status == "conflict":
                self._conflict(component)
            ((_, dist),) = self._points[key].values()
            check_requirement(component, dist)
            self._loaded[key] = _import(component)
        return self._loaded[key]

    def _conflict(self, component: Component) -> NoReturn:
        rivals = [c for c in self.list(component.kind) if c.name == component.name]
        spare = " or ".join(f"pip uninstall {c.distribution}" for c in rivals)
        raise PluginConflictError(
            f"{component.kind} {component.name!r}: expected one distribution to bring it. "
            f"Received: {component.origin}, {component.error}. Remove one: {spare}"
        )

    def _unknown(self, kind: Kind, name: str, why: str = "") -> NoReturn:
        components = self.list(kind)
        names = sorted({c.name for c in components})
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        lines = [f"no {kind} named {name!r}{': ' + why if why else ''}."]
        if close:
            lines[0] += f" Did you mean {' or '.join(map(repr, close))}?"
        listed = ", ".join(f"{c.name} ({c.origin})" for c in components) or "none"
        lines.append(f"  Installed: {listed}. To list all: tfxfer plugins")
        bringer = find_bringer(kind, name)
        if bringer and bringer not in {normalise_name(c.distribution) for c in components}:
            lines.append(f"  Try: pip install {bringer}")
        raise _UNKNOWN[kind]("\n".join(lines))


@functools.cache
def default_registry() -> Registry:
    """Returns the registry of everything installed, one per process."""
    return Registry()


def get_backbone(name: str, registry: Registry | None = None) -> Backbone:
    """Returns a new instance of the backbone `name`; see `Registry.load_backbone`."""
    return (registry or default_registry()).load_backbone(name)


def get_head(
    name: str, *, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Head:
    """Returns a new instance of the head `name` with `options`; see `Registry.load_head`."""
    return (registry or default_registry()).load_head(name, **(options or {}))


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


def find_bringer(kind: Kind, name: str) -> str | None:
    """Returns the distribution of this project that may bring an unknown name."""
    for known, prefix, distribution in _KNOWN:
        head = name[: len(prefix)].lower()
        # .8 lets one slip pass in a word of this length ('mobilnet', 'clasification').
        if known == kind and difflib.SequenceMatcher(None, head, prefix).ratio() >= 0.8:
            return distribution
    return None


def _import(component: Component) -> Any:
    module, _, attribute = component.value.partition(":")
    module, attribute = module.strip(), attribute.partition("[")[0].strip()
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginImportError(_import_failure(component, module, error)) from error
    for part in filter(None, attribute.split(".")):
        try:
            found = getattr(found, part)
        except AttributeError:
            breach(component, f"{part!r} in module {module!r}", value=component.value)
        except Exception as error:  # a module whose own __getattr__ imports the rest of it
            raise PluginImportError(_import_failure(component, module, error)) from error
    return found


def _import_failure(component: Component, module: str, error: BaseException) -> str:
    what = f"{component.kind} {component.name!r} cannot be imported: expected module {module!r}. "
    received = f"Received: {type(error).__name__}: {error}. "
    name = component.distribution or module
    remedy = f"Ask its author, or try: pip install --upgrade {name}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        own = error.name.partition(".")[0] == module.partition(".")[0]
        remedy = (
            f"Its files are gone: pip install --force-reinstall {name}"
            if own
            else f"It needs {error.name!r}: pip install --upgrade {name}, or install that module"
        )
    return f"{what}{received}{remedy}. [{component.origin}]"
