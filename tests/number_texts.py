"""Texts whose words are numbers, in the cells of a table: what two test doubles share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer import Findings, Modality, Sample


class NumberTexts(Modality):
    """A number for each word, up to `size`, and a mask of the places that hold one."""

    size_unit = "words"

    def check_contract(self, contract: Any) -> None:
        """Takes anything: nothing of it is read."""

    def read_contract(self, data: Mapping[str, Any], *, assets: Path | None = None) -> Any:
        raise NotImplementedError

    def inspect(self, sample: Sample) -> Findings:
        assert sample.content is not None
        return Findings(hashlib.sha256(sample.content.encode()).hexdigest(), sample.content)

    @abstractmethod
    def vary(self, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the words of a view that is not the plain one."""

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
        assert sample.content is not None
        words = np.array(sample.content.split(), np.int32)[:size]
        inputs = self.list_inputs(size, contract)
        found = {name: np.zeros((len(views), size), x.stored) for name, x in inputs.items()}
        for row, view in enumerate(views):
            rng = np.random.default_rng((seed, index, view))
            kept = self.vary(words, rng) if view else words
            found["ids"][row, : len(kept)], found["mask"][row, : len(kept)] = kept, 1
        return found
