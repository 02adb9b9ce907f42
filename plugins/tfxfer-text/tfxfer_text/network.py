"""A BERT or DistilBERT encoder as a flat graph of Keras's own layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfxfer.backbone import Stage
from tfxfer_text.configuration import EncoderConfig

__all__ = ["EMBEDDING_END", "block_end", "build_encoder", "list_stages"]

EMBEDDING_END = "embedding_norm"

_HIDDEN = -100.0
"""Added to the score of a padding token. No score of a trained encoder comes near it, and the
exponential of what remains is nothing beside 1 in float32."""


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


def _attend(config: EncoderConfig, x: Any, mask: Any, name: str) -> Any:
    """Returns for each token what its heads take from the others; Vaswani et al. 2017, section 3.2.

    `keras.layers.MultiHeadAttention` computes the same floats, and hides padding behind the lowest
    number there is, to which 8 bits then have to reach: of MiniLM's features in int8, 48 tokens, a
    cosine of .28 was left, and .72 with `_HIDDEN` (median of 60 messages).
    """
    from keras import layers, ops

    width = config.hidden_size // config.heads

    def project(part: str) -> Any:
        y = layers.Dense(config.hidden_size, name=f"{name}_{part}")(x)
        y = layers.Reshape((-1, config.heads, width), name=f"{name}_{part}_heads")(y)
        return layers.Permute((2, 1, 3), name=f"{name}_{part}_first")(y)

    query, key, value = map(project, ("query", "key", "value"))
    scores = ops.matmul(ops.multiply(query, width**-0.5), ops.transpose(key, (0, 1, 3, 2)))
    # Each block turns the mask itself: what crosses the end of a block is one tensor, and the
    # model's own input.
    padding = layers.Reshape((1, 1, -1), name=f"{name}_mask")(ops.subtract(1, mask))
    scores = ops.add(scores, ops.multiply(ops.cast(padding, scores.dtype), _HIDDEN))
    y = ops.matmul(ops.softmax(scores), value)
    y = layers.Permute((2, 1, 3), name=f"{name}_tokens_first")(y)
    y = layers.Reshape((-1, config.hidden_size), name=f"{name}_joined")(y)
    return layers.Dense(config.hidden_size, name=f"{name}_output")(y)


def _build_block(config: EncoderConfig, x: Any, mask: Any, name: str) -> Any:
    from keras import layers, ops

    def normalize(tensor: Any, end: str) -> Any:
        return layers.LayerNormalization(epsilon=config.epsilon, name=f"{name}_{end}")(tensor)

    attended = _attend(config, x, mask, name)
    x = normalize(layers.Add(name=f"{name}_attention_add")([x, attended]), "attention_norm")
    # Keras has no name for the GELU with a hyperbolic tangent: it is a step of its own.
    activation = None if config.activation == "gelu_tanh" else config.activation
    inner = layers.Dense(config.inner_size, activation, name=f"{name}_inner")(x)
    if activation is None:
        inner = ops.gelu(inner, approximate=True)
    outer = layers.Dense(config.hidden_size, name=f"{name}_outer")(inner)
    return normalize(layers.Add(name=f"{name}_add")([x, outer]), "norm")
