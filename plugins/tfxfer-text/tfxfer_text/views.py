"""Versions of a text that training may see: some words dropped, some neighbours swapped."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

__all__ = ["LEVELS", "make_view", "split_units"]

LEVELS = ("none", "light", "strong")

_SHARES = {"light": 0.1, "strong": 0.2}
"""Of words that are dropped, and of neighbours that are swapped. A tenth is what Wei and Zou 2019,
https://arxiv.org/abs/1901.11196, recommend (their alpha, section 3.2); from three tenths on they
saw it hurt."""

# Scripts whose words no spaces part: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_JOINED = "\u200d"  # joins several emoji into one


def make_view(text: str, *, level: str, seed: int, index: int, view: int) -> str:
    """Returns a version of a text; view 0, and every view at level `none`, is the text itself.

    It follows from `(seed, index, view)` alone. At least one word remains, and of two or more words
    something is changed.

    Args:
        text: with one word or more.
        level: one of `LEVELS`.
        seed: of the run.
        index: of the text in its split.
        view: number of the version.

    Example:
        >>> make_view("one two three four five six", level="light", seed=7, index=0, view=3)
        'one two three five four six'
    """
    if view == 0 or level == "none":
        return text
    units, between = split_units(text)
    if len(units) < 2:
        return text
    rng = np.random.default_rng((seed, index, view))
    share = _SHARES[level]
    kept = _swap(units, rng.random(len(units) - 1) < share / 2)
    stays = rng.random(len(units)) >= share
    some = int(rng.integers(len(units) - 1))
    if not stays.any():
        stays[some] = True
    kept = [unit for unit, is_kept in zip(kept, stays, strict=True) if is_kept]
    if kept == units:
        kept[some], kept[some + 1] = kept[some + 1], kept[some]
    return between.join(kept)


def split_units(text: str) -> tuple[list[str], str]:
    """Returns what may be dropped or swapped, and what stands between.

    That is words, as spaces part them; of a language without spaces, characters with the marks on
    them.

    Example:
        >>> split_units("Hi there, you")
        (['Hi', 'there,', 'you'], ' ')
        >>> split_units("今日は良い天気")
        (['今', '日', 'は', '良', 'い', '天', '気'], '')
    """
    words = text.split()
    if 2 * len(_UNSPACED.findall(text)) <= sum(map(len, words)):
        return words, " "
    units: list[str] = []
    for char in text:
        if units and _is_joined(units[-1], char):
            units[-1] += char
        else:
            units.append(char)
    return units, ""


def _is_joined(before: str, char: str) -> bool:
    is_mark = unicodedata.category(char) in ("Mn", "Mc", "Me")
    return is_mark or char == _JOINED or before.endswith(_JOINED)


def _swap(units: list[str], chosen: np.ndarray) -> list[str]:
    """Returns the units, each chosen one in place of its neighbour, which is not moved again."""
    swapped = list(units)
    place = 0
    while place < len(chosen):
        if chosen[place]:
            swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
            place += 1
        place += 1
    return swapped
