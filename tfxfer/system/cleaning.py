"""What is put away at the end of a block, whose own error stays the one that is raised."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["clean_up"]


@contextlib.contextmanager
def clean_up(
    act: Callable[[], object], *, tell: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Does something after a block, however that ends; where it fails, it is a remark.

    In a `finally` an error of the cleaning takes the place of the one that matters, and after a
    block that went well it throws away what came of it.

    Args:
        act: what puts away.
        tell: gets what went wrong while doing so, in one line.

    Raises:
        Exception: what the block raises, and nothing else.

    Example:
        >>> def remove():
        ...     raise OSError("the disk is gone")
        >>> with clean_up(remove, tell=print):
        ...     found = 3
        the disk is gone
        >>> found
        3
    """
    try:
        yield
    finally:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - told; the block's own is on its way up
            if tell is not None:
                tell(" ".join(str(error).split()) or type(error).__name__)
