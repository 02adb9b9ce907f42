"""Texts of unlike lengths, and a network that may be cut to the longest of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer import Backbone, InputSpec, Modality, Registry, Sample, Stage, build_model

from ..number_texts import NumberTexts

SIZE, WORDS, CHANNELS = 64, 12, 4


class Notes(NumberTexts):
    """Numbers in the cells of a table, as many as there are, up to `size`."""

    name = "double_notes"
    noun = "note"
    plural = "notes"
    column = "note"

    def measure_lengths(self, samples: Sequence[Sample], *, contract: Any) -> np.ndarray:
        return np.array([len(str(sample.content).split()) for sample in samples])

    def fit_size(self, lengths: np.ndarray, default: int) -> int:
        return min(default, int(lengths.max()))

    def count_used(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        return inputs["mask"].sum(axis=1) if "mask" in inputs else None

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {
            "ids": InputSpec((size,), dtype="int32", stored="int32", is_padded=True),
            "mask": InputSpec((size,), dtype="int32", stored="int32", is_padded=True),
        }

    def vary(self, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return words[: len(words) - rng.integers(len(words))]  # it loses its last ones


class Mixing(Backbone):
    """An embedding and three blocks that mix all words of a text; the mask says which those are."""

    name = "double_mixing"
    family = "double"
    modality = "double_notes"
    default_size = SIZE  # type: ignore[assignment]
    min_size = 4  # type: ignore[assignment]
    preprocessing = None
    output = "vector"
    stages = (
        Stage("embedding", "embedding"),
        Stage("block_1", "block_1_add"),
        Stage("block_2", "block_2_add"),
    )

    def build(self, inputs: Any) -> Any:
        from keras import layers, ops

        mask = ops.expand_dims(ops.cast(inputs["mask"], "float32"), -1)
        x = layers.Embedding(WORDS, CHANNELS, name="embedding")(inputs["ids"])
        for number in (1, 2, 3):
            y = layers.Dense(CHANNELS, activation="tanh", name=f"block_{number}_dense")(x)
            x = layers.Add(name=f"block_{number}_add")([x, self.mix(y, mask)])
        return ops.squeeze(self.mix(x, mask), 1)

    def mix(self, x: Any, mask: Any) -> Any:
        from keras import ops

        return ops.sum(x * mask, 1, keepdims=True) / ops.sum(mask, 1, keepdims=True)


class Heedless(Mixing):
    """Mixes what was only filled up, too: cut or not cut is not the same to it."""

    name = "double_heedless"

    def mix(self, x: Any, mask: Any) -> Any:
        from keras import ops

        return ops.mean(x + 0 * mask, 1, keepdims=True)


REGISTRY = Registry([EntryPoint("double_notes", f"{__name__}:Notes", "tfxfer.modalities")])


def make_model(backbone: type[Backbone] = Mixing, *, size: int | None = None) -> Any:
    from tfxfer_heads import Classification

    class Registered(Registry):
        def load_modality_of(self, backbone: Backbone) -> Modality:
            return Notes()

    return build_model(
        backbone(),
        labels=["high", "low"],
        head=Classification(dropout=0),
        weights=None,
        size=size,
        registry=Registered([]),
    )


def write_notes(folder: Path, *, count: int = 96, longest: int = 60) -> Path:
    """Writes notes of 1 to `longest` words, most of them short, as messages are."""
    rng = np.random.default_rng(0)
    lines = ["note,label"]
    for number in range(count):
        length = 1 + int((longest - 1) * rng.random() ** 4)
        base = 1 if number % 2 else 6
        words = rng.integers(base, base + 5, length)
        lines.append(f"{' '.join(map(str, words))} {1 + number % 11} {number % 7},{number % 2}")
    path = folder / "notes.csv"
    path.write_text("\n".join(lines).replace(",0", ",high").replace(",1", ",low"))
    return path
