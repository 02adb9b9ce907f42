"""Where this operating system wants what is not a user's own files.

On Linux these are `~/.cache` and `~/.local/state`, or what `XDG_CACHE_HOME` and `XDG_STATE_HOME`
name.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs

__all__ = ["cache_folder", "state_folder"]

_NAME = "tfxfer"


def cache_folder() -> Path:
    """Returns the folder of what can be made or fetched again. It need not exist."""
    return platformdirs.user_cache_path(_NAME, appauthor=False)


def state_folder() -> Path:
    """Returns the folder of logs. It need not exist."""
    return platformdirs.user_state_path(_NAME, appauthor=False)
