"""Words of a run's records as sentences of the page."""

from __future__ import annotations

__all__ = ["make_sentence"]


def make_sentence(words: str) -> str:
    """Returns words that begin small and end without a stop as a sentence.

    Example:
        >>> make_sentence("phase 'head' had 5 of 8 epochs")
        "Phase 'head' had 5 of 8 epochs."
    """
    return f"{words[:1].upper()}{words[1:]}."
