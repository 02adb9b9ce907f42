"""What a sample is made of, where leaving some of it out still leaves a sample."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """One part of a sample, such as a word of a text, or a second of a recording.

    Args:
        text: as a person reads it, with what separates it from its neighbours: all parts of a
            sample, joined, are how it is shown.
        is_seen: whether it is within what the network reads; what is beyond the size of its input
            is not.
    """

    text: str
    is_seen: bool = True
