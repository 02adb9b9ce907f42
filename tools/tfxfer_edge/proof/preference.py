"""Words for which of the files that pass is taken; the command line reads them at its start."""

from __future__ import annotations

from tfxfer.errors import UsageError

__all__ = ["PREFERENCES", "check_preference"]

PREFERENCES = ("balanced", "smallest", "fastest", "accurate")
"""What `prefer` may be; the first is the default."""


def check_preference(prefer: str) -> None:
    """Refuses a word that is none of `PREFERENCES`.

    Raises:
        UsageError: it is another.
    """
    if prefer not in PREFERENCES:
        raise UsageError(
            f"prefer: expected one of {', '.join(PREFERENCES)}. Received: prefer={prefer!r}."
        )
