"""A BERT or DistilBERT encoder as a flat graph of Keras's own layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfxfer.backbone import Stage
from tfxfer_text.configuration import EncoderConfig

__all__ = ["EMBEDDING_END", "block_end", "build_encoder", "list_stages"]

EMBEDDING_END = "embedding_norm"


def block_end(number: int) -> str:
    """Returns the name of the layer that a block ends with, counted from 1."""
    return f"block_{number}_norm"


def list_stages(config: EncoderConfig) -> tuple[Stage, ...]:
    """Returns the cuts: after the tables, and after each block, where one tensor is all."""
    blocks = (Stage(f"block_{i}", block_end(i)) for i in range(1, config.blocks + 1))
    return (Stage("embedding", EMBEDDING_END), *blocks)


def build_encoder(config: EncoderConfig, inputs: Mapping[str, Any]) -> Any:
    """Returns the mean of the token vectors of a text, with random weights.

    Dropout is left out: it has no part in what a finished network computes, and would go on while
    the network is frozen.

    Args:
        config: of the network.
        inputs: `ids`, `mask` and `segment_ids`.

    Shapes: inputs int32 (batch, tokens), tokens fixed or not; returns (batch, hidden_size).

    Source:
        Devlin et al. 2019, https://arxiv.org/abs/1810.04805, and Sanh et al. 2019,
        https://arxiv.org/abs/1910.01108. The mean instead of the first token's vector is that of
        Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084, section 3.
    """
    from keras import layers

    x = _embed(config, inputs)
    for number in range(1, config.blocks + 1):
        x = _build_block(config, x, inputs["mask"], f"block_{number}")
    # With a mask it is the mean over the tokens that are none of the padding.
    return layers.GlobalAveragePooling1D(name="token_mean")(x, mask=inputs["mask"])


def _embed(config: EncoderConfig, inputs: Mapping[str, Any]) -> Any:
    from keras import layers, ops

    ids, segment_ids = inputs["ids"], inputs["segment_ids"]
    # Counted, since nothing else in the graph knows how long the texts of a batch are. Segments
    # give the shape: DistilBERT has no other use for an input that phones insist on.
    positions = ops.subtract(ops.cumsum(ops.ones_like(segment_ids), axis=1), 1)
    terms = [
        layers.Embedding(config.vocabulary_size, config.hidden_size, name="word_embedding")(ids),
        layers.Embedding(config.max_tokens, config.hidden_size, name="position_embedding")(
            positions
        ),
    ]
    if config.segments:
        terms.append(
            layers.Embedding(config.segments, config.hidden_size, name="segment_embedding")(
                segment_ids
            )
        )
    x = layers.Add(name="embedding_add")(terms)
    return layers.LayerNormalization(epsilon=config.epsilon, name=EMBEDDING_END)(x)


def _build_block(config: EncoderConfig, x: Any, mask: Any, name: str) -> Any:
    from keras import layers, ops

    def normalize(tensor: Any, end: str) -> Any:
        return layers.LayerNormalization(epsilon=config.epsilon, name=f"{name}_{end}")(tensor)

    # Each block turns the mask itself: what crosses the end of a block is one tensor, and the
    # model's own input.
    allowed = layers.Reshape((1, -1), name=f"{name}_mask")(mask)
    attended = layers.MultiHeadAttention(
        config.heads, config.hidden_size // config.heads, name=f"{name}_attention"
    )(x, x, attention_mask=allowed)
    x = normalize(layers.Add(name=f"{name}_attention_add")([x, attended]), "attention_norm")
    # Keras has no name for the GELU with a hyperbolic tangent: it is a step of its own.
    activation = None if config.activation == "gelu_tanh" else config.activation
    inner = layers.Dense(config.inner_size, activation, name=f"{name}_inner")(x)
    if activation is None:
        inner = ops.gelu(inner, approximate=True)
    outer = layers.Dense(config.hidden_size, name=f"{name}_outer")(inner)
    return normalize(layers.Add(name=f"{name}_add")([x, outer]), "norm")
