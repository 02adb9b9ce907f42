"""A text as words that can be left out, so that those that a model goes by can be shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from tfxfer import Modality, Part, Sample
from tfxfer_text.texts import read_text
from tfxfer_text.tokenization import SPECIAL_TOKENS

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TextWords", "split_words"]

# Chinese characters are words to BERT each by itself, and have no spaces between them.
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\s*(?:[{_CHINESE}]|[^\s{_CHINESE}]+)")

# No word piece that a vocabulary has is longer; what is farther on moves into no input.
_LONGEST_PIECE = 100


def split_words(text: str, contract: Any, size: int) -> tuple[list[tuple[str, list[int]]], str]:
    """Returns the words that a network reads, each with its numbers, and the rest of the text.

    Words keep the blanks before them, so that words and rest, joined, are the text.

    Args:
        text: of any length.
        contract: a `Tokenization`.
        size: of the input, in tokens.

    Raises:
        DataError: text that is none.
    """
    room, end, words = size - SPECIAL_TOKENS, 0, []
    for found in _WORD.finditer(text):
        if room <= 0:
            break
        # Words are tokenized one by one: no piece reaches over a blank.
        numbers = contract.number(found[0])
        words.append((found[0], numbers))
        room -= len(numbers)
        end = found.end()
    rest = text[end:]
    if words and not rest.strip():
        words[-1], rest = (words[-1][0] + rest, words[-1][1]), ""
    return words, rest


class TextWords(Modality):
    """What `TextModality` knows of words."""

    part_noun = "word"

    def describe_sample(self, sample: Sample) -> str:
        """Returns the text."""
        return read_text(sample)

    def list_parts(self, sample: Sample, *, size: int, contract: Any) -> tuple[Part, ...]:
        """Returns the words that the network reads, and in one piece what is beyond its input."""
        words, rest = split_words(read_text(sample), contract, size)
        unseen = [Part(rest, is_seen=False)] if rest else []
        return (*(Part(word) for word, _ in words), *unseen)

    def read_without(
        self, sample: Sample, left_out: Sequence[Collection[int]], *, size: int, contract: Any
    ) -> dict[str, np.ndarray]:
        """Returns the text as if the words had not been written: what follows them moves up."""
        import numpy as np

        words, rest = split_words(read_text(sample), contract, size)
        following = contract.number(rest[: size * _LONGEST_PIECE]) if rest else []
        ids = np.full((len(left_out), size), contract.padding_number, np.int32)
        mask = np.zeros_like(ids)
        for row, places in enumerate(left_out):
            kept = [x for i, (_, numbers) in enumerate(words) if i not in places for x in numbers]
            framed = contract.frame([*kept, *following], size)
            ids[row, : len(framed)], mask[row, : len(framed)] = framed, 1
        return {"ids": ids, "mask": mask, "segment_ids": np.zeros_like(ids)}
