"""What readers and exporters must be: functions that can be called as the command line does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tfxfer.errors import ContractError
from tfxfer.registry.component import Component, raise_contract_error

__all__ = ["check_function", "takes_keyword"]


def check_function(component: Component, found: Any, parameters: str) -> Callable[..., Any]:
    """Returns a reader or an exporter, or raises ContractError if it cannot be called as one.

    Args:
        component: whose entry point named it.
        found: what that led to.
        parameters: as the tool calls it, such as `path, *, labels, head`.
    """
    words = f"a function that takes ({parameters})"
    if not callable(found):
        raise_contract_error(component, words, value=found)
    positional, _, keywords = parameters.partition(", *")
    # `*, labels, head` are keywords; of `**options` none is promised.
    names = [] if keywords.startswith("*") else keywords.removeprefix(", ").split(", ")
    try:
        inspect.signature(found).bind(*positional.split(", "), **dict.fromkeys(names))
    except ValueError:  # written in C, without a signature
        return found
    except TypeError as error:
        raise ContractError(
            f"{component.kind} {component.name!r}: expected {words}. "
            f"Received: {error}. [{component.origin}]"
        ) from error
    return found


def takes_keyword(function: Callable[..., Any], name: str) -> bool:
    """Returns whether a function can be given a keyword that not every one takes.

    Example:
        >>> takes_keyword(lambda path, *, labels: None, "labels")
        True
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C, without a signature
        return True
    return any(item.name == name or item.kind is item.VAR_KEYWORD for item in parameters)
