"""Whose fault it is when the figures of a head fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfxfer.errors import ContractError, TfxferError
from tfxfer.registry.lookup import default_registry

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["blame_head"]


@contextmanager
def blame_head(head: Head) -> Iterator[None]:
    """Turns what a head's code raises into an error that names the head and who brought it.

    Raises:
        TfxferError: as the head raised it.
        ContractError: in place of anything else.
    """
    try:
        yield
    except TfxferError:
        raise
    except Exception as error:
        raise ContractError(
            f"head {head.name!r}: expected figures of these scores. "
            f"Received: {type(error).__name__}: {error}. "
            f"Ask who brought it, and look at it with: tfxfer plugin check {head.name} "
            f"[{_find_origin(head)}]"
        ) from error


def _find_origin(head: Head) -> str:
    top = type(head).__module__.partition(".")[0]
    for component in default_registry().list("head"):
        if component.value.partition(":")[0].strip().partition(".")[0] == top:
            return component.origin
    return f"no distribution, module {type(head).__module__}"
