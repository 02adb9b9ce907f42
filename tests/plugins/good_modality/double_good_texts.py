"""Cells of a table as two integer inputs, the second of which says where there is padding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tfxfer import ContractError, DataError, Findings, InputSpec, Modality, Part, Sample

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Tokens:
    words: int = 100

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Texts(Modality):
    """Two integer inputs from the cells of a table, without augmentation."""

    name = "double_texts"
    noun = "text"
    plural = "texts"
    size_unit = "tokens"
    column = "text"
    part_noun = "word"
    levels = ("none",)

    def check_contract(self, contract: Any) -> None:
        if not isinstance(contract, Tokens):
            raise ContractError(f"texts: expected Tokens. Received: {contract!r}.")

    def read_contract(self, data: Mapping[str, Any]) -> Tokens:
        return Tokens(**data)

    def inspect(self, sample: Sample) -> Findings:
        text = (sample.content or "").strip()
        if not text:
            return Findings(fault=("empty", "a cell without text"))
        return Findings(sha256=hashlib.sha256(text.encode()).hexdigest(), identity=text)

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        spec = InputSpec((size,), dtype="int32", stored="int32")
        return {"ids": spec, "mask": spec}

    def read(
        self, sample: Sample, *, size: int, contract: Any, views: Sequence[int] = (0,), **_: Any
    ) -> dict[str, np.ndarray]:
        words = (sample.content or "").split()[:size]
        if not words:
            raise DataError(f"text {sample.name!r}: expected words. Received: none.")
        import numpy as np

        ids = np.zeros((len(views), size), np.int32)
        ids[:, : len(words)] = [len(word) for word in words]
        return {"ids": ids, "mask": (ids > 0).astype(np.int32)}

    def list_parts(self, sample: Sample, *, size: int, contract: Any) -> tuple[Part, ...]:
        words = re.findall(r"\s*\S+\s*", sample.content or "")
        return tuple(Part(word, number < size) for number, word in enumerate(words))

    def read_without(
        self, sample: Sample, left_out: Sequence[Collection[int]], *, size: int, contract: Any
    ) -> dict[str, np.ndarray]:
        import numpy as np

        ids = np.zeros((len(left_out), size), np.int32)
        for row, places in zip(ids, left_out, strict=True):
            words = enumerate((sample.content or "").split())
            lengths = [len(word) for place, word in words if place not in places][:size]
            row[: len(lengths)] = lengths
        return {"ids": ids, "mask": (ids > 0).astype(np.int32)}
