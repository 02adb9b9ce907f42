"""Names that are loaded at first use, where loading them may fail for a reason of the machine's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["explain_failures"]


def explain_failures(get: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a module's `__getattr__` that says why Keras does not start, where settings are why.

    Args:
        get: what `lazy_loader` made.
    """

    def load(name: str) -> Any:
        try:
            return get(name)
        except AttributeError:  # no such name
            raise
        except Exception:
            from tfxfer.system.keras_settings import check_keras_settings

            check_keras_settings()
            raise

    return load
