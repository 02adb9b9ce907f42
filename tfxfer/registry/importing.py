"""What an entry point names, imported; what goes wrong is one line that names who brought it."""

from __future__ import annotations

import importlib
from typing import Any

from tfxfer.errors import PluginImportError
from tfxfer.registry.component import Component, raise_contract_error

__all__ = ["import_component"]


def import_component(component: Component) -> Any:
    """Returns the object that a component's entry point names.

    Raises:
        PluginImportError: its module does not import.
        ContractError: the module has no such attribute.
    """
    module, _, attribute = component.value.partition(":")
    module, attribute = module.strip(), attribute.partition("[")[0].strip()
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginImportError(_describe_failure(component, module, error)) from error
    for part in filter(None, attribute.split(".")):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise_contract_error(component, f"{part!r} in module {module!r}", value=component.value)
        except Exception as error:  # a module whose own __getattr__ imports the rest of it
            raise PluginImportError(_describe_failure(component, module, error)) from error
    return found


def _describe_failure(component: Component, module: str, error: BaseException) -> str:
    what = f"{component.kind} {component.name!r} cannot be imported: expected module {module!r}. "
    received = f"Received: {type(error).__name__}: {' '.join(str(error).split())}. "
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
