"""What a person types to mend a setting, in the shell of their system."""

from __future__ import annotations

import sys

__all__ = ["remove_file", "set_variable", "unset_variable"]


def set_variable(name: str, value: str, *, platform: str = sys.platform) -> str:
    """Returns the command that sets an environment variable.

    Example:
        >>> set_variable("KERAS_BACKEND", "jax", platform="linux")
        'export KERAS_BACKEND=jax'
    """
    return f"{'set' if platform == 'win32' else 'export'} {name}={value}"


def unset_variable(name: str, *, platform: str = sys.platform) -> str:
    """Returns the command that takes an environment variable away."""
    return f"set {name}=" if platform == "win32" else f"unset {name}"


def remove_file(path: str, *, platform: str = sys.platform) -> str:
    """Returns the command that deletes a file."""
    return f'{"del" if platform == "win32" else "rm"} "{path}"'
