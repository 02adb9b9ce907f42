"""The one contract between raw text and weights: how a text becomes numbers of word pieces."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tfxfer.errors import ContractError, DataError, WeightsError
from tfxfer.system.files import file_sha256
from tfxfer.system.records import read_record
from tfxfer_text.vocabulary import read_vocabulary

if TYPE_CHECKING:
    import tokenizers

__all__ = ["SPECIAL_TOKENS", "Tokenization"]

SPECIAL_TOKENS = 2
"""How many tokens of a text are no part of it: one before, one after."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What BERT's own tokenizer does with a longer word: one unknown token.
_LONGEST_WORD = 100
_START_CHARACTERS = 16  # of text that a token stands for, at most in nearly all languages


@dataclass(frozen=True)
class Tokenization:
    """BERT's tokenization, as data.

    A text is cleaned, split at spaces, punctuation and Chinese characters, and each word into the
    longest pieces that the vocabulary has, from its beginning.

    Args:
        sha256: of the vocabulary's file.
        source: where that file can be found again: a name that `tfxfer_text.sources` knows, or the
            handle of a `text:HANDLE`.
        lowercase: whether capitals are small letters to it.
        strip_accents: whether `é` is `e` to it.
        max_tokens: of the longest text that the weights have positions for.
        unknown: stands for a word that no pieces make.
        start: begins every text.
        end: ends every text.
        padding: fills a text up to the size of the input.
        path: the vocabulary's file where it is known; no part of what is stored or compared.

    Raises:
        ContractError: values that cannot be meant.
    """

    sha256: str
    source: str
    lowercase: bool = True
    strip_accents: bool = True
    max_tokens: int = 512
    unknown: str = "[UNK]"
    start: str = "[CLS]"
    end: str = "[SEP]"
    padding: str = "[PAD]"
    path: Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ContractError(
                "Tokenization: expected the sha256 of a vocabulary, 64 hexadecimal digits. "
                f"Received: sha256={self.sha256!r:.80}."
            )
        if self.max_tokens <= SPECIAL_TOKENS:
            raise ContractError(
                f"Tokenization: expected room for more than {SPECIAL_TOKENS} tokens. "
                f"Received: max_tokens={self.max_tokens}."
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, path: Path | None = None) -> Self:
        """Reads what `to_dict` returned.

        Args:
            data: of it.
            path: the vocabulary's file, where it is known.

        Raises:
            ContractError: it is something else, such as an edited `run.json`.
        """
        stored = read_record(_Stored, data, where="tokenization", error=ContractError)
        return cls(**asdict(stored), path=path)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {key: value for key, value in asdict(self).items() if key != "path"}

    def find_vocabulary(self) -> Path:
        """Returns the vocabulary's file, fetched if need be; its sha256 is checked.

        Raises:
            WeightsError: it cannot be found, or is another one.
        """
        from tfxfer_text.sources import find_vocabulary

        path = self.path if self.path is not None else find_vocabulary(self.source)
        if not path.is_file():
            raise WeightsError(
                f"vocabulary {str(path)!r}: expected a file. Received: nothing there. "
                "Copy back what belongs to the weights."
            )
        found = file_sha256(path)
        if found != self.sha256:
            raise WeightsError(
                f"vocabulary {str(path)!r}: expected the one of the weights, sha256 "
                f"{self.sha256}. Received: {found}. Copy back what belongs to them."
            )
        return path

    @property
    def words(self) -> Mapping[str, int]:
        """The number of each word piece."""
        return _open(self).words

    def normalize(self, text: str) -> str:
        """Returns the text as it is before it is split."""
        return str(_open(self).tokenizer.normalizer.normalize_str(_check(text)))

    def split(self, text: str) -> list[str]:
        """Returns the word pieces of a text, without what begins and ends it.

        Raises:
            DataError: text that is none, such as half a surrogate pair.
        """
        return _open(self).tokenizer.encode(_check(text), add_special_tokens=False).tokens

    def number(self, text: str) -> list[int]:
        """Returns the numbers of the word pieces of a text, without what begins and ends it.

        Raises:
            DataError: text that is none, such as half a surrogate pair.
        """
        return _open(self).tokenizer.encode(_check(text), add_special_tokens=False).ids

    def number_start(self, text: str, count: int) -> list[int]:
        """Returns the first numbers that `number` returns, without reading all of a long text.

        Args:
            text: of any length.
            count: how many are wanted, at least.

        Raises:
            DataError: see `number`.
        """
        # A text is cut at a space, where no word can be parted.
        width = max(1, count) * _START_CHARACTERS
        while width < len(text):
            space = text.rfind(" ", 0, width)
            found = self.number(text[: max(space, 0)])
            if len(found) >= count:
                return found[:count]
            width *= 4
        return self.number(text)[:count]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns how many tokens each text has, with those that begin and end it, uncut.

        Raises:
            DataError: see `number`.
        """
        encode = _open(self).tokenizer.encode_batch_fast
        found = encode([_check(text) for text in texts], add_special_tokens=False)
        return [len(each.ids) + SPECIAL_TOKENS for each in found]

    def frame(self, numbers: list[int], size: int) -> list[int]:
        """Returns word pieces as the network takes them: begun, cut to `size` tokens, and ended."""
        opened = _open(self)
        return [opened.start, *numbers[: size - SPECIAL_TOKENS], opened.end]

    @property
    def padding_number(self) -> int:
        """The number that fills a text up."""
        return self.words[self.padding]


@dataclass(frozen=True)
class _Stored:
    """What `to_dict` writes: all but the path, which is another one on another machine."""

    sha256: str
    source: str
    lowercase: bool
    strip_accents: bool
    max_tokens: int
    unknown: str
    start: str
    end: str
    padding: str


@dataclass(frozen=True)
class _Opened:
    """A tokenizer and what it was made from."""

    tokenizer: tokenizers.Tokenizer
    words: Mapping[str, int]
    start: int
    end: int


def _check(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"text {text[:40]!r}: expected Unicode. Received: {text[error.start]!r} at character "
            f"{error.start}, half of a surrogate pair."
        ) from None
    return text


def _open(tokenization: Tokenization) -> _Opened:
    return _make(tokenization, tokenization.path)


@functools.lru_cache(maxsize=8)
def _make(tokenization: Tokenization, path: Path | None) -> _Opened:
    # The path is no part of what makes two contracts equal, and one that is not there must not be
    # answered from the cache of one that is.
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers

    special = (
        tokenization.unknown,
        tokenization.start,
        tokenization.end,
        tokenization.padding,
    )
    words = read_vocabulary(tokenization.find_vocabulary(), required=special)
    model = models.WordPiece(
        words,
        unk_token=tokenization.unknown,
        continuing_subword_prefix="##",
        max_input_chars_per_word=_LONGEST_WORD,
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=tokenization.strip_accents,
        lowercase=tokenization.lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _Opened(tokenizer, words, start=words[tokenization.start], end=words[tokenization.end])
