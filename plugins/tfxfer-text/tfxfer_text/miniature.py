"""A small random model in Hugging Face's layout, to try what is built on one without a download."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer_text.configuration import EncoderConfig
from tfxfer_text.weights import list_targets

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BAD", "GOOD", "MINIATURE", "PLAIN", "WORDS", "draw_tensors", "write_model"]

GOOD = ("great", "lovely", "superb", "charming", "fine")
BAD = ("awful", "boring", "dull", "poor", "terrible")
PLAIN = ("the", "film", "a", "story", "of", "man", "city", "night", "day", "who", "and", "in", "it")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = (
    *_SPECIAL, *GOOD, *BAD, *PLAIN, *_LETTERS[1:], *(f"##{letter}" for letter in _LETTERS),
    "##ing", "##ed", ".", ",", "!", "?", "é", "中",
)  # fmt: skip
"""The vocabulary: whole words, and letters that make any other."""

MINIATURE = EncoderConfig(
    vocabulary_size=len(WORDS), hidden_size=32, blocks=2, heads=4, inner_size=64, max_tokens=40
)
_KEYS = {
    "bert": {
        "activation": "hidden_act", "blocks": "num_hidden_layers", "epsilon": "layer_norm_eps",
        "heads": "num_attention_heads", "hidden_size": "hidden_size",
        "inner_size": "intermediate_size", "max_tokens": "max_position_embeddings",
        "segments": "type_vocab_size", "vocabulary_size": "vocab_size",
    },
    "distilbert": {
        "activation": "activation", "blocks": "n_layers", "heads": "n_heads", "hidden_size": "dim",
        "inner_size": "hidden_dim", "max_tokens": "max_position_embeddings",
        "vocabulary_size": "vocab_size",
    },
}  # fmt: skip
# Nothing here drops anything out; others who read the folder ask for it.
_DROPOUT = {
    "bert": ("attention_probs_dropout_prob", "hidden_dropout_prob"),
    "distilbert": ("attention_dropout", "dropout"),
}


def draw_tensors(config: EncoderConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns random tensors by their names in a file, large enough that attention chooses."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(target.part == "gamma", 0.3, target.shape).astype(np.float32)
        for name, target in list_targets(config).items()
    }


def write_model(
    folder: Path,
    config: EncoderConfig = MINIATURE,
    *,
    tensors: Mapping[str, np.ndarray] | None = None,
    words: Sequence[str] = WORDS,
    **changes: Any,
) -> Path:
    """Writes a folder that `text:FOLDER` takes, and returns it.

    Args:
        folder: to write to.
        config: of the network, with exact GELU or ReLU.
        tensors: by name; None draws them.
        words: of the vocabulary.
        changes: of `config.json`, by its own keys.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "model_type": config.kind,
        **{theirs: getattr(config, ours) for ours, theirs in _KEYS[config.kind].items()},
        **dict.fromkeys(_DROPOUT[config.kind], 0.1),
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    drawn = draw_tensors(config) if tensors is None else dict(tensors)
    save_file(drawn, folder / "model.safetensors")
    return folder
