"""Texts with a mask, and networks whose blocks read it in one way or another."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import numpy as np

from tfxfer import Backbone, InputSpec, Registry, Stage, build_model

from ..number_texts import NumberTexts

LENGTH, WORDS, CHANNELS = 6, 12, 4


class Words(NumberTexts):
    """Texts of one length; every block of a network reads their mask."""

    name = "double_words"
    noun = "text"
    plural = "texts"
    column = "text"

    def list_inputs(self, size: int, contract: Any) -> dict[str, InputSpec]:
        return {
            "ids": InputSpec((size,), dtype="int32", stored="int32"),
            "mask": InputSpec((size,), dtype="float32", stored="uint8"),
        }

    def vary(self, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.delete(words, rng.integers(len(words)))


class Masked(Backbone):
    """An embedding and three blocks, each of which reads the mask."""

    name = "double_masked"
    family = "double"
    modality = "double_words"
    default_size = LENGTH  # type: ignore[assignment]
    min_size = 2  # type: ignore[assignment]
    preprocessing = None
    output = "tokens"
    stages = (
        Stage("embedding", "embedding"),
        Stage("block_1", "block_1_add"),
        Stage("block_2", "block_2_add"),
    )

    def build(self, inputs: Any) -> Any:
        from keras import layers

        column = self.read_mask(inputs["mask"])
        x = layers.Embedding(WORDS, CHANNELS, name="embedding")(inputs["ids"])
        for number in (1, 2, 3):
            y = layers.Conv1D(
                CHANNELS, 3, padding="same", activation="tanh", name=f"block_{number}_conv"
            )(x)
            y = layers.Multiply(name=f"block_{number}_mask")([y, column])
            x = layers.Add(name=f"block_{number}_add")([x, y])
        return self.end(x, inputs)

    def read_mask(self, mask: Any) -> Any:
        from keras import layers

        return layers.Reshape((LENGTH, 1), name="mask_column")(mask)

    def end(self, x: Any, inputs: Any) -> Any:
        return x


class WeightedMask(Masked):
    """Its blocks read the mask through a layer that learns."""

    def read_mask(self, mask: Any) -> Any:
        from keras import layers

        return layers.Dense(1, name="mask_dense")(super().read_mask(mask))


class ReadsIdsAgain(Masked):
    """Its end looks the words up once more, in a table of its own."""

    def end(self, x: Any, inputs: Any) -> Any:
        from keras import layers

        again = layers.Embedding(WORDS, CHANNELS, name="late_embedding")(inputs["ids"])
        return layers.Add(name="late_add")([x, again])


def make_model(backbone: type[Backbone] = Masked, *, seed: int = 0) -> Any:
    from tfxfer_heads import Classification

    registry = Registry([EntryPoint("double_words", f"{__name__}:Words", "tfxfer.modalities")])
    model = build_model(
        backbone(),
        labels=["long", "short"],
        head=Classification(dropout=0),
        weights=None,
        seed=seed,
        registry=registry,
    )
    # The head starts from zeros, and would say the same of everything.
    kernel = model.get_layer("head_dense").kernel
    kernel.assign(np.random.default_rng(seed).normal(0, 1, kernel.shape))
    return model
