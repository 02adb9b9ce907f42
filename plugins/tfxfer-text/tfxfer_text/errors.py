"""What may be wrong with a folder of a model."""

from __future__ import annotations

from tfxfer.errors import PluginError

__all__ = ["FolderError", "first_line"]


class FolderError(PluginError, LookupError):
    """A folder or a repository that cannot be found, fetched, or used as an encoder.

    As a `PluginError` it does not keep a finished run from being loaded: the run's file has the
    network, and only further training needs the folder.
    """


def first_line(error: BaseException) -> str:
    """Returns what an error says, short enough for a message of ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
