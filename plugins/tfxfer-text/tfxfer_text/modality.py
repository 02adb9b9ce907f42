"""Texts as samples: cells of a table that become numbers of word pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ContractError, DataError
from tfxfer.modality import Findings, InputSpec, Sample
from tfxfer_text.tokenization import Tokenization
from tfxfer_text.words import TextWords

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TextModality"]

_WHOLE = "int32"


class TextModality(TextWords):
    """Texts of any length, as BERT takes them: `ids`, `mask` and `segment_ids`."""

    name = "text"
    noun = "text"
    plural = "texts"
    size_unit = "tokens"
    column = "text"
    levels = ("none",)

    def check_contract(self, contract: Any) -> None:
        """Refuses what is no `Tokenization`."""
        if not isinstance(contract, Tokenization):
            raise ContractError(
                "texts: expected a tfxfer_text.Tokenization as preprocessing. "
                f"Received: {contract!r:.80}."
            )

    def read_contract(self, data: Mapping[str, Any]) -> Tokenization:
        """Reads what `Tokenization.to_dict` returned."""
        return Tokenization.from_dict(data)

    def inspect(self, sample: Sample) -> Findings:
        """Returns what a text is, or why it cannot be read."""
        text = self.get_text(sample)
        if not text.strip():
            return Findings(fault=("empty", "no words"))
        sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return Findings(sha256, sha256)

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        """Returns the three inputs that phones know by these names."""
        spec = InputSpec((size,), dtype=_WHOLE, stored=_WHOLE)
        return {"ids": spec, "mask": spec, "segment_ids": spec}

    def read(
        self,
        sample: Sample,
        *,
        size: int,
        contract: Any,
        views: Sequence[int] = (0,),
        level: str = "none",
        seed: int = 0,
        index: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the numbers of a text's word pieces, filled up to `size`."""
        import numpy as np

        numbers = contract.frame(contract.number(self.get_text(sample)), size)
        ids = np.full((len(views), size), contract.padding_number, _WHOLE)
        mask = np.zeros((len(views), size), _WHOLE)
        ids[:, : len(numbers)], mask[:, : len(numbers)] = numbers, 1
        return {"ids": ids, "mask": mask, "segment_ids": np.zeros_like(ids)}

    def get_text(self, sample: Sample) -> str:
        """Returns the text of a sample."""
        if sample.content is None:
            raise DataError(f"text {sample.name!r}: expected the text itself. Received: none.")
        return sample.content
