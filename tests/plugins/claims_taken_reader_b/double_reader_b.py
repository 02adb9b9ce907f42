"""A reader that would work, were it not for the other one of the same ending."""

from typing import Any


def read(path: Any, *, labels: Any = None, head: Any = None) -> Any:
    return path, labels, head
