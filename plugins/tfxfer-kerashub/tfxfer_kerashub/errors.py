"""What may be wrong with a preset."""

from __future__ import annotations

import re

from tfxfer.errors import PluginError

__all__ = ["PresetError", "first_line"]


class PresetError(PluginError, LookupError):
    """A preset that cannot be found, fetched, or used as a backbone.

    As a `PluginError` it does not keep a finished run from being loaded: the run's file has the
    network, and only further training needs the preset.
    """


def first_line(error: BaseException) -> str:
    """Returns what an error says, short enough for a message of ours."""
    plain = re.sub(r"\x1b\[\d*m", "", str(error))
    # Keras begins with where it was, and has the reason in the next line.
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered when")]
    return ((told or lines or [type(error).__name__])[0])[:300]
