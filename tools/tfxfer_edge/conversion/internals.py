"""Names of other packages that no documentation promises, and which of them have moved."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping

__all__ = ["Names", "find_moved"]

Names = Mapping[str, tuple[str, ...]]
"""What is relied on: `module:attribute.attribute`, and the parameters that are given by name."""


def find_moved(names: Names) -> tuple[str, ...]:
    """Returns what of these is not where it is expected, each as a reader would look for it.

    Args:
        names: what is relied on.

    Example:
        >>> find_moved({"json:loads": ("cls",), "json:decoder.Reader": (), "no_such.module:x": ()})
        ('json.decoder.Reader', 'no_such.module')
        >>> find_moved({"json:dump": ("skipkeys", "fancy")})
        ('json.dump(fancy=)',)
    """
    moved: list[str] = []
    for name, parameters in names.items():
        module, _, path = name.partition(":")
        try:
            found = importlib.import_module(module)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except ImportError:
            moved.append(module)
        except AttributeError:
            moved.append(f"{module}.{path}")
        else:
            moved += [f"{module}.{path}({x}=)" for x in parameters if not _takes(found, x)]
    return tuple(dict.fromkeys(moved))


def _takes(function: object, parameter: str) -> bool:
    assert callable(function)
    return parameter in inspect.signature(function).parameters
