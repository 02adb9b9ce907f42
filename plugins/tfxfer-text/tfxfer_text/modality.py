"""Texts as samples: cells of a table or files that become numbers of word pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfxfer.errors import ContractError, DataError
from tfxfer.sample import Findings, InputSpec, Sample
from tfxfer_text.texts import count_unseen, has_words, read_text
from tfxfer_text.tokenization import SPECIAL_TOKENS, Tokenization
from tfxfer_text.views import LEVELS, make_view
from tfxfer_text.words import TextWords

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.progress import Progress

__all__ = ["IDS", "MASK", "SEGMENT_IDS", "VOCABULARY", "TextModality"]

IDS, MASK, SEGMENT_IDS = "ids", "mask", "segment_ids"
"""The model's inputs, which phones know by these names."""

VOCABULARY = "vocab.txt"
"""What a run calls its copy of the vocabulary."""

_WHOLE = "int32"
_LARGEST_SIZE = 128  # of what is chosen; attention grows with the square of it
_SIZE_STEP = 16  # batches are cut to multiples of it, too
_SHARE = 95  # of 100 texts that a size holds whole


class TextModality(TextWords):
    """Texts of any length, as BERT takes them: `ids`, `mask` and `segment_ids`.

    A text is the cell of a table, or a file whose name ends in `.txt`: one text in each.

    Shapes: each input is (tokens,), stored as int32; a model takes any number of tokens.
    """

    name = "text"
    noun = "text"
    plural = "texts"
    size_unit = "tokens"
    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})
    column = "text"
    levels = LEVELS

    def check_contract(self, contract: Any) -> None:
        """Refuses what is no `Tokenization`."""
        if not isinstance(contract, Tokenization):
            raise ContractError(
                "texts: expected a tfxfer_text.Tokenization as preprocessing. "
                f"Received: {contract!r:.80}."
            )

    def read_contract(self, data: Mapping[str, Any], *, assets: Path | None = None) -> Tokenization:
        """Reads what `Tokenization.to_dict` returned; the vocabulary is the run's own copy.

        Raises:
            ContractError: it is something else, such as an edited `run.json`.
            WeightsError: the copy is gone, or is another one.
        """
        path = None if assets is None else assets / VOCABULARY
        found = Tokenization.from_dict(data, path=path)
        if path is not None:
            found.find_vocabulary()  # checks its sha256
        return found

    def list_assets(self, contract: Tokenization) -> Mapping[str, Path]:
        """Returns the vocabulary, without which a number means no word."""
        return {VOCABULARY: contract.find_vocabulary()}

    def inspect(self, sample: Sample) -> Findings:
        """Returns what a text is, or why it cannot be used.

        Two texts are the same that differ in nothing but spaces. Others that are much alike share
        most of their shingles, which are the sketch.
        """
        import numpy as np

        from tfxfer_text.duplicates import list_shingles

        try:
            text = read_text(sample)
        except DataError as error:
            _, _, received = str(error).partition("Received: ")
            return Findings(fault=("corrupt", received.rstrip(".")))
        if not text:
            return Findings(fault=("empty", "no characters"))
        if not has_words(text):
            return Findings(fault=("empty", "only spaces, or characters that nobody sees"))
        unseen = count_unseen(text)
        what = "character that no model sees" if unseen == 1 else "characters that no model sees"
        doubts = (f"{unseen:,} control {what}, such as NUL",) if unseen else ()
        # Of unlike lengths, and yet of one shape.
        sketch = np.empty(1, object)
        sketch[0] = list_shingles(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        identity = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
        return Findings(sha256, identity, sketch, doubts)

    def find_copies(
        self, sketches: Sequence[np.ndarray], *, progress: Progress | None = None
    ) -> np.ndarray:
        """Returns groups of texts that differ in case, spaces, or a few characters."""
        from tfxfer_text.duplicates import find_near_texts

        return find_near_texts([sketch[0] for sketch in sketches], progress=progress)

    def measure_lengths(self, samples: Sequence[Sample], *, contract: Tokenization) -> np.ndarray:
        """Returns how many tokens texts have, with the one before and the one after."""
        import numpy as np

        return np.array(contract.count([read_text(sample) for sample in samples]), np.int64)

    def fit_size(self, lengths: np.ndarray, default: int) -> int:
        """Returns the tokens that 95 % of the texts have at most, 128 or the default at most.

        It is a multiple of 16.
        """
        import numpy as np

        longest = int(np.percentile(lengths, _SHARE, method="inverted_cdf"))
        return min(-(-longest // _SIZE_STEP) * _SIZE_STEP, _LARGEST_SIZE, default)

    def count_used(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Returns how many tokens the mask says that texts have; None without the mask."""
        return inputs[MASK].sum(axis=1) if MASK in inputs else None

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        """Returns the three inputs that phones know by these names."""
        spec = InputSpec((size,), dtype=_WHOLE, stored=_WHOLE, is_padded=True)
        return {IDS: spec, MASK: spec, SEGMENT_IDS: spec}

    def read(
        self,
        sample: Sample,
        *,
        size: int,
        contract: Tokenization,
        views: Sequence[int] = (0,),
        level: str = "none",
        seed: int = 0,
        index: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the numbers of a text's word pieces, filled up to `size`.

        Shapes: int32 (views, size) for each input.

        Raises:
            DataError: there are no words to read, or a file that holds no text.
        """
        import numpy as np

        text = read_text(sample)
        if not has_words(text):
            received = "no characters" if not text else "nothing but spaces"
            raise DataError(f"text {sample.name!r:.80}: expected words. Received: {received}.")
        ids = np.full((len(views), size), contract.padding_number, _WHOLE)
        mask = np.zeros((len(views), size), _WHOLE)
        for row, view in enumerate(views):
            seen = make_view(text, level=level, seed=seed, index=index, view=int(view))
            start = contract.number_start(seen, size - SPECIAL_TOKENS)
            numbers = contract.frame(start, size)
            ids[row, : len(numbers)], mask[row, : len(numbers)] = numbers, 1
        return {IDS: ids, MASK: mask, SEGMENT_IDS: np.zeros_like(ids)}
