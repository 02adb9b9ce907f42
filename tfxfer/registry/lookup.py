"""Entry points → modalities, backbones, heads and more: lazy, cached, isolated from one another.

A distribution brings a component with one line in its `pyproject.toml`:

    [project.entry-points."tfxfer.backbones"]
    mobilenet_v2 = "tfxfer_mobilenet:MobileNetV2"

Listing reads metadata only; nothing of a plugin is imported before its own name is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from tfxfer.backbone import Backbone
from tfxfer.demo import Demo
from tfxfer.errors import PluginImportError, TfxferError, UnknownPluginError, UsageError
from tfxfer.head import Head
from tfxfer.modality import Modality
from tfxfer.registry.catalogue import Catalogue
from tfxfer.registry.component import Component, Kind, format_pairs, raise_contract_error
from tfxfer.registry.contract import (
    check_backbone,
    check_class,
    check_demo,
    check_head,
    check_modality,
    check_options,
    check_requirement,
    make_instance,
)
from tfxfer.registry.discovery import RESERVED_COMMANDS, read_name
from tfxfer.registry.importing import import_component
from tfxfer.registry.signature import check_function
from tfxfer.registry.suggestion import suggest_distribution
from tfxfer.system.arguments import check_kind

if TYPE_CHECKING:
    import click

__all__ = [
    "RESERVED_COMMANDS",
    "Component",
    "Registry",
    "default_registry",
    "get_backbone",
    "get_head",
    "get_modality",
    "get_reader",
]


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
        self._catalogue = Catalogue(entry_points)
        self._loaded: dict[tuple[Kind, str], Any] = {}

    def list(self, kind: Kind | None = None) -> tuple[Component, ...]:
        """Returns every component, by kind and name. Imports no plugin."""
        return self._catalogue.list(kind)

    def default(self, kind: Kind) -> str:
        """Returns the name that distributions declare for where nobody names a component.

        Raises:
            UnknownPluginError: none declares one.
            PluginConflictError: two declare different ones.
        """
        return self._catalogue.find_default(kind)

    def few_head(self) -> str | None:
        """Returns the head that is declared for few samples; None where none is."""
        return self._catalogue.find_few_head()

    def load_modality(self, name: str) -> Modality:
        """Returns a new instance of the modality that backbones call `name`.

        Raises:
            UnknownPluginError: no installed modality has the name.
            PluginConflictError: two distributions claim it.
            PluginImportError: its module does not import.
            ContractError: it imports, but is not what a modality must be.
        """
        component, _ = self._catalogue.find("modality", name)
        found = self._load(component)
        check_class(component, found, Modality)
        instance = make_instance(component, found)
        check_modality(component, instance)
        return instance

    def load_modality_of(self, backbone: Backbone) -> Modality:
        """Returns a new instance of the modality that a backbone reads.

        Raises:
            UnknownPluginError: nothing installed brings it; the message says who wants it.
            PluginError: see `load_modality`.
        """
        name = backbone.modality
        modalities = self.list("modality")
        if name in {c.name for c in modalities}:
            return self.load_modality(name)
        origin = self._find_origin(backbone)
        known = suggest_distribution("modality", name)
        remedy = f"pip install {known}" if known else f"Install what {origin} says brings it"
        listed = ", ".join(f"{c.name} ({c.origin})" for c in modalities) or "none"
        raise UnknownPluginError(
            f"backbone {backbone.name!r} reads samples of modality {name!r}: expected a "
            f"distribution that brings it. Received: {listed}. {remedy} [{origin}]"
        )

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
        component, handle = self._catalogue.find("backbone", name)
        found = self._load(component)
        check_class(component, found, Backbone)
        from_handle = getattr(found, "from_handle", None)
        if handle is not None:
            if not callable(from_handle):
                why = f"{component.name!r} takes no handle after a colon"
                self._catalogue.raise_unknown("backbone", name, why)
            instance = make_instance(component, lambda: from_handle(handle))
        elif from_handle is not None:
            raise UsageError(
                f"backbone {name!r}: expected a handle, as in '{name}:HANDLE'. "
                f"Received: name={name!r}. [{component.origin}]"
            )
        else:
            instance = make_instance(component, found)
        check_backbone(component, instance, requested_name=name)
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
        component, _ = self._catalogue.find("head", name)
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
            PluginError: as for a modality; a ContractError where it is no `click.Command`.
        """
        import click

        component, _ = self._catalogue.find("command", name)
        command = self._load(component)
        if not isinstance(command, click.Command):
            raise_contract_error(component, "a click.Command", value=command)
        return command

    def load_reader(self, ending: str) -> Callable[..., Any]:
        """Returns what makes a predictor of a model file, `reader(path, *, labels, head)`.

        One that can tell from the file alone what it reads has an attribute `read_modality`, a
        function of the path that returns the modality's name.

        Args:
            ending: of the file's name, `tflite` or `.tflite`, in any case; `saved_model` for the
                folder of one.

        Raises:
            PluginError: as for a modality; a ContractError where it is no such function.
        """
        component, _ = self._catalogue.find("reader", read_name("reader", ending))
        found = self._load(component)
        return check_function(component, found, "path, *, labels, head")

    def load_exporter(self, name: str) -> Callable[..., dict[str, Any]]:
        """Returns what makes files for a phone of a run, `exporter(output, run, **options)`.

        It draws its table on the `Output` of a command and returns its document.

        Raises:
            PluginError: as for a modality; a ContractError where it is no such function.
        """
        component, _ = self._catalogue.find("exporter", name)
        found = self._load(component)
        return check_function(component, found, "output, run, **options")

    def load_demo(self, name: str) -> Demo:
        """Returns a new instance of the demo that users call `name`.

        Raises:
            PluginError: as for a modality.
        """
        component, _ = self._catalogue.find("demo", name)
        found = self._load(component)
        check_class(component, found, Demo)
        instance: Demo = make_instance(component, found)
        check_demo(component, instance)
        return instance

    def load_component(self, component: Component) -> Any:
        """Returns what a component's own `load_…` returns; of one with handles, its class."""
        if component.kind == "backbone":
            found = self._load(component)
            if hasattr(found, "from_handle"):
                # What from_handle makes depends on the handle: the class is all there is to check.
                check_class(component, found, Backbone)
                return found
        return getattr(self, f"load_{component.kind}")(component.name)

    def import_layers(self, packages: Collection[str]) -> None:
        """Imports the Keras layers that installed backbones and heads bring.

        Args:
            packages: top-level modules; those of plugins count, and no other is imported.

        Raises:
            PluginError: one of those plugins cannot be loaded, or its layers cannot.
        """
        for component in (*self.list("backbone"), *self.list("head")):
            if component.status != "ok" or component.package not in packages:
                continue
            found = self.load_component(component)
            try:
                found.import_layers()
            except TfxferError:
                raise
            except Exception as error:  # whatever a plugin's module raises
                raise PluginImportError(
                    f"{component.kind} {component.name!r}: expected import_layers to import its "
                    f"Keras layers. Received: {type(error).__name__}: "
                    f"{' '.join(str(error).split())}. [{component.origin}]"
                ) from error

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
        from tfxfer.registry.isolation import find_fault

        error = find_fault(component, timeout_s=timeout_s)
        return replace(component, status="broken" if error else "ok", error=error)

    def _load(self, component: Component) -> Any:
        """Returns what the entry point of a component names, imported once."""
        key = component.kind, component.name
        if key not in self._loaded:
            check_requirement(component, self._catalogue.find_distribution(component))
            self._loaded[key] = import_component(component)
        return self._loaded[key]

    def _find_origin(self, backbone: Backbone) -> str:
        """Returns the distribution of a backbone, or the module of one that none brings."""
        module = type(backbone).__module__
        for component in self.list("backbone"):
            is_of_module = component.package == module.partition(".")[0]
            if component.name == backbone.name.partition(":")[0] and is_of_module:
                return component.origin
        return f"module {module}"


@functools.cache
def default_registry() -> Registry:
    """Returns the registry of everything installed, one per process."""
    return Registry()


def get_modality(name: str, registry: Registry | None = None) -> Modality:
    """Returns a new instance of the modality `name`; see `Registry.load_modality`."""
    return (registry or default_registry()).load_modality(name)


def get_backbone(name: str, registry: Registry | None = None) -> Backbone:
    """Returns a new instance of the backbone `name`; see `Registry.load_backbone`."""
    return (registry or default_registry()).load_backbone(name)


def get_head(
    name: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Head:
    """Returns a new instance of the head `name` with `options`; None is the default head.

    See `Registry.load_head` and `Registry.default`.
    """
    check_kind(
        options,
        (Mapping, type(None)),
        where="head",
        name="options",
        expected="keyword arguments by name",
    )
    registry = registry or default_registry()
    return registry.load_head(registry.default("head") if name is None else name, **(options or {}))


def get_reader(ending: str, registry: Registry | None = None) -> Callable[..., Any]:
    """Returns what reads model files with this ending; see `Registry.load_reader`."""
    return (registry or default_registry()).load_reader(ending)
