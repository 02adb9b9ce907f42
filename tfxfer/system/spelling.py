"""A name that nothing has, and those that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["did_you_mean"]

_LEAST_LIKENESS = 0.6  # difflib's own; below it `head` would be taken for `text`
_LEAD = 0.05  # 'blok_11' is .93 like 'block_11' and .86 like 'block_1', which nobody meant
_MOST = 3


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Returns a question to put behind a message, with a space before it; empty for no idea.

    Upper and lower case are alike. Several names are offered only where they are about as close.

    Args:
        name: what was typed; anything but text is like nothing.
        known: what there is.

    Example:
        >>> did_you_mean("blok_11", [f"block_{number}" for number in range(1, 18)])
        " Did you mean 'block_11'?"
        >>> did_you_mean("conv", ["block_1"])
        ''
    """
    if not isinstance(name, str):
        return ""
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(name.casefold())
    likeness: dict[str, float] = {}
    for other in known:
        matcher.set_seq1(other.casefold())
        # The quick ratio is never below the true one, and of a thousand labels few pass it.
        if matcher.quick_ratio() >= _LEAST_LIKENESS:
            likeness[other] = matcher.ratio()
    least = max(_LEAST_LIKENESS, max(likeness.values(), default=0.0) - _LEAD)
    close = sorted((x for x in likeness if likeness[x] >= least), key=lambda x: -likeness[x])
    return f" Did you mean {' or '.join(map(repr, close[:_MOST]))}?" if close else ""
