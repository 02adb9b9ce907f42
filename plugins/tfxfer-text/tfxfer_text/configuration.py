"""What a `config.json` in Hugging Face's layout says of a BERT or DistilBERT encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tfxfer.errors import WeightsError

__all__ = ["EncoderConfig", "read_config"]

_ACTIVATIONS: Mapping[str, Literal["gelu", "gelu_tanh", "relu"]] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
_NAMES = {
    "bert": {
        "hidden_size": "hidden_size",
        "blocks": "num_hidden_layers",
        "heads": "num_attention_heads",
        "inner_size": "intermediate_size",
        "max_tokens": "max_position_embeddings",
        "vocabulary_size": "vocab_size",
        "segments": "type_vocab_size",
    },
    "distilbert": {
        "hidden_size": "dim",
        "blocks": "n_layers",
        "heads": "n_heads",
        "inner_size": "hidden_dim",
        "max_tokens": "max_position_embeddings",
        "vocabulary_size": "vocab_size",
    },
}
# Far above the largest that anybody has trained, and far below what takes a machine down: BERT
# large has 1024, 24, 16, 4096, 512, 30,522 and XLM-R's vocabulary 250,002 pieces.
_LIMITS = {
    "hidden_size": 8_192,
    "blocks": 128,
    "heads": 256,
    "inner_size": 65_536,
    "max_tokens": 32_768,
    "vocabulary_size": 1_000_000,
    "segments": 64,
}
_MOST_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class EncoderConfig:
    """A BERT or DistilBERT encoder.

    Args:
        kind: `distilbert` has no segments.
        vocabulary_size: rows of the table of word pieces.
        hidden_size: width of a token.
        blocks: how many.
        heads: of attention, in each block.
        inner_size: width between the two dense layers of a block.
        max_tokens: rows of the table of positions.
        segments: rows of the table of segments; 0 where there is none.
        epsilon: of the layer normalizations.
        activation: between the two dense layers.

    Raises:
        WeightsError: sizes that cannot be meant, or that no machine should be asked for.
    """

    kind: Literal["bert", "distilbert"] = "bert"
    vocabulary_size: int = 30_522
    hidden_size: int = 768
    blocks: int = 12
    heads: int = 12
    inner_size: int = 3_072
    max_tokens: int = 512
    segments: int = 2
    epsilon: float = 1e-12
    activation: Literal["gelu", "gelu_tanh", "relu"] = "gelu"

    def __post_init__(self) -> None:
        for name, most in _LIMITS.items():
            value = getattr(self, name)
            least = 0 if name == "segments" else 1
            if type(value) is not int or not least <= value <= most:
                raise WeightsError(
                    f"configuration: expected {name} from {least} to {most}. "
                    f"Received: {name}={value!r}."
                )
        if self.hidden_size % self.heads:
            raise WeightsError(
                "configuration: expected a hidden size that the heads divide. "
                f"Received: hidden_size={self.hidden_size}, heads={self.heads}."
            )
        if not 0 < self.epsilon < 1:
            raise WeightsError(
                "configuration: expected an epsilon between 0 and 1. "
                f"Received: epsilon={self.epsilon!r}."
            )
        if self.parameters > _MOST_PARAMETERS:
            raise WeightsError(
                f"configuration: expected {_MOST_PARAMETERS:,} parameters at most. "
                f"Received: {self.parameters:,}, {self.parameters * 4 >> 30} GiB."
            )

    @property
    def parameters(self) -> int:
        """How many numbers the network has."""
        rows = self.vocabulary_size + self.max_tokens + self.segments
        attention = 4 * (self.hidden_size + 1) * self.hidden_size
        inner = 2 * self.hidden_size * self.inner_size + self.hidden_size + self.inner_size
        norm = 2 * self.hidden_size
        return rows * self.hidden_size + norm + self.blocks * (attention + inner + 2 * norm)


def read_config(document: Mapping[str, Any], *, where: str) -> EncoderConfig:
    """Returns what a `config.json` says.

    Args:
        document: its JSON.
        where: what it is, for messages.

    Raises:
        WeightsError: of another architecture, which the message names; or a value is missing,
            is something else, or asks for what this network does not do.
    """
    kind = document.get("model_type")
    if kind not in _NAMES:
        named = document.get("architectures")
        also = f", architectures={named!r:.80}" if named else ""
        raise WeightsError(
            f"{where}: expected a model_type among {', '.join(_NAMES)}. "
            f"Received: model_type={kind!r}{also}. Take a model of one of these."
        )
    for name, usual in (
        ("position_embedding_type", "absolute"),
        ("is_decoder", False),
        ("add_cross_attention", False),
    ):
        value = document.get(name, usual)
        if value != usual:
            raise WeightsError(
                f"{where}: expected {name}={usual!r}. Received: {name}={value!r}. "
                "Take an encoder with a table of positions."
            )
    values = {ours: _read_whole(document, theirs, where) for ours, theirs in _NAMES[kind].items()}
    activation = document.get("hidden_act" if kind == "bert" else "activation", "gelu")
    if activation not in _ACTIVATIONS:
        raise WeightsError(
            f"{where}: expected an activation among {', '.join(_ACTIVATIONS)}. "
            f"Received: {activation!r:.80}."
        )
    # DistilBERT's code has this epsilon, its configuration none.
    epsilon = document.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)):
        raise WeightsError(
            f"{where}: expected a number as layer_norm_eps. Received: {epsilon!r:.80}."
        )
    try:
        return EncoderConfig(
            kind=kind,
            **{"segments": 0, **values},
            epsilon=float(epsilon),
            activation=_ACTIVATIONS[activation],
        )
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from None


def _read_whole(document: Mapping[str, Any], name: str, where: str) -> int:
    value = document.get(name)
    if type(value) is not int:
        raise WeightsError(
            f"{where}: expected a whole number as {name}. Received: {name}={value!r:.80}."
        )
    return value
